package rosterproto

import (
	"rosterd/engine/roster"
	"rosterd/xmppcore/registry"
)

// AppendAnswer answers a roster get in the shortest way (RFC 6121 §2.6.3): to a client whose version is in the
// past that we know, an empty result and a push for each contact that is no longer the same; to others, or where
// these would be longer, the whole roster.
func AppendAnswer(dst []byte, q registry.Asked, to string, r roster.Roster, past roster.History) []byte {
	if !q.Versioned {
		return AppendResult(dst, q, to, r)
	}
	steps, known := past.Since(q.Ver, r)
	if !known || len(steps) == 0 {
		return AppendResult(dst, q, to, r)
	}
	start := len(dst)
	dst = appendEmptyResult(dst, q, to)
	for _, c := range steps {
		dst = AppendPush(dst, pushes.Add(1), to, c)
	}
	if shorter(q, to, r, len(dst)-start) {
		return AppendResult(dst[:start], q, to, r)
	}
	return dst
}

// shorter tells whether the whole roster takes less than so many bytes. It looks no further than these.
func shorter(q registry.Asked, to string, r roster.Roster, than int) bool {
	b := AppendResult(nil, q, to, roster.Roster{})
	size := len(b)
	items := r.Items()
	for i := range items {
		if size >= than {
			return false
		}
		b = AppendItem(b[:0], &items[i])
		size += len(b)
	}
	return size < than
}
