package config

import "rosterd/engine/addr"

// What a host says to its users (modules motd, welcome).
var (
	MOTDText = declare(Spec{Name: "motd_text", Owner: "motd",
		Doc: "message of the day, to each client that becomes available"}, text, "")
	MOTDFrom = declareFor(Spec{Name: "motd_jid", Owner: "motd",
		Doc: "address that the message of the day comes from; else the host"}, anyJID,
		func(h *Host) addr.JID { j, _ := addr.New("", h.Name, ""); return j })
	WelcomeMessage = declare(Spec{Name: "welcome_message", Owner: "welcome",
		Doc: "message to users who have registered; $username and $host stand for theirs"}, text, "Hello $username, welcome to the $host IM server!")
)

// anyJID reads an address of any form.
func anyJID(r *reading, v Value) (addr.JID, bool) {
	s, ok := text(r, v)
	if !ok {
		return addr.JID{}, false
	}
	jid, err := addr.Parse(s)
	if err != nil {
		r.fail(v, "takes a JID: %v", err)
		return addr.JID{}, false
	}
	return jid, true
}
