-- Contacts from a CRM: whoever is in a team of the user, or in a team below one of those.
local http = require "net.http";
local json = require "util.json";

local teams_of = module:get_option_url_template("crm_url"); -- with %s for the user
local max_pages = module:get_option_integer("crm_pages", 5, 1, 8); -- a call may send 8 requests

-- A text, or nil if there is none. Anything else raises an error.
local function text(value)
	assert(value == nil or value == json.null or type(value) == "string", "something else where a text is expected");
	return value ~= json.null and value or nil;
end

-- The members of teams, and of the teams in them, as contacts. A member of several teams is in several groups.
local function add(contacts, teams, req)
	for _, team in ipairs(teams) do
		for _, member in ipairs(team.members) do
			local jid = text(member.login) .. "@" .. req.host;
			if jid ~= req.jid then -- the user is in his teams himself
				contacts[jid] = contacts[jid] or { name = text(member.profile.display_name), groups = {} };
				contacts[jid].groups[text(team.title)] = true;
			end
		end
		if team.teams then
			add(contacts, team.teams, req);
		end
	end
end

-- What is not as agreed raises an error here: a roster without contacts must not be read into it.
local function read_page(contacts, body, req)
	local page = assert(json.decode(body));
	add(contacts, page.teams, req);
	return tonumber(page.pages) or 1;
end

local function fetch(user, req)
	local contacts, pages = {}, 1;
	local number = 1;
	while number <= pages do
		if number > max_pages then
			return nil, "temporary", ("%s pages, more than crm_pages = %d"):format(pages, max_pages);
		end
		local response, err = http.request(teams_of(user) .. "?page=" .. number);
		if not response then
			return nil, "temporary", err; -- nobody answered
		elseif response.code ~= 200 then
			return response; -- rosterd knows what 401, 404 and 503 mean
		end
		local ok, result = pcall(read_page, contacts, response.body, req);
		if not ok then
			return nil, "temporary", "page " .. number .. " cannot be read: " .. tostring(result);
		end
		pages, number = result, number + 1;
	end
	return contacts;
end

module:provides("roster", { fetch = fetch });
