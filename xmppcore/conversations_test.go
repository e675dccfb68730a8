package xmppcore_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/xmppcore"
	"rosterd/xmppcore/websocket"
	"rosterd/xmppcore/xmpptest"
)

// TestConversations plays the conversations of testdata/*.txt, which are to be read beside the RFCs, each
// with a server of its own.
//
// A case begins with "== NAME"; what stands before the first one goes before each of them. The steps are those of
// xmpptest.Stage, and these, which stand for several of them or speak to the backend:
//
//	NAME logs in [JID]             connects with the password of everybody
//	NAME is interested [JID]       logs in and asks for the roster
//	NAME is available [JID] XML    also sends that, or <presence/>, and receives it
//	roster: USER = CONTACT SUBSCRIPTION "NAME" (GROUP, GROUP) ask approved; CONTACT …
//	                               is what the backend serves from now on; a user without domain is of example.com
//	refresh: USER USER …           the backend says that rosters have changed
//	broken: USER HOW               the backend fails: down, denied, late or unknown
//	mended: USER                   and no longer does
//	held: USER                     it does not answer
//	released: USER                 and now does
//	registered: USER               has just registered
//	decides: USER VERDICT          what the backend of crm.example makes of the user's edits: yes (if nothing was said),
//	                               no WORDS, gone, down, late, lost (it is done, but nobody hears of it)
//	asked: USER ACTION ITEM; …     that backend has been asked that since the last such step, once each, and nothing else
//	restart:                       another server takes the place of this one; what was kept is there
func TestConversations(t *testing.T) { conversations(t, nil, nil) }

// TestConversationsTLS plays them over STARTTLS.
func TestConversationsTLS(t *testing.T) { conversations(t, encrypted, nil) }

// TestConversationsDirectTLS plays them over TLS from the first byte.
func TestConversationsDirectTLS(t *testing.T) { conversations(t, nil, overTLS) }

// TestConversationsWebSocket plays them over WebSocket.
func TestConversationsWebSocket(t *testing.T) { conversations(t, nil, overWebSocket) }

// TestConversationsWebSocketTLS plays them over WebSocket inside TLS.
func TestConversationsWebSocketTLS(t *testing.T) { conversations(t, nil, overSecureWebSocket) }

// A way is how clients get into a house, other than by its TCP port: it opens a door to the server that there is,
// until the test ends.
type way func(h *house) (dial func(context.Context) (net.Conn, error))

// through makes a way of reaching the server of the moment.
func (w way) through(h *house) func(context.Context) (net.Conn, error) {
	if w == nil {
		return h.dial
	}
	var srv *xmppcore.Server
	var dial func(context.Context) (net.Conn, error)
	return func(ctx context.Context) (net.Conn, error) {
		if h.srv != srv { // at first, and after a restart
			srv, dial = h.srv, w(h)
		}
		return dial(ctx)
	}
}

func overTLS(h *house) func(context.Context) (net.Conn, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	served := make(chan error, 1)
	srv := h.srv
	go func() { served <- srv.ServeTLS(ln, &tls.Config{Certificates: []tls.Certificate{certificate()}}) }()
	h.t.Cleanup(func() {
		ln.Close()
		if err := <-served; !errors.Is(err, net.ErrClosed) && !errors.Is(err, xmppcore.ErrServerClosed) {
			h.t.Errorf("ServeTLS: %v", err)
		}
	})
	d := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
	return func(ctx context.Context) (net.Conn, error) { return d.DialContext(ctx, "tcp", ln.Addr().String()) }
}

func overWebSocket(h *house) func(context.Context) (net.Conn, error) {
	web := httptest.NewServer(h.webSocket())
	h.t.Cleanup(web.Close)
	return func(ctx context.Context) (net.Conn, error) { return xmpptest.DialWebSocket(ctx, web.URL) }
}

func overSecureWebSocket(h *house) func(context.Context) (net.Conn, error) {
	web := httptest.NewTLSServer(h.webSocket())
	h.t.Cleanup(web.Close)
	return func(ctx context.Context) (net.Conn, error) { return xmpptest.DialWebSocket(ctx, web.URL) }
}

func (h *house) webSocket() http.Handler {
	return &websocket.Handler{Serve: h.srv.ServeCarrier, Limits: h.srv.Limits, Ping: time.Minute}
}

func conversations(t *testing.T, change func(*xmppcore.Config), way way) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no conversations: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range scripts(string(text)) {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txt")+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				h := newHouse(t, change)
				if err := c.play(t.Context(), h, way.through(h)); err != nil {
					t.Fatalf("%s:%v", file, err)
				}
			})
		}
	}
}

// script is one conversation. It remembers which line of the file each of its lines stands for.
type script struct {
	name  string
	lines []string
	at    []int
}

func scripts(text string) (list []script) {
	var before script
	now := &before
	for i, line := range strings.Split(text, "\n") {
		if name, ok := strings.CutPrefix(line, "== "); ok {
			list = append(list, script{name, before.lines[:len(before.lines):len(before.lines)], before.at[:len(before.at):len(before.at)]})
			now = &list[len(list)-1]
			continue
		}
		for _, l := range expand(line) {
			now.lines, now.at = append(now.lines, l), append(now.at, i+1)
		}
	}
	return list
}

var arrival = regexp.MustCompile(`^(\w+) (logs in|is interested|is available) \[(.*)\] ?(.*)$`)

// expand turns a line into the steps it stands for.
func expand(line string) []string {
	m := arrival.FindStringSubmatch(line)
	if m == nil {
		return []string{line}
	}
	name, jid, presence := m[1], m[3], m[4]
	steps := []string{name + " connects [" + jid + ", " + password + "]"}
	if m[2] == "logs in" {
		return steps
	}
	steps = append(steps, name+" sends: <iq type='get' id='its-roster'><query xmlns='jabber:iq:roster'/></iq>",
		name+" receives: <iq type='result' id='its-roster' to='{"+name+"}'><query xmlns='jabber:iq:roster'>{any}</query></iq>")
	if m[2] == "is interested" {
		return steps
	}
	if presence == "" {
		presence = "<presence/>"
	}
	return append(steps, name+" sends: "+presence, name+" receives: <presence from='{"+name+"}' to='{"+name+".bare}'>{any}</presence>")
}

var inLine = regexp.MustCompile(`^line (\d+): `)

func (s script) play(ctx context.Context, h *house, dial func(context.Context) (net.Conn, error)) error {
	stage := &xmpptest.Stage{Dial: dial, DialComponent: h.dialComponent(), Actions: h.actions(), Patience: patience}
	err := stage.Run(ctx, strings.Join(s.lines, "\n"))
	if err == nil {
		return nil
	}
	text := err.Error()
	if m := inLine.FindStringSubmatch(text); m != nil {
		n, _ := strconv.Atoi(m[1]) // digits, by the pattern
		text = fmt.Sprintf("%d: %s", s.at[n-1], text[len(m[0]):])
	}
	return errors.New(text)
}

func (h *house) actions() map[string]func(context.Context, string) error {
	return h.clerk.actions(map[string]func(context.Context, string) error{
		"roster": func(_ context.Context, text string) error {
			user, items, err := parseRoster(text)
			if err == nil {
				h.serveRoster(user, items...)
			}
			return err
		},
		"refresh": func(ctx context.Context, text string) error { return h.refresh(ctx, users(text)...) },
		"broken": func(_ context.Context, text string) error {
			user, how, _ := strings.Cut(text, " ")
			err := map[string]error{
				"down": &engine.TemporaryError{Err: errors.New("503")}, "denied": engine.ErrDenied,
				"late": context.DeadlineExceeded, "unknown": engine.ErrUnknownUser,
			}[how]
			h.mu.Lock()
			defer h.mu.Unlock()
			h.broken[addr.MustBare(inVerona(user))] = err
			return nil
		},
		"registered": h.greet,
		"restart":    func(context.Context, string) error { h.restart(); return nil },
		"mended": func(_ context.Context, user string) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			delete(h.broken, addr.MustBare(inVerona(user)))
			return nil
		},
		"held": func(_ context.Context, user string) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.gates[addr.MustBare(inVerona(user))] = make(chan struct{})
			return nil
		},
		"released": func(_ context.Context, user string) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			close(h.gates[addr.MustBare(inVerona(user))])
			delete(h.gates, addr.MustBare(inVerona(user)))
			return nil
		},
	})
}

// inVerona is a user's address; a bare name is one of example.com.
func inVerona(name string) string {
	if strings.Contains(name, "@") {
		return name
	}
	return name + "@example.com"
}

func users(text string) (list []string) {
	for _, u := range strings.Fields(text) {
		list = append(list, inVerona(u))
	}
	return list
}

var itemForm = regexp.MustCompile(`^(\S+) (none|to|from|both)(?: "([^"]*)")?(?: \(([^)]*)\))?( ask)?( approved)?$`)

func parseRoster(text string) (user string, items []roster.Item, err error) {
	user, list, ok := strings.Cut(text, " =")
	if !ok {
		return "", nil, fmt.Errorf("no roster: %s", text)
	}
	for part := range strings.SplitSeq(list, ";") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		m := itemForm.FindStringSubmatch(part)
		if m == nil {
			return "", nil, fmt.Errorf("no contact: %s", part)
		}
		sub, err := roster.ParseSubscription(m[2])
		if err != nil {
			return "", nil, err
		}
		i := roster.Item{JID: addr.MustBare(inVerona(m[1])), Subscription: sub, Name: m[3], Ask: m[5] != "", Approved: m[6] != ""}
		if m[4] != "" {
			i.Groups = strings.Split(m[4], ", ")
		}
		items = append(items, i)
	}
	return inVerona(user), items, nil
}
