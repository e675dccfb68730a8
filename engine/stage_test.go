package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// scenario is a play with one engine, written as text. A line that starts at the margin is something that is
// done; the indented lines under it are all that happens then, until everybody waits again. The order of the
// indented lines counts among those of one user. The clock is that of testing/synctest.
//
//	attach romeo             a resource of romeo@example.com; attach romeo/2 is another
//	load romeo               Load of a resource; release romeo ends it
//	refresh romeo tybalt     a refresh of these names with 30 s; refresh@2s has 2 s, refresh@0s none
//	each romeo tybalt        the same, and each name lands as soon as it is done
//	answer romeo: juliet     the backend answers the oldest open call with a roster of one contact
//	late romeo: juliet       the same for the newest open call
//	fail romeo: text         the backend answers with an error; unknown, denied, temporary, panic, goexit are some more
//	hold romeo               from now on the watcher does not return for romeo; go romeo ends that
//	wait 5s                  time passes
//	let romeo                ReleaseHeld with 30 s
//	close                    the engine is closed, in the background
//	restart                  the engine is closed and another one made with the same backend and keeper
//
// A roster is written as the localparts of its contacts, "nurse:to" for a subscription other than both and
// "nurse=Angelica" for a name. Before the colon of an answer may stand rev=REVISION, unchanged, dropped=JID, and what
// Cache-Control says: max-age=60s, stale-if-error=60s. After temporary and the name may stand after=60s.
type scenario struct {
	name   string
	host   Host // Backend and Keeper are set by the stage
	deaf   bool // the backend does not end with its context
	keeper *memory
	script string
}

func play(t *testing.T, scenarios []scenario) {
	for _, sc := range scenarios {
		t.Run(sc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, sc)
				defer s.end()
				for _, step := range steps(sc.script) {
					s.step(step)
				}
			})
		})
	}
}

type step struct {
	line int
	do   string
	want []string
}

func steps(script string) (list []step) {
	for n, line := range strings.Split(script, "\n") {
		line = strings.TrimPrefix(line, "\t\t\t")
		switch text := strings.TrimSpace(line); {
		case text == "":
		case text != line:
			last := &list[len(list)-1]
			last.want = append(last.want, text)
		default:
			list = append(list, step{line: n + 1, do: text})
		}
	}
	return list
}

// stage is an engine and all that is around it.
type stage struct {
	t         *testing.T
	sc        scenario
	e         *Engine
	resources map[string]*Resource
	held      map[string]chan struct{}

	mu    sync.Mutex // guards the fields below
	out   []string
	calls []*asked // open ones, in the order of their coming
	told  map[addr.Bare]*life
}

// asked is a call to the backend that was not answered yet.
type asked struct {
	Request
	answer chan func() (Answer, error)
}

// life is what the watcher has seen of one life of a user.
type life struct {
	id      *user
	loaded  bool
	roster  roster.Roster
	telling bool
}

func newStage(t *testing.T, sc scenario) *stage {
	s := &stage{t: t, sc: sc, resources: map[string]*Resource{}, held: map[string]chan struct{}{}, told: map[addr.Bare]*life{}}
	s.start()
	return s
}

func (s *stage) start() {
	h := s.sc.host
	h.Retry = cmp.Or(h.Retry, -1)
	h.Backend = BackendFunc(s.fetch)
	if s.sc.keeper != nil {
		h.Keeper = s.sc.keeper
	}
	other := h
	other.OneSided = false
	s.e = New(map[string]Host{"example.com": h, "other.example": other}, s.watch, slog.New(&logged{say: s.say}))
}

func (s *stage) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out = append(s.out, fmt.Sprintf(format, args...))
}

func (s *stage) fetch(ctx context.Context, r Request) (Answer, error) {
	c := &asked{r, make(chan func() (Answer, error), 1)}
	rev := ""
	if r.Rev != "" {
		rev = " rev=" + r.Rev
	}
	s.say("asks %s %s%s", short(r.User), r.Reason, rev)
	s.mu.Lock()
	s.calls = append(s.calls, c)
	s.mu.Unlock()
	done := ctx.Done()
	if s.sc.deaf {
		done = nil
	}
	select {
	case f := <-c.answer:
		return f()
	case <-done:
		s.mu.Lock()
		s.calls = slices.DeleteFunc(s.calls, func(o *asked) bool { return o == c })
		s.mu.Unlock()
		s.say("quits %s", short(r.User))
		return Answer{}, ctx.Err()
	}
}

func (s *stage) watch(ev Event) {
	u := short(ev.User)
	gone := ""
	if ev.Gone() {
		gone = " gone"
	}
	s.say("tells %s%s%s", u, gone, describe(ev))
	s.check(ev)
	s.mu.Lock()
	hold := s.held[u]
	s.mu.Unlock()
	if hold != nil {
		<-hold
	}
	s.mu.Lock()
	s.told[ev.User].telling = false
	s.mu.Unlock()
}

// check holds each event against what a watcher may rely on.
func (s *stage) check(ev Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.told[ev.User]
	if l != nil && l.telling {
		s.t.Errorf("two events of %s at a time", ev.User)
	}
	if l == nil || l.id != ev.life {
		l = &life{id: ev.life}
		s.told[ev.User] = l
	}
	l.telling = true
	if err := l.take(ev); err != nil {
		s.t.Errorf("event %s%s: %v", ev.User, describe(ev), err)
	}
}

func (l *life) take(ev Event) error {
	switch {
	case ev.First == l.loaded:
		return fmt.Errorf("First is %v after a roster was told: %v", ev.First, l.loaded)
	case ev.Err != nil:
		return nil
	case ev.From.Version() != l.roster.Version():
		return fmt.Errorf("it starts from {%s}, told last was {%s}", contacts(ev.From), contacts(l.roster))
	case !ev.First && len(ev.Changes) == 0:
		return errors.New("nothing changes")
	case len(ev.Changes) > 0 && !ev.From.Apply(ev.Changes...).Equal(ev.To):
		return errors.New("the changes do not lead from From to To")
	}
	l.loaded, l.roster = true, ev.To
	return nil
}

// step does what a line says, lets everybody run until they wait, and compares.
func (s *stage) step(st step) {
	s.t.Helper()
	s.do(st.do)
	synctest.Wait()
	s.mu.Lock()
	got := s.out
	s.out = nil
	s.mu.Unlock()
	byWho := func(a, b string) int { return cmp.Compare(who(a), who(b)) }
	slices.SortStableFunc(got, byWho)
	slices.SortStableFunc(st.want, byWho)
	if !slices.Equal(got, st.want) {
		s.t.Fatalf("line %d: %s\ngot:\n  %s\nwant:\n  %s", st.line, st.do, strings.Join(got, "\n  "), strings.Join(st.want, "\n  "))
	}
}

// who is whose doing a line is. A call that ends with its context does so beside whatever the user does.
func who(line string) string {
	verb, rest, _ := strings.Cut(line, " ")
	name, _, _ := strings.Cut(rest, " ")
	if verb == "quits" {
		return line
	}
	return name
}

// end closes everything. Goroutines that stay behind fail the test by themselves (testing/synctest).
func (s *stage) end() {
	for _, u := range slices.Collect(maps.Keys(s.held)) {
		s.do("go " + u)
	}
	s.mu.Lock()
	for _, c := range s.calls {
		c.answer <- func() (Answer, error) { return Answer{}, errors.New("the end") }
	}
	s.mu.Unlock()
	if err := s.e.Close(context.Background()); err != nil {
		s.t.Error(err)
	}
	for _, r := range s.resources {
		r.Release()
	}
	synctest.Wait()
	if n := s.e.inhabitants(); n > 0 {
		s.t.Errorf("%d users stayed behind", n)
	}
}

// inhabitants counts the users that the engine holds in any way.
func (e *Engine) inhabitants() (n int) {
	for i := range e.shards {
		e.shards[i].mu.Lock()
		n += len(e.shards[i].users) + len(e.shards[i].leaving)
		e.shards[i].mu.Unlock()
	}
	return n
}

func (s *stage) do(line string) {
	verb, rest, _ := strings.Cut(line, " ")
	head, text, _ := strings.Cut(rest, ":")
	text = strings.TrimSpace(text)
	verb, deadline, timed := strings.Cut(verb, "@")
	switch verb {
	case "attach":
		r, err := s.e.Attach(jid(rest))
		if err != nil {
			s.say("refuses %s %v", rest, err)
			return
		}
		s.resources[rest] = r
	case "load":
		s.resources[rest].Load()
	case "release":
		s.resources[rest].Release()
	case "refresh", "each":
		d := 30 * time.Second
		if timed {
			d = s.duration(deadline)
		}
		var landed Landed
		if verb == "each" {
			landed = func(at int, r Result) { s.say("lands %s %d %s", cmp.Or(r.Name, `""`), at, r.text(s.t)) }
		}
		go s.refresh(d, strings.Fields(rest), landed)
	case "hold":
		s.mu.Lock()
		s.held[rest] = make(chan struct{})
		s.mu.Unlock()
	case "go":
		s.mu.Lock()
		close(s.held[rest])
		delete(s.held, rest)
		s.mu.Unlock()
	case "wait":
		<-time.After(s.duration(rest))
	case "let":
		go s.let(rest)
	case "close":
		go func(e *Engine) { s.say("closed %v", e.Close(context.Background())) }(s.e)
	case "restart":
		if err := s.e.Close(context.Background()); err != nil {
			s.t.Fatal(err)
		}
		clear(s.resources)
		s.start()
	default:
		s.answer(verb, strings.Fields(head), text)
	}
}

func (s *stage) let(name string) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	r, err := s.e.ReleaseHeld(ctx, jid(name))
	s.say("lets %s %s(%d) %s %v", name, r.Outcome, r.Changes, r.Error, err)
}

func (s *stage) answer(verb string, head []string, text string) {
	u := jid(head[0])
	s.mu.Lock()
	defer s.mu.Unlock()
	k := slices.IndexFunc(s.calls, func(c *asked) bool { return c.User == u })
	if verb == "late" {
		for i, c := range s.calls {
			if c.User == u {
				k = i
			}
		}
	}
	if k < 0 {
		s.t.Fatalf("%s %s: the backend was not asked", verb, head)
	}
	c := s.calls[k]
	s.calls = slices.Delete(s.calls, k, k+1)
	c.answer <- s.reaction(verb, head[1:], text, u)
}

func (s *stage) reaction(verb string, options []string, text string, u addr.Bare) func() (Answer, error) {
	var after time.Duration
	if len(options) > 0 && strings.HasPrefix(options[0], "after=") {
		after = s.duration(options[0][len("after="):])
	}
	failures := map[string]error{
		"fail":         errors.New(text),
		"unknown":      fmt.Errorf("%w: %s", ErrUnknownUser, text),
		"denied":       fmt.Errorf("%w: %s", ErrDenied, text),
		"temporary":    &TemporaryError{RetryAfter: after, Err: errors.New(text)},
		"instructions": &FaultError{Kind: "instructions", Err: errors.New(text)},
		"permanent":    &PermanentError{Err: errors.New(text)},
	}
	switch verb {
	case "panic":
		return func() (Answer, error) { panic(text) }
	case "goexit":
		return func() (Answer, error) { runtime.Goexit(); return Answer{}, nil }
	case "answer", "late":
		ans := Answer{Roster: parseRoster(text)}
		for _, o := range options {
			switch key, value, _ := strings.Cut(o, "="); key {
			case "rev":
				ans.Rev = value
			case "unchanged":
				ans.Unchanged = true
			case "max-age":
				ans.MaxAge = s.duration(value)
			case "stale-if-error":
				ans.StaleIfError, ans.Bounded = s.duration(value), true
			case "dropped":
				ans.Dropped = append(ans.Dropped, roster.BadItem{JID: value, Reason: "not a valid JID"})
			}
		}
		return func() (Answer, error) { return ans, nil }
	}
	err, ok := failures[verb]
	if !ok {
		s.t.Fatalf("%s is nothing that can be done", verb)
	}
	return func() (Answer, error) { return Answer{}, err }
}

func (s *stage) refresh(d time.Duration, names []string, landed Landed) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	for i, n := range names {
		names[i] = strings.Trim(n, `"`)
	}
	sum := s.e.RefreshEach(ctx, "example.com", names, landed)
	var b strings.Builder
	for i, r := range sum.Results {
		if r.Name != names[i] {
			s.t.Errorf("result %d is of %q, not %q", i, r.Name, names[i])
		}
		fmt.Fprintf(&b, " %s=%s", cmp.Or(r.Name, `""`), r.text(s.t))
	}
	s.say("refreshed %d/%d:%s", sum.Updated, sum.Errors, b.String())
}

func (r Result) text(t *testing.T) string {
	switch {
	case r.Outcome == Updated:
		return fmt.Sprintf("%s(%d)", r.Outcome, r.Changes)
	case r.Outcome == Failed || r.Outcome == HeldBack:
		return fmt.Sprintf("%s(%s)", r.Outcome, r.Error)
	case (r.Error == "") != (r.Outcome != Invalid && r.Outcome != Pending):
		t.Errorf("%s of %q with the error %q", r.Outcome, r.Name, r.Error)
	}
	return string(r.Outcome)
}

func (s *stage) duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// jid reads "romeo", "romeo/2" (a name for one of his resources) and "romeo@other.example".
func jid(name string) addr.Bare {
	name, _, _ = strings.Cut(name, "/")
	if !strings.Contains(name, "@") {
		name += "@example.com"
	}
	return addr.MustBare(name)
}

func short(u addr.Bare) string { return strings.TrimSuffix(u.String(), "@example.com") }

func parseRoster(text string) roster.Roster {
	var items []roster.Item
	for _, word := range strings.Fields(text) {
		i := roster.Item{Subscription: roster.Both}
		word, i.Name, _ = strings.Cut(word, "=")
		contact, sub, ok := strings.Cut(word, ":")
		if ok {
			var err error
			if i.Subscription, err = roster.ParseSubscription(sub); err != nil {
				panic(err)
			}
		}
		i.JID = jid(contact)
		items = append(items, i)
	}
	r, bad := roster.New(addr.Bare{}, items...)
	if len(bad) > 0 {
		panic(bad)
	}
	return r
}

func contacts(r roster.Roster) string {
	var words []string
	for i := range r.All() {
		w := short(i.JID)
		if i.Subscription != roster.Both {
			w += ":" + i.Subscription.String()
		}
		if i.Name != "" {
			w += "=" + i.Name
		}
		words = append(words, w)
	}
	return strings.Join(words, " ")
}

func describe(ev Event) string {
	var b strings.Builder
	if ev.First {
		b.WriteString(" first")
	}
	if ev.Stale {
		b.WriteString(" stale")
	}
	if ev.Err != nil {
		kind := "error"
		if errors.Is(ev.Err, context.DeadlineExceeded) {
			kind = "timeout"
		}
		fmt.Fprintf(&b, " %s %v", kind, ev.Err)
		return b.String()
	}
	if !ev.First || ev.From.Len() > 0 {
		fmt.Fprintf(&b, " {%s} →", contacts(ev.From))
	}
	fmt.Fprintf(&b, " {%s}", contacts(ev.To))
	for _, c := range ev.Changes {
		sign := "~"
		if c.Old == nil {
			sign = "+"
		} else if c.New == nil {
			sign = "-"
		}
		b.WriteString(" " + sign + short(c.Contact))
	}
	return b.String()
}

// logged is a log whose lines of level Info and above happen on the stage.
type logged struct {
	say func(format string, args ...any)
}

func (*logged) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }
func (l *logged) WithAttrs([]slog.Attr) slog.Handler         { return l }
func (l *logged) WithGroup(string) slog.Handler              { return l }

func (l *logged) Handle(_ context.Context, r slog.Record) error {
	user, rest := "-", ""
	r.Attrs(func(a slog.Attr) bool {
		switch {
		case a.Key == "user":
			user = short(a.Value.Any().(addr.Bare))
		case a.Key == "until": // left to chance
			rest += " until=soon"
		case a.Key == "stack":
			rest += fmt.Sprintf(" stack=%v", strings.Contains(a.Value.String(), "engine.call("))
		default:
			rest += fmt.Sprintf(" %s=%v", a.Key, a.Value)
		}
		return true
	})
	l.say("logs %s %s %s:%s", user, r.Level, r.Message, rest)
	return nil
}

// memory is a FreshKeeper.
type memory struct {
	mu         sync.Mutex
	docs       map[addr.Bare]string
	fresh      map[addr.Bare]time.Time
	load, save error
	spoil, ask error // of Spoil and Fresh
	saves      int
	saving     func() // happens while a document is saved
}

var _ FreshKeeper = (*memory)(nil)

func (m *memory) LoadRoster(_ context.Context, u addr.Bare) ([]byte, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	doc, ok := m.docs[u]
	return []byte(doc), ok, m.load
}

func (m *memory) SaveRoster(ctx context.Context, u addr.Bare, doc []byte) error {
	return m.SaveFresh(ctx, u, doc, time.Time{})
}

func (m *memory) SaveFresh(ctx context.Context, u addr.Bare, doc []byte, until time.Time) error {
	if m.saving != nil {
		m.saving()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.save != nil || ctx.Err() != nil {
		return cmp.Or(m.save, ctx.Err())
	}
	if m.docs == nil {
		m.docs = map[addr.Bare]string{}
	}
	if m.fresh == nil {
		m.fresh = map[addr.Bare]time.Time{}
	}
	m.docs[u], m.fresh[u] = string(doc), until.Round(0)
	m.saves++
	return nil
}

func (m *memory) Fresh(_ context.Context, u addr.Bare) (time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.fresh[u], m.ask
}

func (m *memory) Spoil(_ context.Context, users []addr.Bare) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, u := range users {
		if u.IsZero() || u.Domain() != users[0].Domain() {
			return fmt.Errorf("user %q among those of %s", u, users[0].Domain())
		}
		delete(m.fresh, u)
	}
	return m.spoil
}
