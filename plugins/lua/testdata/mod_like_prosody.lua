-- A roster module in the manner of mod_http_roster_admin: requests with callbacks, sets of names compared by their
-- difference, and a route by which the backend says whose contacts changed.

local http = require "net.http";
local json = require "cjson";
local it = require "util.iterators";
local set = require "util.set";
local array = require "util.array";
local jid = require "util.jid";
local async = require "util.async";

local contacts_url = module:get_option_string("http_roster_url", "http://localhost/contacts/%s");
local hidden_groups = module:get_option_set("hidden_groups", {});

module:depends("http");

-- what was known of a user at the last fetch, to tell what is new
local known = module:open_store("known");

-- callback(contacts) or callback(nil, reason, text)
local function fetch_contacts(username, callback)
	local url = contacts_url:format(http.urlencode(username));
	module:log("debug", "Fetching contacts of %s from %s", username, url);
	http.request(url, { headers = { Accept = "application/json" } }, function (body, code, response)
		if code == 404 then
			return callback(nil, "not-found", "no such user");
		elseif code ~= 200 then
			return callback(nil, "temporary", "code "..tostring(code)..(code == 0 and (": "..body) or ""));
		end
		local ok, decoded = pcall(json.decode, body);
		if not ok or response.headers["content-type"] ~= "application/json" then
			return callback(nil, "temporary", "the answer is not JSON");
		end
		callback(decoded);
	end);
end

local function visible(groups)
	return array(groups or {}):filter(function (group) return not hidden_groups:contains(group); end);
end

local function fetch(username)
	local wait, done = async.waiter();
	local contacts, reason, text;
	fetch_contacts(username, function (...)
		contacts, reason, text = ...;
		done();
	end);
	wait();
	if not contacts then
		return nil, reason, text;
	end

	local before = set.new(known:get(username) or {});
	local now = set.new(it.to_array(it.keys(contacts)));
	local added, removed = now - before, before - now;
	module:log("info", "%d contacts of %s: %d are new, %d are gone",
		it.count(now:items()), username, it.count(added:items()), it.count(removed:items()));
	known:set(username, array.collect(now:items()):sort());

	local roster = {};
	for contact, item in pairs(contacts) do
		roster[jid.bare(contact)] = { name = item.name, subscription = "both", groups = visible(item.groups) };
	end
	return roster;
end

module:provides("roster", { fetch = fetch });

local function answer(response, status, message, did)
	response.headers.content_type = "application/json";
	response.status_code = status;
	return response:send(json.encode({
		status = status == 200 and "ok" or "error", message = message,
		updated = did and did.updated or 0, errors = did and did.errors or 0,
	}));
end

local function refresh(event)
	local request, response = event.request, event.response;
	local ok, names = pcall(json.decode, request.body);
	if not ok or type(names) ~= "table" or #names == 0 then
		answer(response, 400, "expected a list of user names");
		return true;
	end
	local users = set.new(names);
	local did, reason, text = module:refresh_rosters(array.collect(users:items()):sort());
	if not did then
		answer(response, 503, reason..": "..text);
		return true;
	end
	answer(response, 200, "roster update complete", did);
	return true;
end

module:provides("http", {
	default_path = "/roster_admin";
	route = {
		["POST /refresh"] = refresh;
		["GET /refresh/*"] = function (event, username)
			local did = module:refresh_rosters({ username });
			event.response.headers.content_type = "application/json";
			return json.encode({ status = did and did.errors == 0 and "ok" or "error", message = "roster update complete" });
		end;
	};
});
