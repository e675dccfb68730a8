-- Rosters from a CRM, and its webhook, which says in the CRM's own words what has changed.
local array = require "util.array";
local hashes = require "util.hashes";
local http = require "net.http";
local json = require "util.json";
local set = require "util.set";

local contacts_of = module:get_option_url_template("notice_contacts_url"); -- with %s for the user
local secret = assert(module:get_option_string("notice_secret"), "notice_secret is not set");

module:provides("roster", {
	fetch = function(user) return http.request(contacts_of(user)); end, -- the standard form: nothing to do here
});

-- Whose rosters look different after an event. Events that are not here change nobody's.
local concerned = {
	["link.created"] = function(event) return { event.from, event.to }; end,
	["link.deleted"] = function(event) return { event.from, event.to }; end,
	["person.renamed"] = function(event) return event.known_to; end,
};

-- The CRM signs the body: X-Crm-Signature is "sha256=" and the HMAC in hexadecimal.
local function signed(request)
	local claimed = request.headers["x-crm-signature"] or "";
	return hashes.equals(claimed, "sha256=" .. hashes.hmac_sha256(secret, request.body, true));
end

local function changed(event)
	local request = event.request;
	if not signed(request) then
		return 401;
	end
	local notice = json.decode(request.body);
	if type(notice) ~= "table" or type(notice.events) ~= "table" then
		return { status_code = 400, body = "no events in the body" };
	end

	local users = set.new();
	for _, e in ipairs(notice.events) do
		local who = concerned[e.type];
		if who then
			users:add_list(who(e));
		end
	end
	if users:empty() then
		return 204;
	end

	-- This fetches the rosters of those who are online, and waits until their clients know.
	local done, _, problem = module:refresh_rosters(array.collect(users:items()));
	if not done then
		return { status_code = 503, body = problem }; -- the CRM says it again later
	end
	module:log("info", "%d rosters are new, %d could not be had", done.updated, done.errors);
	return { headers = { ["Content-Type"] = "application/json" }, body = json.encode(done) };
end

module:provides("http", { default_path = "/notice", route = { ["POST /changed"] = changed } });
