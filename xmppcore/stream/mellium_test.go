package stream_test

import (
	"crypto/tls"
	"errors"
	"testing"

	melliumsasl "mellium.im/sasl"
	"mellium.im/xmpp"
	"mellium.im/xmpp/jid"
	"mellium.im/xmpp/ping"
	"mellium.im/xmpp/stanza"
)

// An independent client logs in, over STARTTLS, with the mechanism it prefers.
func TestMellium(t *testing.T) {
	for name, mechanism := range map[string]melliumsasl.Mechanism{"SCRAM-SHA-1": melliumsasl.ScramSha1, "PLAIN": melliumsasl.Plain} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(w *world) { w.host.RequireTLS = true }).listen()
			me := jid.MustParse("romeo@example.com/orchard")
			session, err := xmpp.NewClientSession(w.ctx(), me, w.raw(),
				xmpp.StartTLS(&tls.Config{InsecureSkipVerify: true}),
				xmpp.SASL("", password, mechanism),
				xmpp.BindResource(),
			)
			must(t, err)
			s := <-w.sessions
			if got := session.LocalAddr().Bare(); !got.Equal(me.Bare()) || s.User.String() != got.String() || !s.Transport.Secure() {
				t.Errorf("mellium says that it is %s, we say %s", session.LocalAddr(), s.User)
			}
			go session.Serve(nil)
			must(t, ping.Send(w.ctx(), session, jid.MustParse("example.com")))
			must(t, session.Send(w.ctx(), stanza.Presence{}.Wrap(nil)))
			if got := <-s.got; got == "" {
				t.Error("no presence")
			}
			must(t, session.Close())
			must(t, <-s.end)
		})
	}
}

func TestMelliumWrongPassword(t *testing.T) {
	w := newWorld(t, nil).listen()
	_, err := xmpp.NewClientSession(w.ctx(), jid.MustParse("romeo@example.com"), w.raw(),
		xmpp.StartTLS(&tls.Config{InsecureSkipVerify: true}),
		xmpp.SASL("", "nurse", melliumsasl.ScramSha1),
		xmpp.BindResource(),
	)
	if err == nil || errors.Is(err, w.ctx().Err()) {
		t.Errorf("mellium logged in with a wrong password: %v", err)
	}
}
