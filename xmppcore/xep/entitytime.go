package xep

import (
	"time"

	"rosterd/xmppcore/router"
)

const nsTime = "urn:xmpp:time"

// Time is XEP-0202; now is the clock.
func Time(now func() time.Time) Extension {
	answer := func(q *router.Query) {
		t := now()
		b := append([]byte("<time xmlns='"+nsTime+"'><tzo>"), t.Format("-07:00")...)
		b = append(b, "</tzo><utc>"...)
		b = t.UTC().AppendFormat(b, "2006-01-02T15:04:05Z")
		q.Result(append(b, "</utc></time>"...))
	}
	h := router.Handlers{{Space: nsTime, Name: "time"}: getOnly(answer)}
	return Extension{Features: []string{nsTime}, Server: h}
}
