-- Contacts from an address book in XML.
local http = require "net.http";
local xml = require "util.xml";

local book_of = module:get_option_url_template("xml_url"); -- with %s for the user

local subscriptions = { none = true, to = true, from = true, both = true };

local function fetch(user)
	local response, err = http.request(book_of(user), { headers = { Accept = "application/xml" } });
	if not response then
		return nil, "temporary", err; -- nobody answered
	elseif response.code ~= 200 then
		return response; -- rosterd knows what 401, 404 and 503 mean
	end

	local book, problem = xml.parse(response.body);
	if not book or book.name ~= "addressbook" then
		-- A login page, or half a file: an error keeps the last good roster, an empty list would remove everybody.
		return nil, "temporary", "no address book: " .. (problem or "<" .. book.name .. ">");
	end

	local contacts = {};
	for entry in book:childtags("contact") do
		local subscription = entry.attr.subscription or "both";
		if not entry.attr.jid or not subscriptions[subscription] then
			return nil, "temporary", "a contact without a JID, or with a subscription that there is not";
		end
		local groups = {};
		for group in entry:childtags("group") do
			table.insert(groups, group:get_text());
		end
		table.insert(contacts, {
			jid = entry.attr.jid,
			name = entry:get_child_text("name"),
			subscription = subscription,
			groups = groups,
		});
	end
	return contacts;
end

module:provides("roster", { fetch = fetch });
