-- Contacts from several sources, asked at the same time. What an earlier source says of a contact counts.
local async = require "util.async";
local http = require "net.http";
local json = require "util.json";
local promise = require "util.promise";

local sources = {
	{ name = "company", url = module:get_option_url_template("merged_company_url") }, -- knows everybody
	{ name = "projects", url = module:get_option_url_template("merged_projects_url"), optional = true },
	{ name = "club", url = module:get_option_url_template("merged_club_url"), optional = true }, -- knows some
};

local subscriptions = { none = "none", to = "to", from = "from", both = "both" };

-- A text, or nil if there is none. Anything else raises an error.
local function text(value)
	assert(value == nil or value == json.null or type(value) == "string", "something else where a text is expected");
	return value ~= json.null and value or nil;
end

-- Adds what is not known yet. Groups add up. What is not in the standard form raises an error.
local function merge(contacts, more)
	for jid, new in pairs(more) do
		local known = contacts[text(jid)] or {
			name = text(new.name),
			subscription = assert(subscriptions[text(new.subscription) or "both"], "a subscription that there is not"),
			groups = {},
		};
		for key, group in pairs(new.groups or {}) do -- a list, or a table with the groups as keys
			known.groups[type(key) == "string" and key or text(group)] = true;
		end
		contacts[jid] = known;
	end
end

local function fetch(user)
	local asked = {};
	for i, source in ipairs(sources) do
		-- rosterd puts the token in on the way out, and for allowed servers only. What comes back is a promise: this does not wait.
		asked[i] = http.request(source.url(user), {
			headers = { Authorization = "Bearer {{secret:" .. source.name .. "}}" },
		});
	end
	local answers = async.wait_for(promise.all_settled(asked));

	local contacts = {};
	for i, source in ipairs(sources) do
		local response = answers[i].value; -- nil if nobody answered; then there is a reason
		if response and response.code == 200 then
			local more, problem = json.decode(response.body);
			local ok, mistake = pcall(merge, contacts, more);
			if not ok then
				return nil, "temporary", ("%s cannot be read: %s"):format(source.name, problem or tostring(mistake));
			end
		elseif response and response.code == 404 and source.optional then
			-- Not a member there, and so nothing to add.
		elseif response then
			return response; -- rosterd knows what 401, 404 and 503 mean
		else
			-- Leaving a source out would take its contacts away until it is back. An error keeps them.
			return nil, "temporary", source.name .. ": " .. tostring(answers[i].reason);
		end
	end
	return contacts;
end

module:provides("roster", { fetch = fetch });
