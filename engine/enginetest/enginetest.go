// Package enginetest says what every [engine.Backend] promises, as tests that
// anybody can run against theirs: [TestBackend] for any backend, and
// [TestHTTPBackend] for one that fetches rosters over HTTP. [Server] is the
// backend on the other side of such a one, and can be made to misbehave; other
// tests use it as well.
package enginetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// Domain is the domainpart of all users.
const Domain = "example.com"

// patience is how long a call may take that should end at once, on a machine that has much else to do.
const patience = 2 * time.Minute

// TestBackend tests what every backend promises. newBackend makes one that
// serves the given rosters: by username, in the standard JSON form.
func TestBackend(t *testing.T, newBackend func(t *testing.T, rosters map[string]string) engine.Backend) {
	for _, p := range promises() {
		t.Run(p.name, func(t *testing.T) {
			b := newBackend(t, p.rosters)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := p.check(ctx, b); err != nil {
				t.Error(err)
			}
		})
	}
}

// promise is one thing that a backend must do with these rosters.
type promise struct {
	name    string
	rosters map[string]string
	check   func(context.Context, engine.Backend) error
}

func promises() []promise {
	list := []promise{
		{"each user has his own roster", ownRosters(), checkOwnRosters},
		{"many calls at once", ownRosters(), checkConcurrency},
		{"an unknown user", ownRosters(), checkUnknownUser},
		{"a large roster", map[string]string{"romeo": largeRoster()}, checkLargeRoster},
		{"whatever the reason", twoRosters, checkReasons},
		{"a revision is of the roster it came with", twoRosters, checkRevisions},
		{"a context that has ended", twoRosters, checkEndedContext},
	}
	for _, r := range readings {
		list = append(list, promise{"reads " + r.name, map[string]string{"romeo": r.json}, r.check})
	}
	return list
}

var twoRosters = map[string]string{
	"romeo":  `{"juliet@example.com": {"name": "Juliet"}}`,
	"juliet": `{"romeo@example.com": {"name": "Romeo"}, "nurse@example.com": {"name": "Nurse"}}`,
}

// reading is a roster in the standard JSON form and what it means.
type reading struct {
	name, json string
	want       []roster.Item
	dropped    []string // part of the JID of each
}

func contact(jid, name string, groups ...string) roster.Item {
	return roster.Item{JID: addr.MustBare(jid), Name: name, Subscription: roster.Both, Groups: groups}
}

func with(i roster.Item, change func(*roster.Item)) roster.Item {
	change(&i)
	return i
}

var readings = []reading{
	{name: "an empty object", json: `{}`},
	{name: "a name", json: `{"juliet@example.com": {"name": "Juliet"}}`, want: []roster.Item{contact("juliet@example.com", "Juliet")}},
	{name: "no name", json: `{"juliet@example.com": {}}`, want: []roster.Item{contact("juliet@example.com", "")}},
	{name: "an empty name", json: `{"juliet@example.com": {"name": ""}}`, want: []roster.Item{contact("juliet@example.com", "")}},
	{
		name: "names that XML must escape", json: `{"juliet@example.com": {"name": "<J> & \"ü\" 'x' \ud83d\ude00\t"}}`,
		want: []roster.Item{contact("juliet@example.com", "<J> & \"ü\" 'x' 😀\t")},
	},
	{
		name: "groups as an array", json: `{"juliet@example.com": {"groups": ["Friends", "Capulets", "Friends"]}}`,
		want: []roster.Item{contact("juliet@example.com", "", "Capulets", "Friends")},
	},
	{
		name: "groups as an object", json: `{"juliet@example.com": {"groups": {"Friends": true, "Capulets": true}}}`,
		want: []roster.Item{contact("juliet@example.com", "", "Capulets", "Friends")},
	},
	{name: "no groups", json: `{"juliet@example.com": {"groups": []}}`, want: []roster.Item{contact("juliet@example.com", "")}},
	{
		name: "subscriptions", json: `{"a@example.com": {"subscription": "none"}, "b@example.com": {"subscription": "to"},
			"c@example.com": {"subscription": "from"}, "d@example.com": {"subscription": "both"}}`,
		want: []roster.Item{
			with(contact("a@example.com", ""), func(i *roster.Item) { i.Subscription = roster.None }),
			with(contact("b@example.com", ""), func(i *roster.Item) { i.Subscription = roster.To }),
			with(contact("c@example.com", ""), func(i *roster.Item) { i.Subscription = roster.From }),
			contact("d@example.com", ""),
		},
	},
	{
		name: "ask and approved", json: `{"a@example.com": {"subscription": "none", "ask": "subscribe"}, "b@example.com": {"subscription": "to", "approved": true}}`,
		want: []roster.Item{
			with(contact("a@example.com", ""), func(i *roster.Item) { i.Subscription, i.Ask = roster.None, true }),
			with(contact("b@example.com", ""), func(i *roster.Item) { i.Subscription, i.Approved = roster.To, true }),
		},
	},
	{name: "a JID in capitals", json: `{"JULIET@Example.COM": {}}`, want: []roster.Item{contact("juliet@example.com", "")}},
	{name: "a domain", json: `{"icq.example.com": {"name": "ICQ"}}`, want: []roster.Item{contact("icq.example.com", "ICQ")}},
	{
		name: "all but a JID that is none", json: `{"juliet@example.com": {}, "not a jid@@": {}}`,
		want: []roster.Item{contact("juliet@example.com", "")}, dropped: []string{"not a jid@@"},
	},
	{
		name: "all but a full JID", json: `{"juliet@example.com": {}, "nurse@example.com/balcony": {}}`,
		want: []roster.Item{contact("juliet@example.com", "")}, dropped: []string{"nurse@example.com/balcony"},
	},
	{
		name: "all but the owner", json: `{"juliet@example.com": {}, "romeo@example.com": {}}`,
		want: []roster.Item{contact("juliet@example.com", "")}, dropped: []string{"romeo@example.com"},
	},
	{
		name: "all but a subscription that is none", json: `{"juliet@example.com": {}, "nurse@example.com": {"subscription": "remove"}}`,
		want: []roster.Item{contact("juliet@example.com", "")}, dropped: []string{"nurse@example.com"},
	},
	{
		name: "all but groups of the wrong kind", json: `{"juliet@example.com": {}, "nurse@example.com": {"groups": 5}}`,
		want: []roster.Item{contact("juliet@example.com", "")}, dropped: []string{"nurse@example.com"},
	},
	{
		name: "all but a name that XML cannot carry", json: `{"juliet@example.com": {}, "nurse@example.com": {"name": "\u0000"}}`,
		want: []roster.Item{contact("juliet@example.com", "")}, dropped: []string{"nurse@example.com"},
	},
}

func (r reading) check(ctx context.Context, b engine.Backend) error {
	ans, err := fetch(ctx, b, "romeo", "")
	if err != nil {
		return err
	}
	want, _ := roster.New(addr.Bare{}, r.want...)
	if err := same(ans, want); err != nil {
		return err
	}
	if len(ans.Dropped) != len(r.dropped) {
		return fmt.Errorf("dropped %v, want %q", ans.Dropped, r.dropped)
	}
	for i, bad := range ans.Dropped {
		if !strings.Contains(bad.JID, r.dropped[i]) || bad.Reason == "" {
			return fmt.Errorf("dropped %v, want %q with a reason", ans.Dropped, r.dropped)
		}
	}
	return nil
}

// usernames are prepared localparts that a careless backend takes for others,
// among them the others.
var usernames = []string{
	"romeo", "jörg", "jrg", "иван", `john\20doe`, `a\2fb`, "a", "b", "100%", "p%41", "pa", "x#y", "x", "q?r=1", "q",
	"a+b", "%s", "%d", "a;b", "a=b", "a,b", "a~b_c-d.e", "a!$*()b", "[a]", "{a}", "a|b^c`d",
}

// ownRosters has for each user one contact whose name says whose it is.
func ownRosters() map[string]string {
	rosters := make(map[string]string, len(usernames))
	for _, user := range usernames {
		rosters[user] = fmt.Sprintf(`{"contact@example.net": {"name": %q}}`, "of "+user)
	}
	return rosters
}

func checkOwnRoster(ctx context.Context, b engine.Backend, user string) error {
	ans, err := fetch(ctx, b, user, "")
	if err != nil {
		return err
	}
	want, _ := roster.New(addr.Bare{}, contact("contact@example.net", "of "+user))
	if err := same(ans, want); err != nil {
		return fmt.Errorf("user %q: %w", user, err)
	}
	return nil
}

func checkOwnRosters(ctx context.Context, b engine.Backend) error {
	var all []error
	for _, user := range usernames {
		all = append(all, checkOwnRoster(ctx, b, user))
	}
	return errors.Join(all...)
}

func checkConcurrency(ctx context.Context, b engine.Backend) error {
	errs := make([]error, 4*len(usernames))
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = checkOwnRoster(ctx, b, usernames[i%len(usernames)]) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func checkUnknownUser(ctx context.Context, b engine.Backend) error {
	ans, err := fetch(ctx, b, "tybalt", "")
	switch {
	case err == nil:
		return fmt.Errorf("an unknown user has a roster of %d contacts, want an error that is ErrUnknownUser", ans.Roster.Len())
	case !errors.Is(err, engine.ErrUnknownUser):
		return fmt.Errorf("an unknown user is the error %w, which is not ErrUnknownUser", err)
	}
	return checkOwnRoster(ctx, b, "romeo")
}

const largeSize = 5000

func largeRoster() string {
	var b strings.Builder
	for i := range largeSize {
		fmt.Fprintf(&b, `,"contact%04d@example.net": {"name": "Contact %d", "groups": ["Group %d"]}`, i, i, i%10)
	}
	return "{" + b.String()[1:] + "}"
}

func checkLargeRoster(ctx context.Context, b engine.Backend) error {
	ans, err := fetch(ctx, b, "romeo", "")
	if err != nil {
		return err
	}
	if ans.Roster.Len() != largeSize {
		return fmt.Errorf("%d contacts, want %d", ans.Roster.Len(), largeSize)
	}
	last, _ := ans.Roster.Get(addr.MustBare("contact4999@example.net"))
	if want := contact("contact4999@example.net", "Contact 4999", "Group 9"); !last.Equal(want) {
		return fmt.Errorf("the last contact is %+v, want %+v", last, want)
	}
	return nil
}

func checkReasons(ctx context.Context, b engine.Backend) error {
	want, _ := roster.New(addr.Bare{}, contact("juliet@example.com", "Juliet"))
	for _, reason := range []engine.Reason{engine.ReasonLogin, engine.ReasonRefresh, engine.ReasonOtherSide, engine.ReasonTest} {
		ans, err := b.Fetch(ctx, engine.Request{User: bare("romeo"), Reason: reason})
		if err == nil {
			err = same(ans, want)
		}
		if err != nil {
			return fmt.Errorf("reason %q: %w", reason, err)
		}
	}
	return nil
}

// checkRevisions: only the revision that came with this very roster may be
// answered with Unchanged.
func checkRevisions(ctx context.Context, b engine.Backend) error {
	first, err := fetch(ctx, b, "romeo", "")
	if err != nil {
		return err
	}
	if first.Unchanged {
		return errors.New("nothing has changed, it says, though it was given no revision")
	}
	if err := checkSameRevision(ctx, b, first); err != nil {
		return err
	}
	others := map[string]string{"a revision that it never gave": "no revision of yours", "a revision of many bytes": strings.Repeat("x", 10_000)}
	if other, err := fetch(ctx, b, "juliet", ""); err != nil {
		return err
	} else if other.Rev != "" && other.Rev != first.Rev {
		others["the revision of another user's roster"] = other.Rev
	}
	for what, rev := range others {
		ans, err := fetch(ctx, b, "romeo", rev)
		if err == nil {
			err = same(ans, first.Roster)
		}
		if err != nil {
			return fmt.Errorf("given %s: %w", what, err)
		}
	}
	return nil
}

func checkSameRevision(ctx context.Context, b engine.Backend, first engine.Answer) error {
	if first.Rev == "" {
		return nil
	}
	again, err := fetch(ctx, b, "romeo", first.Rev)
	if err != nil {
		return fmt.Errorf("given its own revision: %w", err)
	}
	if !again.Unchanged {
		return same(again, first.Roster)
	}
	if again.Rev != "" && again.Rev != first.Rev {
		return fmt.Errorf("nothing has changed, it says, but revision %q is now %q", first.Rev, again.Rev)
	}
	return nil
}

// checkEndedContext allows an answer, as long as there is one.
func checkEndedContext(ctx context.Context, b engine.Backend) error {
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := within(ctx, func() { _, _ = fetch(ended, b, "romeo", "") }); err != nil {
		return err
	}
	want, _ := roster.New(addr.Bare{}, contact("juliet@example.com", "Juliet"))
	ans, err := fetch(ctx, b, "romeo", "")
	if err != nil {
		return fmt.Errorf("the next call fails as well: %w", err)
	}
	return same(ans, want)
}

// within waits for f, as long as ctx lasts.
func within(ctx context.Context, f func()) error {
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return errors.New("the call does not return although its context has ended")
	}
}

func bare(user string) addr.Bare { return addr.MustBare(user + "@" + Domain) }

func fetch(ctx context.Context, b engine.Backend, user, rev string) (engine.Answer, error) {
	ans, err := b.Fetch(ctx, engine.Request{User: bare(user), Reason: engine.ReasonTest, Rev: rev})
	if err != nil {
		return ans, fmt.Errorf("fetch of %q: %w", user, err)
	}
	return ans, nil
}

// same says how the roster of an answer differs from the one that is wanted.
func same(ans engine.Answer, want roster.Roster) error {
	if ans.Unchanged {
		return errors.New("nothing has changed, it says, though it cannot know what we hold")
	}
	if ans.Roster.Equal(want) {
		return nil
	}
	got, wanted := slices.Collect(ans.Roster.All()), slices.Collect(want.All())
	return fmt.Errorf("roster is %s, want %s", list(got), list(wanted))
}

func list(items []roster.Item) string {
	if len(items) > 5 {
		return fmt.Sprintf("%v and %d more", items[:5], len(items)-5)
	}
	return fmt.Sprint(items)
}
