-- Rosters from NAME. This file runs once when the server opens it, and again for every call: what has to last
-- between calls belongs into module:open_store.
local http = require "net.http"

-- NAME_url is set in prosody.cfg.lua; %s in it stands for the user's name. The server asks only who is named there.
local url_of = module:get_option_url_template("NAME_url")

module:provides("roster", {
  -- Whose contacts? A 404 means that there is no such user, and other answers than 200 that there is none now:
  -- clients keep the roster that they have.
  fetch = function(user, req)
    return http.request(url_of(user), { rev = req.rev })
  end,

  -- What a 200 means: here { "people": [ { "login": "marie", "name": "Marie", "team": "Sales" } ] }.
  map = function(answer, user, req)
    local contacts = {}
    for i, person in ipairs(answer.people) do
      contacts[i] = { jid = person.login .. "@" .. req.host, name = person.name, groups = { person.team } }
    end
    return contacts
  end,
})
