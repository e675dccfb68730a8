-- Stands where the community's module of this name would: rosters from a web application. To the application, to whoever
-- refreshes, and to clients it does what that module does, presence included; without its mistakes: whatever the application
-- says, every request has an answer.
module:depends("http")
local http, st, json_fallback = require "net.http", require "util.stanza", require "util.json"
local new_id, prep = require "util.id".short, require "util.jid".prep
local valid_utf8 = require "util.encodings".utf8.valid
local post_stanza = prosody.core_post_stanza
local pairs, type, next = pairs, type, next

-- Of what is there, the one that is written in C.
local has_cjson, cjson = pcall(require, "cjson.safe")
local decode, encode = json_fallback.decode, json_fallback.encode
if has_cjson then
	decode = cjson.decode
end

local users = prosody.hosts[module.host].sessions
local url = module:get_option_string("http_roster_url")
local parallel = 100 -- requests at a time: each has a connection of its own, and files are finite

local function text(s)
	return type(s) == "string" and valid_utf8(s) and not s:find("[^\9\10\13\32-\255]")
end

-- What a contact is in the list: nil if nobody could use it.
local function contact(c)
	if type(c) ~= "table" then
		return nil
	end
	local name, groups = text(c.name) and c.name or nil, {}
	if type(c.groups) == "table" then
		for k, v in pairs(c.groups) do
			local group = type(k) == "number" and v or k
			if text(group) then
				groups[group] = true
			end
		end
	end
	return { name = name, subscription = "both", groups = groups }
end

-- The list in an answer of the application: nil if it is none. A contact that cannot be used is left out, the user too. Those
-- who are known are looked at no more: see update.
local function contacts(user, body, known)
	local list = decode(body)
	if type(list) ~= "table" then
		return nil
	end
	local own, roster = user .. "@" .. module.host, {}
	for jid, c in pairs(list) do
		local old = known[jid]
		if old and type(c) == "table" then
			roster[jid] = old
		else
			jid, c = type(jid) == "string" and prep(jid), contact(c)
			if jid and c and jid ~= own then
				roster[jid] = c
			end
		end
	end
	return roster
end

local running, first, last, waiting = 0, 1, 0, {}
local ask_next

-- What the application has is told to done; nil if it could not be asked. Contacts in known stay as they are there.
local function ask(user, known, done)
	running = running + 1
	local address = url:gsub("%%s", (http.urlencode(user):gsub("%%", "%%%%")))
	http.request(address, { headers = { Accept = "application/json" }, suppress_errors = true }, function(body, code)
		running = running - 1
		ask_next()
		done(code == 200 and contacts(user, body, known) or nil)
	end)
end

function ask_next()
	local job = waiting[first]
	if job and running < parallel then
		waiting[first] = nil
		first = first + 1
		ask(job.user, job.known, job.done)
	end
end

local function fetch(user, known, done)
	if running < parallel then
		ask(user, known, done)
	else
		last = last + 1
		waiting[last] = { user = user, known = known, done = done }
	end
end

local function add_item(query, jid, c)
	query:tag("item", { jid = jid, name = c.name, subscription = c.subscription })
	for group in pairs(c.groups or {}) do
		query:text_tag("group", group)
	end
	query:up()
end

local function push(user, jid, c)
	local iq = st.iq({ type = "set", id = new_id() }):query("jabber:iq:roster")
	add_item(iq, jid, c)
	iq:reset()
	for _, session in pairs(user.sessions) do
		if session.interested then
			iq.attr.to = session.full_jid
			session.send(iq)
		end
	end
end

-- Who is new is shown who is there, and who is gone is shown nobody any more. Whether they want to see it is not asked.
local function show(user, jid)
	for _, session in pairs(user.sessions) do
		local presence = session.presence
		if presence then
			presence.attr.to = jid
			post_stanza(session, presence, true)
			presence.attr.to = nil
		end
	end
end

local function hide(user, jid)
	for _, session in pairs(user.sessions) do
		if session.presence then
			post_stanza(session, st.presence({ type = "unavailable", from = session.full_jid, to = jid }), true)
		end
	end
end

-- Contacts that are new and those that are gone are told. Whose name or groups have changed is as before: that is what the
-- module does.
local function update(user, list)
	local roster = user.roster
	for jid, c in pairs(list) do
		if not roster[jid] then
			roster[jid] = c
			push(user, jid, c)
			show(user, jid)
		end
	end
	for jid in pairs(roster) do
		if jid and not list[jid] then
			roster[jid] = nil
			push(user, jid, { subscription = "remove" })
			hide(user, jid)
		end
	end
end

-- What there was before is not of this login: Prosody keeps lists of users who were looked at while they were offline.
local function fill(user, list)
	local roster = user.roster
	for jid in pairs(roster) do
		if jid and not list[jid] then
			roster[jid] = nil
		end
	end
	for jid, c in pairs(list) do
		roster[jid] = c
	end
	user.roster_is_there = true
end

local function result(stanza, roster)
	local reply = st.reply(stanza):query("jabber:iq:roster")
	for jid, c in pairs(roster) do
		if jid then
			add_item(reply, jid, c)
		end
	end
	return reply:reset()
end

module:hook("iq-get/self/jabber:iq:roster:query", function(event)
	local session, stanza = event.origin, event.stanza
	local user = users[session.username]
	session.interested = true
	if user.roster_is_there then
		session.send(result(stanza, user.roster))
		return true
	end
	local asking = user.roster_asking
	if asking then -- for another resource, or another time
		asking[#asking + 1] = { session, stanza }
		return true
	end
	asking = { { session, stanza } }
	user.roster_asking = asking
	fetch(session.username, {}, function(list)
		user.roster_asking = nil
		if list and not user.roster_is_there then
			fill(user, list)
		end
		for _, who in pairs(asking) do
			local answer = list and result(who[2], user.roster) or st.error_reply(who[2], "wait", "internal-server-error")
			who[1].send(answer)
		end
	end)
	return true
end)

module:hook("iq-set/self/jabber:iq:roster:query", function(event)
	event.origin.send(st.error_reply(event.stanza, "cancel", "service-unavailable"))
	return true
end)

-- Refreshes users, and tells done how many there were, and of how many the list could not be had. Who is offline counts as
-- updated, as with the module: the next login asks.
local function refresh(names, done)
	local left, updated, errors = #names, 0, 0
	local function one(ok)
		if ok then
			updated = updated + 1
		else
			errors = errors + 1
		end
		left = left - 1
		if left == 0 then
			done(updated, errors)
		end
	end
	if left == 0 then
		done(0, 0)
	end
	for i = 1, left do
		local name = names[i]
		local user = type(name) == "string" and users[name]
		if not user then
			one(true)
		else
			fetch(name, user.roster, function(list)
				if list and users[name] == user then -- and not offline, or there anew, meanwhile
					update(user, list)
					user.roster_is_there = true
				end
				one(list)
			end)
		end
	end
end

local function respond(response, answer)
	response.headers.content_type = "application/json"
	response:send(encode(answer))
	return true
end

module:provides("http", { default_path = "/roster_admin", route = {
	["POST /refresh"] = function(event)
		local names = decode(event.request.body or "")
		if type(names) ~= "table" or next(names) ~= nil and names[1] == nil then
			event.response.status_code = 400
			return respond(event.response, { status = "error", message = "the body is no JSON array of user names" })
		end
		refresh(names, function(updated, errors)
			respond(event.response, { status = "ok", message = "roster update complete", updated = updated, errors = errors })
		end)
		return true
	end,
	["GET /refresh/*"] = function(event, name)
		refresh({ http.urldecode(name) }, function(_, errors)
			respond(event.response, { status = errors == 0 and "ok" or "error", message = "roster update complete" })
		end)
		return true
	end,
} })
