-- Shared groups in the manner of Prosody's mod_groups: set up in module.load, and kept out of what is stored.

local jid, datamanager = require "util.jid", require "util.datamanager";
local log = require "util.logger".init("like_groups");

local groups, members;

function inject(event)
	local own = event.username.."@"..event.host;
	for _, group in ipairs(members[own] or {}) do
		for contact, name in pairs(groups[group]) do
			if contact ~= own then
				local item = event.roster[contact] or { subscription = "both", groups = {}, persist = false };
				item.name = item.name or name;
				item.groups[group] = true;
				event.roster[contact] = item;
			end
		end
	end
	event.roster[false].version = true;
end

local function strip(username, host, datastore, data)
	if host ~= module.host or datastore ~= "roster" then
		return username, host, datastore, data;
	end
	local kept = {};
	for contact, item in pairs(data) do
		if item.persist ~= false then
			kept[contact] = item;
		end
	end
	return username, host, datastore, kept;
end

function module.load()
	local configured = module:get_option("like_groups");
	if not configured then return; end
	module:hook("roster-load", inject);
	datamanager.add_callback(strip);

	groups, members = {}, {};
	for group, list in pairs(configured) do
		groups[group] = {};
		for contact, name in pairs(list) do
			contact = jid.prep(contact);
			groups[group][contact] = name;
			members[contact] = members[contact] or {};
			table.insert(members[contact], group);
		end
	end
	log("info", "%s groups", module:get_name());
end

function module.unload()
	datamanager.remove_callback(strip);
end
