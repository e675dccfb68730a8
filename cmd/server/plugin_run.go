package main

import (
	"context"
	crand "crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rosterd/plugins"
	"rosterd/plugins/trial"
)

// pluginRun makes one call with the real backend.
func pluginRun(ctx context.Context, args []string, c console) int {
	t := newPluginTool("run", c)
	t.configured()
	t.isolated()
	r := &liveRun{tool: t, incoming: trial.Incoming{Headers: trial.Header{}}}
	f := t.flags
	f.StringVar(&r.user, "user", "", "whose roster, or for --call auth whose password, for --call vcard who: `USER@HOST`")
	f.StringVar(&r.call, "call", trial.CallFetch, "what to ask: `fetch|auth|http|timer|edit|vcard`; auth reads the password from standard input")
	f.StringVar(&r.record, "record", "", "write the call into a folder, for rosterd plugin test: `DIR/tests`")
	f.StringVar(&r.request, "request", "", "for --call http: `\"POST /PATH?QUERY\"`")
	f.StringVar(&r.data, "data", "", "for --call http: the body, or `@FILE`")
	f.Func("header", "for --call http: `\"NAME: VALUE\"`; may be repeated", r.header)
	f.StringVar(&r.edit, "edit", "", "for --call edit: what the user wants, `\"ACTION CONTACT\"`")
	f.StringVar(&r.wish.Name, "name", "", "for --call edit: the contact's `NAME`")
	f.Func("group", "for --call edit: a `GROUP` of the contact; may be repeated", func(s string) error { r.wish.Groups = append(r.wish.Groups, s); return nil })
	f.IntVar(&r.timer, "timer", 0, "for --call timer: which one, from 0")
	f.DurationVar(&r.time, "time", 5*time.Second, "how long it may take")
	f.BoolVar(&t.json, "json", false, "print JSON")
	rest, err := t.parse(args)
	switch {
	case err != nil:
	case len(rest) != 1:
		err = t.wrong("one plugin is expected")
	case !slices.Contains(trial.Calls, r.call):
		err = t.wrong("--call: %q is none of %s", r.call, strings.Join(trial.Calls, ", "))
	case r.user == "" && (r.call == trial.CallFetch || r.call == trial.CallAuth || r.call == trial.CallEdit || r.call == trial.CallCard):
		err = t.wrong("whose? --user USER@HOST")
	case r.request == "" && r.call == trial.CallHTTP:
		err = t.wrong(`which request? --request "POST /changed"`)
	case r.call == trial.CallEdit && len(strings.Fields(r.edit)) != 2:
		err = t.wrong(`what does the user want? --edit "set marie@example.com"; the actions are %s`, strings.Join(trial.Actions(), ", "))
	default:
		err = r.run(ctx, rest[0])
	}
	return t.end(err, exitFailed)
}

// liveRun is one call, as the command line has it.
type liveRun struct {
	tool          *pluginTool
	user, call    string
	request, data string
	incoming      trial.Incoming
	edit          string
	wish          trial.Wish
	timer         int
	time          time.Duration
	record        string
	subject       trial.Subject
}

func (r *liveRun) header(s string) error {
	name, value, ok := strings.Cut(s, ":")
	if !ok || name == "" {
		return errors.New(`"NAME: VALUE" is expected`)
	}
	http.Header(r.incoming.Headers).Add(name, strings.TrimSpace(value))
	return nil
}

func (r *liveRun) run(ctx context.Context, arg string) error {
	s, err := r.tool.find(arg)
	if err != nil {
		return err
	}
	r.subject = s
	c, err := r.asCase(s)
	if err != nil {
		return err
	}
	tr := trial.Trial{Subject: s, Case: c, Manager: r.tool.manager(), Config: r.tool.config(c.Host), Live: true, Still: r.record != "", Time: r.time}
	if tr.Still {
		c.Now, c.Seed = time.Now().UTC().Truncate(time.Second), rand.Uint64()>>33
	}
	o, out, err := r.tool.call(ctx, tr)
	var refused *trial.OpenError
	if errors.As(err, &refused) {
		fmt.Fprintf(r.tool.c.err, "rosterd plugin run: %v\n", err)
		r.tool.hint(r.tool.c.err, r.tool.look(s, c.Host), refused)
		return errUnwell
	}
	if err != nil {
		return err
	}
	for _, name := range r.tool.unread(o.Read) {
		fmt.Fprintf(r.tool.c.err, "rosterd plugin run: --option %s: the plugin did not ask for it when it was opened\n", name)
	}
	if r.tool.json {
		err = r.encode(c, o, out)
	} else {
		err = r.print(c, o, out)
	}
	if err == nil && r.record != "" {
		err = r.keep(s, o, out)
	}
	if err == nil && out.Err != nil {
		err = errUnwell
	}
	return err
}

// asCase makes a case of the command line.
func (r *liveRun) asCase(s trial.Subject) (*trial.Case, error) {
	host, user, err := r.tool.place(s, r.user)
	if err != nil {
		return nil, err
	}
	c := &trial.Case{Call: r.call, Host: host, User: user}
	switch r.call {
	case trial.CallAuth:
		password, err := readPassword(r.tool.c)
		if err != nil {
			return nil, err
		}
		c.Password = &password
	case trial.CallHTTP:
		if err := r.readRequest(); err != nil {
			return nil, err
		}
		c.User, c.Request = "", &r.incoming
	case trial.CallEdit:
		wanted := strings.Fields(r.edit)
		r.wish.ID, r.wish.Action, r.wish.Contact = crand.Text(), wanted[0], wanted[1]
		c.Edit = &r.wish
	case trial.CallTimer:
		c.User, c.Timer = "", r.timer
	}
	return c, nil
}

func (r *liveRun) readRequest() error {
	in := &r.incoming
	method, where, ok := strings.Cut(r.request, " ")
	if !ok {
		method, where = http.MethodPost, r.request
	}
	in.Method = strings.ToUpper(method)
	if in.Path, in.Query, _ = strings.Cut(strings.TrimSpace(where), "?"); !strings.HasPrefix(in.Path, "/") {
		return r.tool.wrong("--request: %q is no path", in.Path)
	}
	body := r.data
	if file, ok := strings.CutPrefix(r.data, "@"); ok {
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		body = string(b)
	}
	if body != "" {
		in.Body = &body
	}
	return nil
}

// keep records the call.
func (r *liveRun) keep(s trial.Subject, o *trial.Opened, out trial.Outcome) error {
	name, _, _ := strings.Cut(r.user, "@")
	if name == "" {
		name = r.call
	}
	stem := trial.Stem(r.record, name)
	rec, err := o.Record(out, stem)
	if err != nil {
		return err
	}
	file, err := rec.Write(r.record, stem)
	if err != nil {
		return err
	}
	fmt.Fprintf(r.tool.c.err, "recorded in %s; passwords, tokens and cookies that were recognized are %s there: look before you share it\n", file, trial.Placeholder)
	if filepath.Clean(r.record) == s.CaseDir() {
		fmt.Fprintf(r.tool.c.err, "try it: rosterd plugin test --run %s %s\n", stem, s.Dir)
	} else {
		fmt.Fprintf(r.tool.c.err, "rosterd plugin test looks for cases in %s\n", s.CaseDir())
	}
	return nil
}

// print shows what a call came to.
func (r *liveRun) print(c *trial.Case, o *trial.Opened, out trial.Outcome) error {
	w := r.tool.c.out
	if err := printResult(w, c, out); err != nil {
		return err
	}
	section := func(name string, lines []string) {
		if len(lines) > 0 {
			fmt.Fprintf(w, "\n%s\n  %s\n", name, strings.Join(lines, "\n  "))
		}
	}
	var left, asked, logged []string
	for _, bad := range out.Answer.Dropped {
		left = append(left, bad.JID+": "+bad.Reason)
	}
	for _, a := range out.Asked {
		asked = append(asked, exchanged(a))
	}
	for _, l := range append(slices.Clone(o.Loaded), out.Logged...) {
		logged = append(logged, strings.ToLower(l.Level.String())+": "+l.Text)
	}
	section("left out", left)
	section("HTTP", asked)
	section("log", logged)
	section("would refresh", out.Refreshed)
	costs := fmt.Sprintf("%s, of which %s for HTTP; %s allocated", spent(out.Took), spent(out.Waited), sized(out.Allocated))
	for _, cost := range r.tool.counts(r.subject, out.Costs) {
		costs += "; " + cost
	}
	if u := o.Usage(); u.Memory > 0 {
		costs += fmt.Sprintf("; %s in its process", sized(u.Memory))
	}
	_, err := fmt.Fprintf(w, "\ntook %s\n", costs)
	return err
}

// exchanged is a request as a line.
func exchanged(a trial.Asked) string {
	if a.Err != nil {
		return fmt.Sprintf("%s  %s  %s", safe(&a), spent(a.Took), strings.TrimPrefix(a.Err.Error(), a.String()+": "))
	}
	return fmt.Sprintf("%s  %d %s  %s  %s", safe(&a), a.Response.Status, http.StatusText(a.Response.Status), spent(a.Took), sized(int64(len(a.Response.Body))))
}

// safe is a request without what may be a key in its query.
func safe(a *trial.Asked) string { return withoutSecrets(a.String()) }

func printResult(w io.Writer, c *trial.Case, out trial.Outcome) error {
	var err error
	switch {
	case out.Err != nil:
		what := map[string]string{trial.CallFetch: "no roster of " + c.User, trial.CallAuth: c.User + " is not let in", trial.CallHTTP: "no answer", trial.CallTimer: "failed", trial.CallEdit: "not taken", trial.CallCard: "no vCard of " + c.User}[c.Call]
		if refused(out.Reply) {
			what = fmt.Sprintf("answered with %d %s", out.Reply.Status, http.StatusText(out.Reply.Status))
		}
		_, err = fmt.Fprintf(w, "%s: %s\n  %v\n", what, trial.Kind(out.Err), out.Err)
	case c.Call == trial.CallFetch:
		fmt.Fprintf(w, "roster of %s: %s\n", c.User, counted(out.Answer.Roster.Len(), "contact"))
		if out.Answer.Roster.Len() > 0 {
			fmt.Fprintln(w)
			err = trial.WriteRoster(w, out.Answer.Roster)
		}
		if out.Answer.MaxAge > 0 {
			fmt.Fprintf(w, "\nfresh for %v\n", out.Answer.MaxAge)
		}
	case c.Call == trial.CallAuth:
		_, err = fmt.Fprintf(w, "%s is let in\n", c.User)
	case c.Call == trial.CallEdit:
		_, err = fmt.Fprintln(w, "taken")
	case c.Call == trial.CallCard && out.Card.Empty():
		_, err = fmt.Fprintf(w, "nothing is known of %s\n", c.User)
	case c.Call == trial.CallCard:
		fmt.Fprintf(w, "vCard of %s:\n\n", c.User)
		err = trial.WriteCard(w, out.Card)
	case c.Call == trial.CallHTTP:
		err = printReply(w, out)
	case out.Again > 0:
		_, err = fmt.Fprintf(w, "done; again in %v\n", out.Again)
	default:
		_, err = fmt.Fprintln(w, "done; not to be called again")
	}
	return err
}

// refused tells whether somebody outside was told that a call has failed: not if nobody waited any more.
func refused(r plugins.Reply) bool { return r.Status >= http.StatusBadRequest }

func printReply(w io.Writer, out trial.Outcome) error {
	fmt.Fprintf(w, "%d %s\n", out.Reply.Status, http.StatusText(out.Reply.Status))
	var header strings.Builder
	_ = out.Reply.Header.Write(&header) // never fails
	fmt.Fprint(w, strings.ReplaceAll(header.String(), "\r\n", "\n"))
	if len(out.Reply.Body) == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "\n%s\n", strings.TrimSuffix(string(out.Reply.Body), "\n"))
	return err
}

// encode prints the same for machines.
func (r *liveRun) encode(c *trial.Case, o *trial.Opened, out trial.Outcome) error {
	type exchange struct {
		Method string `json:"method"`
		URL    string `json:"url"`
		Status int    `json:"status,omitempty"`
		Error  string `json:"error,omitempty"`
		Micros int64  `json:"microseconds"`
		Bytes  int    `json:"bytes,omitempty"`
	}
	doc := struct {
		User      string            `json:"user,omitempty"`
		Roster    json.RawMessage   `json:"roster,omitempty"`
		Dropped   map[string]string `json:"dropped,omitempty"`
		In        *bool             `json:"in,omitempty"`
		Taken     bool              `json:"taken,omitempty"`
		VCard     json.RawMessage   `json:"vcard,omitempty"`
		Status    int               `json:"status,omitempty"`
		Header    http.Header       `json:"headers,omitempty"`
		Body      string            `json:"body,omitempty"`
		Again     float64           `json:"again,omitempty"`
		Error     string            `json:"error,omitempty"`
		Text      string            `json:"text,omitempty"`
		HTTP      []exchange        `json:"http"`
		Log       []string          `json:"log,omitempty"`
		Refreshed []string          `json:"refreshed,omitempty"`
		Micros    int64             `json:"microseconds"`
		Waited    int64             `json:"microseconds_for_http"`
		Allocated int64             `json:"allocated"`
		tally
	}{
		User: c.User, HTTP: []exchange{}, Refreshed: out.Refreshed, Micros: out.Took.Microseconds(), Waited: out.Waited.Microseconds(),
		Allocated: out.Allocated, tally: r.tool.tally(r.subject, out.Costs),
	}
	for _, a := range out.Asked {
		method, url, _ := strings.Cut(safe(&a), " ")
		x := exchange{Method: method, URL: url, Micros: a.Took.Microseconds()}
		if a.Err != nil {
			x.Error = a.Err.Error()
		} else {
			x.Status, x.Bytes = a.Response.Status, len(a.Response.Body)
		}
		doc.HTTP = append(doc.HTTP, x)
	}
	for _, l := range append(slices.Clone(o.Loaded), out.Logged...) {
		doc.Log = append(doc.Log, strings.ToLower(l.Level.String())+": "+l.Text)
	}
	in := out.Err == nil
	switch {
	case out.Err != nil:
		doc.Error, doc.Text = trial.Kind(out.Err), out.Err.Error()
		if refused(out.Reply) {
			doc.Status = out.Reply.Status
		}
	case c.Call == trial.CallFetch:
		doc.Roster, doc.Dropped = out.Answer.Roster.EncodeJSON(), map[string]string{}
		for _, bad := range out.Answer.Dropped {
			doc.Dropped[bad.JID] = bad.Reason
		}
	case c.Call == trial.CallHTTP:
		doc.Status, doc.Header, doc.Body = out.Reply.Status, out.Reply.Header, string(out.Reply.Body)
	case c.Call == trial.CallTimer:
		doc.Again = out.Again.Seconds()
	case c.Call == trial.CallEdit:
		doc.Taken = true
	case c.Call == trial.CallCard:
		doc.VCard = trial.EncodeCard(out.Card)
	}
	if c.Call == trial.CallAuth {
		doc.In = &in
	}
	e := json.NewEncoder(r.tool.c.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(doc)
}
