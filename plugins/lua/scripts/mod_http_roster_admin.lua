-- Rosters from an HTTP API. GET on http_roster_url, in which %s is the user name, answers with the contacts:
--
--     { "marie@example.com": { "name": "Marie", "groups": ["Friends"], "subscription": "both" } }

local http = require "net.http";

local contacts_of = module:get_option_url_template("http_roster_url", "http://localhost/%s");

local function fetch(username, req)
	-- req.rev names the copy that rosterd holds. Where the backend sends ETag or Last-Modified, it may
	-- answer 304 and nothing else.
	local response, err = http.request(contacts_of(username), { rev = req.rev });
	if not response then
		return nil, "temporary", err;
	end
	return response; -- as it is: rosterd reads this form itself, and knows what 304, 404 and 503 mean
end

module:provides("roster", { fetch = fetch });
