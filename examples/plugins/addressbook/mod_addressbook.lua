local http, json = require "net.http", require "util.json"
local book_of = module:get_option_url_template("addressbook_url")

module:provides("roster", {
  fetch = function(user) return http.request(book_of(user)) end,
  map = function(answer, user, req)
    local contacts = {}
    for i, entry in ipairs(answer.entries) do
      contacts[i] = { jid = entry.jid, name = entry.label, groups = entry.tags, subscription = entry.state }
    end
    return contacts
  end,
  edit = function(user, change)
    if change.contact:match("@(.*)$") ~= change.host then
      return nil, "denied", "only people of "..change.host.." can be in the address book"
    end
    return http.request(book_of(user).."/"..http.urlencode(change.contact), {
      method = change.action == "remove" and "DELETE" or "PUT",
      headers = { ["Content-Type"] = "application/json", ["Idempotency-Key"] = change.id },
      body = change.action ~= "remove" and json.encode { action = change.action, label = change.name, tags = change.groups[1] and change.groups } or nil,
    })
  end,
})
