-- Contacts from Nextcloud's app JSXC: whoever shares a Nextcloud group with the user.
local hashes = require "util.hashes";
local http = require "net.http";
local jid = require "util.jid";
local json = require "util.json";

local api = assert(module:get_option_string("sharedroster_url"), "sharedroster_url is not set");
-- What the app's settings call the API secret.
local secret = assert(module:get_option_string("sharedroster_secret"), "sharedroster_secret is not set");

-- A text, or nil if there is none. Anything else raises an error.
local function text(value)
	assert(value == nil or value == json.null or type(value) == "string", "something else where a text is expected");
	return value ~= json.null and value or nil;
end

-- What is not as agreed raises an error here. PHP writes an empty roster as [], which is no trouble.
local function read(people, req)
	local contacts = {};
	for uid, person in pairs(people) do
		local contact = text(uid):find("@", 1, true) and uid or jid.join(uid, req.host); -- some name users by address
		if contact ~= req.jid then
			local groups = {};
			for _, group in pairs(person.groups or {}) do
				table.insert(groups, text(group));
			end
			contacts[contact] = { name = text(person.name), groups = groups };
		end
	end
	return contacts;
end

local function fetch(user, req)
	local body = http.formencode({
		{ name = "username", value = user },
		{ name = "operation", value = "sharedroster" },
	});
	local response, err = http.request(api, {
		method = "POST",
		body = body,
		headers = {
			["Content-Type"] = "application/x-www-form-urlencoded",
			["X-JSXC-SIGNATURE"] = "sha1=" .. hashes.hmac_sha1(secret, body, true),
		},
	});
	if not response then
		return nil, "temporary", err; -- nobody answered
	end

	local answer = json.decode(response.body);
	if type(answer) ~= "table" or type(answer.data) ~= "table" then
		return nil, "temporary", ("%d and no answer of JSXC: is %s right?"):format(response.code, api);
	elseif answer.result ~= "success" then
		return nil, "temporary", "Nextcloud says: " .. tostring(answer.data.msg); -- such as a wrong signature
	elseif type(answer.data.sharedRoster) ~= "table" or answer.data.sharedRoster == json.null then
		return nil, "temporary", "no sharedRoster in the answer";
	end

	local ok, contacts = pcall(read, answer.data.sharedRoster, req);
	if not ok then
		return nil, "temporary", "sharedRoster cannot be read: " .. tostring(contacts);
	end
	return contacts;
end

module:provides("roster", { fetch = fetch });
