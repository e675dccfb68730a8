package xmpptest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"rosterd/engine/addr"
)

// A Stage is where scripts are played: conversations as text, to be read beside
// the RFC.
//
//	# What follows a # at the beginning of a line is for the reader.
//	romeo: connects [romeo@example.com/orchard, password]
//	romeo sends: <presence/>
//	romeo receives:
//	    <presence from='{romeo}' to='{romeo}'/>
//	romeo receives nothing
//	romeo disconnects
//
// Each line is a step; indented lines belong to the one above. The steps are:
//
//	NAME connects [JID, PASSWORD]  logs in; without a resourcepart the server makes one.
//	                               {NAME} is the full JID from now on, {NAME.bare} the bare one
//	NAME enters [JID, PASSWORD]    logs in and binds no resource; {NAME} is what the last login made it
//	NAME attaches [DOMAIN, SECRET] connects as a component
//	NAME sends: XML                any text, in fact
//	NAME receives: XML             what comes next; of several elements, the order does not count
//	NAME receives nothing          all that everybody has sent is handled, and nothing came of it
//	NAME answers                   sends the empty result to the IQ that it received last
//	NAME is disconnected           the server ends the stream
//	NAME disconnects               ends the stream, and waits for the server to do so, too
//	NAME vanishes                  closes the connection without a word
//	ACTION: TEXT                   calls Actions[ACTION]
//
// How elements are compared, and what {any} and {name} mean, Match says.
type Stage struct {
	Dial    func(ctx context.Context) (net.Conn, error)
	TLS     *tls.Config                                             // of the clients; nil: any certificate will do
	Actions map[string]func(ctx context.Context, text string) error // further steps

	DialComponent func(ctx context.Context) (net.Conn, error) // where components connect

	// Patience ends a script that hangs; 0 means a minute. No script that succeeds
	// depends on it.
	Patience time.Duration
}

// Play runs a script and fails the test where it goes wrong.
func (s *Stage) Play(t testing.TB, script string) {
	t.Helper()
	if err := s.Run(t.Context(), script); err != nil {
		t.Fatal(err)
	}
}

// Run runs a script. The error names the line.
func (s *Stage) Run(ctx context.Context, script string) error {
	patience := s.Patience
	if patience == 0 {
		patience = time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	steps, err := s.parse(script)
	if err != nil {
		return err
	}
	p := &play{stage: s, clients: map[string]*Client{}, vars: map[string]string{}, last: map[string]string{}}
	defer p.leave()
	for _, st := range steps {
		if err := p.do(ctx, st); err != nil {
			return fmt.Errorf("line %d: %s: %w", st.line, st.title, err)
		}
	}
	return nil
}

// step is one thing that somebody does.
type step struct {
	line        int
	title       string // the line, as it is written
	actor, verb string // actor is "" for an action
	text        string
}

var stepForm = regexp.MustCompile(`^(\w+):? (connects|attaches|enters|sends|receives nothing|receives|answers|is disconnected|disconnects|vanishes)(?::|\s|$)`)

func (s *Stage) parse(script string) ([]step, error) {
	var steps []step
	for i, line := range strings.Split(script, "\n") {
		line = strings.TrimRight(line, " \t\r")
		switch {
		case strings.TrimSpace(line) == "" || line[0] == '#':
		case line[0] == ' ' || line[0] == '\t':
			if len(steps) == 0 {
				return nil, fmt.Errorf("line %d: nothing above this to belong to", i+1)
			}
			last := &steps[len(steps)-1]
			last.text = strings.TrimSpace(last.text + "\n" + strings.TrimSpace(line))
		default:
			st, err := s.parseStep(line)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", i+1, err)
			}
			st.line, st.title = i+1, line
			steps = append(steps, st)
		}
	}
	return steps, nil
}

func (s *Stage) parseStep(line string) (step, error) {
	if action, text, ok := strings.Cut(line, ":"); ok && s.Actions[action] != nil {
		return step{verb: action, text: strings.TrimSpace(text)}, nil
	}
	m := stepForm.FindStringSubmatch(line)
	if m == nil {
		return step{}, fmt.Errorf("cannot be understood: %s", line)
	}
	return step{actor: m[1], verb: m[2], text: strings.TrimSpace(line[len(m[0]):])}, nil
}

// play is a script that is running.
type play struct {
	stage   *Stage
	clients map[string]*Client
	vars    map[string]string
	last    map[string]string // by actor: id of the IQ received last
}

func (p *play) leave() {
	for _, c := range p.clients {
		c.Disconnect()
	}
}

func (p *play) do(ctx context.Context, st step) error {
	if st.actor == "" {
		return p.stage.Actions[st.verb](ctx, st.text)
	}
	if st.verb == "attaches" {
		return p.attach(ctx, st)
	}
	if st.verb == "connects" || st.verb == "enters" {
		return p.connect(ctx, st)
	}
	c := p.clients[st.actor]
	if c == nil {
		return fmt.Errorf("%s is not connected", st.actor)
	}
	switch st.verb {
	case "sends":
		text, err := expand(st.text, p.vars)
		if err != nil {
			return err
		}
		return c.Send(ctx, text)
	case "receives":
		return p.receive(ctx, c, st)
	case "receives nothing":
		return p.nothing(ctx, c)
	case "answers":
		return c.Send(ctx, "<iq type='result' id='"+escape(p.last[st.actor])+"'/>")
	}
	delete(p.clients, st.actor)
	switch st.verb {
	case "is disconnected":
		defer c.Disconnect()
		return c.End(ctx)
	case "disconnects":
		return c.Close(ctx)
	}
	return c.Disconnect() // vanishes
}

func (p *play) connect(ctx context.Context, st step) error {
	jid, password, ok := strings.Cut(strings.Trim(st.text, "[]"), ",")
	if !ok {
		return errors.New("JID and password belong in brackets")
	}
	j, err := addr.Parse(strings.TrimSpace(jid))
	if err != nil {
		return err
	}
	if p.clients[st.actor] != nil {
		return fmt.Errorf("%s is connected already", st.actor)
	}
	nc, err := p.stage.Dial(ctx)
	if err != nil {
		return err
	}
	c := New(nc, j.Domain())
	c.TLS = p.stage.TLS
	p.clients[st.actor] = c
	if password = strings.TrimSpace(password); st.verb == "enters" {
		c.JID = j.String()
		return c.Enter(ctx, j.Local(), password)
	}
	if err := c.Login(ctx, j.Local(), password, j.Resource()); err != nil {
		return err
	}
	p.vars[st.actor] = c.JID
	p.vars[st.actor+".bare"], _, _ = strings.Cut(c.JID, "/")
	return nil
}

// receive takes as many elements as are expected, in any order.
func (p *play) receive(ctx context.Context, c *Client, st step) error {
	want, err := parseAll(st.text)
	if err != nil {
		return fmt.Errorf("parse what is expected: %w", err)
	}
	if len(want) == 0 {
		return errors.New("expects no element")
	}
	for len(want) > 0 {
		got, err := c.Next(ctx)
		if err != nil {
			return fmt.Errorf("nothing came: %w", err)
		}
		if want, err = p.take(want, got); err != nil {
			return fmt.Errorf("%w\n\twant %s\n\tgot  %s", err, st.text, got)
		}
		if got.Name.Local == "iq" {
			p.last[st.actor] = got.Attr("id")
		}
	}
	return nil
}

// take returns want without the element that got matches.
func (p *play) take(want []Element, got Element) ([]Element, error) {
	var first error
	for i, w := range want {
		err := Match(w, got, p.vars)
		if err == nil {
			return append(want[:i:i], want[i+1:]...), nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// nothing makes everybody who has sent something wait until it is handled, and
// then looks what came of it.
func (p *play) nothing(ctx context.Context, c *Client) error {
	for name, other := range p.clients {
		if other == c || !other.sent {
			continue
		}
		if err := other.Ping(ctx); err != nil {
			return fmt.Errorf("waiting for what %s has sent: %w", name, err)
		}
	}
	return c.Nothing(ctx)
}
