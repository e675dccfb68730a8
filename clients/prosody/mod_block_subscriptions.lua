-- Stands where the community's module of this name would: what would subscribe is dropped.
module:hook("pre-presence/bare", function(event)
	local kind = event.stanza.attr.type
	return kind ~= nil and kind:find("subscribe", 1, true) ~= nil or nil
end, 1000)
