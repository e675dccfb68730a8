package main

import (
	"strings"
	"testing"

	"rosterd/engine/enginetest"
)

// TestPersonalContacts: what users keep beside the backend's contacts is there for the others, for the operator, and
// after a restart; it is none of the backend's, and goes with its user.
func TestPersonalContacts(t *testing.T) {
	t.Parallel()
	backend := enginetest.Serve(t, map[string]string{"romeo": `{"nurse@example.com": {"name": "Nurse"}}`, "juliet": `{}`})
	const option = "rosterd_roster_edit = \"personal\"\n  modules_disabled = { \"roster\", \"block_subscriptions\" }"
	p := newPlace(t, open(backend.Template(), option))
	s := p.serve(t)
	juliet, romeo := s.login(t, "juliet@example.com/balcony"), s.login(t, "romeo@example.com/orchard")
	juliet.wantRoster()
	romeo.wantRoster("nurse@example.com|Nurse|both|")
	juliet.appear()
	romeo.appear()
	equal(t, "answer", romeo.set("<item jid='nurse@example.com' subscription='remove'/>"), "cancel/not-allowed")
	equal(t, "answer", romeo.set("<item jid='juliet@example.com' name='Juliet'/>"), "result")
	romeo.wantPushes("juliet@example.com|Juliet|none|")
	romeo.send("<presence to='juliet@example.com' type='subscribe'/>")
	romeo.wantPushes("juliet@example.com|Juliet|none||ask=subscribe")
	juliet.wantPresence("romeo@example.com", "subscribe")
	juliet.send("<presence to='romeo@example.com' type='subscribed'/>")
	juliet.wantPushes("romeo@example.com||from|")
	romeo.wantPresence("juliet@example.com", "subscribed")
	romeo.wantPushes("juliet@example.com|Juliet|to|")
	romeo.wantPresence("juliet@example.com/balcony", "")
	equal(t, "requests of the backend", len(backend.Requests("romeo")), 1)

	want := func(text string, args ...string) {
		t.Helper()
		status, out, stderr := p.command(t, "", append([]string{"roster"}, args...)...)
		if out := strings.ReplaceAll(passing.ReplaceAllString(out+stderr, "…"), backend.URL, "URL"); status != exitOK || !strings.Contains(out, strings.TrimPrefix(text, "\n")) {
			t.Errorf("rosterd roster %s: status %d\n%s\nwant%s", strings.Join(args, " "), status, out, text)
		}
	}
	want(`
CONTACT             SUBSCRIPTION  NAME    GROUPS  WHOSE
juliet@example.com  to            Juliet  -       the user's own
nurse@example.com   both          Nurse   -       the backend's
`, "get", "romeo@example.com")
	want(`
  contact       juliet@example.com: subscription to, name "Juliet"
                the user's own
`, "explain", "romeo@example.com", "juliet@example.com")
	want(`
  of these      1 the user's own; 0 more of these are hidden by the backend's
`, "explain", "romeo@example.com")

	backend.Set("romeo", `{"nurse@example.com": {"name": "Nurse"}, "juliet@example.com": {"name": "Capulet"}}`)
	equal(t, "refresh", s.refresh(t, "romeo").outcomes(), []string{"romeo updated"})
	romeo.wantPushes("juliet@example.com|Capulet|both|")
	want(`
juliet@example.com  both          Capulet  -       the backend's, before one of the user's own
`, "get", "romeo@example.com")
	romeo.leave()
	juliet.leave()
	want(`
juliet@example.com  both          Capulet  -       the backend's, before one of the user's own
nurse@example.com   both          Nurse    -       the backend's
`, "get", "romeo@example.com")

	equal(t, "exit status", s.exit(t), exitOK)
	backend.Set("romeo", `{"nurse@example.com": {"name": "Nurse"}}`)
	s = p.serve(t)
	s.login(t, "romeo@example.com").wantRoster("juliet@example.com|Juliet|to|", "nurse@example.com|Nurse|both|")
	juliet = s.login(t, "juliet@example.com/balcony")
	juliet.wantRoster("romeo@example.com||from|")
	p.wantCommand(t, "", "romeo@example.com deleted (prosody)\n", "user", "delete", "romeo@example.com")
	juliet.wantPushes("romeo@example.com||none|")
}
