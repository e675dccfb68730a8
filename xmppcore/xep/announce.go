package xep

import (
	"log/slog"
	"slices"

	"rosterd/engine/addr"
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/router"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stanza"
)

// announceOnline is the resourcepart of a host's address that announcements go to, as in jabberd.
const announceOnline = "announce/online"

// Announce passes what an admin sends to the announcing address of a host on to all of its users who are online, as a
// headline from the host. It goes where a message to their bare JIDs goes.
func Announce(online *registry.Registry, admins []addr.Bare, log *slog.Logger) Extension {
	return Extension{Heard: func(from router.Origin, to addr.JID, st *scan.Stanza) (mine bool, refused *stanza.Error) {
		switch {
		case to.Resource() != announceOnline:
			return false, nil
		case from.Resource == nil || !slices.Contains(admins, from.JID.Bare()):
			log.Warn("announcement of somebody who is no admin", "user", from.JID, "host", to.Domain())
			return true, &stanza.Error{Condition: stanza.Forbidden, Text: "only admins make announcements"}
		}
		users := announce(online, to.Domain(), stanza.AppendMessage(nil, stanza.TypeHeadline, to.Domain(), "", children(st)))
		log.Info("announcement", "user", from.JID, "host", to.Domain(), "users", users)
		return true, nil
	}}
}

// announce sends a message that has no to, and counts who gets it.
func announce(online *registry.Registry, domain string, message []byte) (users int) {
	got := make(map[*registry.Account]struct{})
	for res := range online.All() {
		if res.Full.Domain() == domain && listens(res) && res.AppendOwn(func(dst []byte) []byte {
			return stanza.AppendAddressed(dst, message, res.Account.User.String())
		}) {
			got[res.Account] = struct{}{}
		}
	}
	return len(got)
}

func listens(res *registry.Resource) bool {
	res.Account.Lock()
	defer res.Account.Unlock()
	return res.Listens()
}

// children are the elements inside a stanza, as they can stand inside another.
func children(st *scan.Stanza) (content []byte) {
	for i := range st.Children {
		content = st.Element(i).AppendAlone(content)
	}
	return content
}
