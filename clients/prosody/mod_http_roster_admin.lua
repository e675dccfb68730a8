-- Stands where the community's module of this name would: rosters from a web application, without that module's mistakes.
module:depends("http")
local http, json, st, id = require "net.http", require "util.json", require "util.stanza", require "util.id".short
local users = hosts[module.host].sessions
local url = module:get_option_string("http_roster_url")

local function item(jid, c)
	local iq = st.stanza("item", { jid = jid, name = c.name, subscription = c.subscription })
	for group in pairs(c.groups or {}) do
		iq:text_tag("group", group)
	end
	return iq
end

local function contacts(roster)
	local q = st.stanza("query", { xmlns = "jabber:iq:roster" })
	for jid, c in pairs(roster) do
		if jid and jid ~= "pending" then
			q:add_child(item(jid, c))
		end
	end
	return q
end

-- What the application has is told to done; nil if it could not be asked.
local function fetch(user, done)
	http.request(url:format(user), nil, function(body, code)
		local list = code == 200 and json.decode(body)
		for _, c in pairs(list or {}) do
			c.subscription = "both"
		end
		done(list or nil)
	end)
end

local function push(user, q)
	for _, session in pairs(users[user].sessions) do
		if session.interested then
			session.send(st.iq({ type = "set", id = id(), to = session.full_jid }):tag("query", { xmlns = "jabber:iq:roster" }):add_child(q))
		end
	end
end

-- New contacts and those who are gone are pushed. Whose name or groups have changed is as before: that is what the module does.
local function update(user, list)
	local roster = users[user].roster
	for jid, c in pairs(list) do
		if not roster[jid] then
			roster[jid] = c
			push(user, item(jid, c))
		end
	end
	for jid in pairs(roster) do
		if jid and jid ~= "pending" and not list[jid] then
			roster[jid] = nil
			push(user, item(jid, { subscription = "remove" }))
		end
	end
end

module:hook("iq-get/self/jabber:iq:roster:query", function(event)
	local session, stanza = event.origin, event.stanza
	session.interested = true
	local roster = session.roster
	local function answer()
		session.send(st.reply(stanza):add_child(contacts(roster)))
	end
	if roster[false].downloaded then
		answer()
		return true
	end
	fetch(session.username, function(list)
		for jid, c in pairs(list or {}) do
			roster[jid] = c
		end
		roster[false].downloaded = true
		answer()
	end)
	return true
end)

module:hook("iq-set/self/jabber:iq:roster:query", function(event)
	event.origin.send(st.error_reply(event.stanza, "cancel", "service-unavailable"))
	return true
end)

module:provides("http", { default_path = "/roster_admin", route = { ["POST /refresh"] = function(event)
	local names, left = json.decode(event.request.body), 0
	local answer = { status = "ok", message = "roster update complete", updated = 0, errors = 0 }
	for _, user in ipairs(names) do
		left = left + 1
		local function done(list)
			if list and users[user] then
				update(user, list)
			end
			local count = list and "updated" or "errors"
			answer[count] = answer[count] + 1
			left = left - 1
			if left == 0 then
				event.response.headers.content_type = "application/json"
				event.response:send(json.encode(answer))
			end
		end
		if users[user] then
			fetch(user, done)
		else
			done({})
		end
	end
	return true
end } })
