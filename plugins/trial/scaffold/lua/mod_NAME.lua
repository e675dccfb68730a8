-- Rosters from NAME. This file runs once when the server opens it, and again for every call: what has to last
-- between calls belongs into module:open_store.
local http = require "net.http"

-- NAME_url is set in prosody.cfg.lua; %s in it stands for the user's name. The server asks only who is named there.
local url_of = module:get_option_url_template("NAME_url")

-- What a 200 means: here { "people": [ { "login": "marie", "name": "Marie", "team": "Sales" } ] }.
local function read(answer, host)
  local contacts = {}
  for i, person in ipairs(answer.people) do
    assert(type(person.login) == "string", "somebody without a login")
    contacts[i] = { jid = person.login .. "@" .. host }
    if type(person.name) == "string" then contacts[i].name = person.name end
    if type(person.team) == "string" then contacts[i].groups = { person.team } end
  end
  return contacts
end

module:provides("roster", {
  -- Whose contacts? A 404 means that there is no such user, and other answers than 200 that there is none now:
  -- clients keep the roster that they have.
  fetch = function(user, req)
    return http.request(url_of(user), { rev = req.rev })
  end,

  -- An answer that is not as agreed is none either: a roster without contacts must not be read into it.
  map = function(answer, user, req)
    local ok, contacts = pcall(read, answer, req.host)
    if not ok then return nil, "temporary", "the answer cannot be read: " .. tostring(contacts) end
    return contacts
  end,
})
