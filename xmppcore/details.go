package xmppcore

import (
	"slices"
	"time"

	"rosterd/xmppcore/xep"
)

// started is when the program began.
var started = time.Now()

// details are the extensions of a host that need its stores, or to know who is there.
func (s *Server) details(h *host) (list []xep.Extension) {
	if h.last != nil {
		list = append(list, h.last.Extension())
	}
	if slices.Contains(h.Modules, "uptime") {
		list = append(list, xep.Uptime(func() time.Duration { return time.Since(started) }))
	}
	elsewhere := h.elsewhere()
	if h.Stores != nil && (slices.Contains(h.Modules, "private") || elsewhere != nil) {
		private := &xep.Private{Store: h.Stores.Keyed("private"), Log: s.log, Elsewhere: elsewhere}
		list = append(list, private.Extension())
	}
	if h.Accounts != nil {
		list = append(list, s.ownAccounts(h))
	}
	return list
}
