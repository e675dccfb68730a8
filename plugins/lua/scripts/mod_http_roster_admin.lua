-- Rosters from an HTTP API. GET on http_roster_url, in which %s is the user name, answers with the contacts:
--
--     { "marie@example.com": { "name": "Marie", "groups": ["Friends"], "subscription": "both" } }

local http = require "net.http";
local json = require "util.json";

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

-- With rosterd_roster_edit = "writeback": PUT of the contact as the user wants it, with what he has done, or DELETE. The backend decides.
local function edit(username, change)
	local path, query = contacts_of(username):match("^([^?#]*)(.*)$");
	local url = path:gsub("/$", "") .. "/" .. http.urlencode(change.contact) .. query;
	local request = { method = "DELETE", headers = { ["Idempotency-Key"] = change.id, ["If-Match"] = change.etag } };
	if change.action ~= "remove" then
		request.method = "PUT";
		request.headers["Content-Type"] = "application/json";
		request.body = json.encode {
			action = change.action, name = change.name, groups = change.groups[1] and change.groups,
			subscription = change.subscription, ask = change.ask, approved = change.approved,
		};
	end
	local response, err = http.request(url, request);
	if not response then
		return nil, "temporary", err;
	end
	return response; -- 2xx: taken; 403, 409: no, in the words of a plain text; 404: no such contact
end

-- With rosterd_vcard_url: what GET of it says of a user, such as { "fn": "Anna", "photo": { "type": "image/png", "data": "…" } }; 404 is nothing.
local vcard;
if module:get_option_string("rosterd_vcard_url") then
	local card_of = module:get_option_url_template("rosterd_vcard_url");
	function vcard(request)
		local response, err = http.request(card_of(request.username));
		if not response then
			return nil, "temporary", err;
		end
		return response;
	end
end

module:provides("roster", { fetch = fetch, edit = edit, vcard = vcard });
