local http = require "net.http"
local friends_of = module:get_option_url_template("friends_url")

module:provides("roster", {
  fetch = function(user) return http.request(friends_of(user)) end,
  map = function(answer, user, req)
    local contacts = {}
    for i, friend in ipairs(answer.friends) do
      contacts[i] = { jid = friend.login .. "@" .. req.host, name = friend.name, groups = { friend.team } }
    end
    return contacts
  end,
})
