-- Contacts from a service that speaks the contract of MongooseIM's mod_roster_http: GET /DOMAIN/USER.
local http = require "net.http";

local roster_of = module:get_option_url_template("mongooseim_url"); -- with %s for the user

local function fetch(user, req)
	-- req.rev names the copy that rosterd holds: a service that sends ETag may answer 304.
	return http.request(roster_of(user), { rev = req.rev });
end

-- The contract's items are nearly rosterd's.
local function map(body)
	for _, item in ipairs(body.items) do -- without items this is an error, which keeps the last good roster
		if item.ask ~= "subscribe" then
			item.ask = nil; -- the contract knows "unsubscribe" too, RFC 6121 does not
		end
		item.approved = tostring(item.approved) == "true"; -- in the contract a string
	end
	return body.items;
end

module:provides("roster", { fetch = fetch, map = map });
