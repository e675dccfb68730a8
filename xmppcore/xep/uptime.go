package xep

import (
	"strconv"
	"time"

	"rosterd/xmppcore/router"
	"rosterd/xmppcore/stanza"
)

// Uptime is XEP-0012 of the server: for how long it has been running.
func Uptime(running func() time.Duration) Extension {
	h := router.Handlers{{Space: nsLast, Name: "query"}: getOnly(func(q *router.Query) { q.Result(lastActivity(running(), "")) })}
	return Extension{Features: []string{nsLast}, Server: h}
}

// lastActivity says how long ago something was, and what was said then.
func lastActivity(ago time.Duration, status string) []byte {
	b := []byte("<query xmlns='" + nsLast + "' seconds='")
	b = strconv.AppendInt(b, int64(max(ago, 0)/time.Second), 10)
	if status == "" {
		return append(b, "'/>"...)
	}
	return append(stanza.AppendText(append(b, "'>"...), status), "</query>"...)
}
