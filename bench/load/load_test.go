package load

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"rosterd/bench/target"
	"rosterd/store/credential"
)

// hearing is a client that is sent parts, each when the one before has been read, and then the end of the connection.
func hearing(t *testing.T, parts ...string) *Client {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close() })
	go func() {
		defer theirs.Close()
		for _, p := range parts {
			if _, err := io.WriteString(theirs, p); err != nil {
				return // the test has seen enough
			}
		}
	}()
	return &Client{User: "romeo", conn: ours}
}

func TestAwait(t *testing.T) {
	tests := []struct {
		name, what string
		n          int
		parts      []string
		left       string // what the next one who waits is shown
		missing    bool
	}{
		{name: "at once", what: "<a/>", n: 1, parts: []string{"x<a/>y"}, left: "y"},
		{name: "several in one part", what: "<a/>", n: 2, parts: []string{"<a/><a/><a/>"}, left: "<a/>"},
		{name: "cut in two", what: "<a/>", n: 2, parts: []string{"<a/><", "a/>z"}, left: "z"},
		{name: "byte by byte", what: "aab", n: 1, parts: strings.Split("aaab", ""), left: ""},
		{name: "not twice what came once", what: "<a/>", n: 2, parts: []string{"<a/>", "b", "c", "d"}, missing: true},
		{name: "never", what: "<a/>", n: 1, parts: []string{"<b/>"}, missing: true},
		{name: "more than is read at a time", what: "<a/>", n: 3, parts: []string{strings.Repeat("x", chunk) + "<a/><a", "/>" + strings.Repeat("y", 3*chunk) + "<a/>!"}, left: "!"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := hearing(t, tt.parts...)
			err := c.Await(tt.what, tt.n)
			if tt.missing {
				if !errors.Is(err, io.EOF) {
					t.Errorf("error %v, want the end of the connection", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if string(c.buf) != tt.left {
				t.Errorf("left is %q, want %q", c.buf, tt.left)
			}
		})
	}
}

func TestCount(t *testing.T) {
	for cut := range len("<p/>x<p/>end<p/>") {
		text := "<p/>x<p/>end<p/>"
		c := hearing(t, text[:cut], text[cut:])
		n, err := c.Count("<p/>", "end")
		if err != nil || n != 2 {
			t.Errorf("cut at %d: %d, %v", cut, n, err)
		}
		if err := c.Await("<p/>", 1); err != nil {
			t.Errorf("cut at %d: what came after the end is lost: %v", cut, err)
		}
	}
}

func TestPercentile(t *testing.T) {
	var l Latencies
	if l.Percentile(50) != 0 {
		t.Error("none have a median")
	}
	for i := 100; i > 0; i-- {
		l.Add(time.Duration(i))
	}
	for p, want := range map[float64]time.Duration{0: 1, 1: 1, 50: 50, 99: 99, 99.5: 100, 100: 100} {
		if got := l.Percentile(p); got != want {
			t.Errorf("p%v is %d, want %d", p, got, want)
		}
	}
	if err := l.Time(func() error { return io.EOF }); !errors.Is(err, io.EOF) || l.Len() != 100 {
		t.Errorf("%v, %d entries: what failed took no time", err, l.Len())
	}
}

func TestLanes(t *testing.T) {
	done := make([]bool, 100)
	if err := Lanes(len(done), 7, func(i int) error { done[i] = true; return nil }); err != nil {
		t.Fatal(err)
	}
	for i, ok := range done {
		if !ok {
			t.Errorf("%d was left out", i)
		}
	}
	begun := 0
	err := Lanes(100, 1, func(i int) error { begun++; return io.EOF })
	if !errors.Is(err, io.EOF) || begun != 1 {
		t.Errorf("%v; %d were begun after an error", err, begun)
	}
}

// A client proves what the keys say that a server keeps, and takes no other's signature.
func TestProve(t *testing.T) {
	const bare, challenge = "n=user,r=fyko+d2lbbFgONRv9qkxdawL", "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"
	p, final, err := prove("pencil", bare, challenge) // RFC 5802 §5
	if err != nil {
		t.Fatal(err)
	}
	if want := "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="; final != want {
		t.Errorf("the client's last message is %s, want %s", final, want)
	}
	if err := p.verify("v=rmF9pqV8S7suAoZWja4dJRkFsKQ="); err != nil {
		t.Error(err)
	}
	if p.verify("v=rmF9pqV8S7suAoZWja4dJRkFsKR=") == nil {
		t.Error("somebody else's signature is taken")
	}
	salt, err := base64.StdEncoding.DecodeString("QSXCR+Q6sek8bf92")
	if err != nil {
		t.Fatal(err)
	}
	kept, err := credential.Derive(credential.SHA1, "pencil", salt, 4096)
	if err != nil {
		t.Fatal(err)
	}
	if mine, err := derive("pencil", string(salt), 4096); err != nil || !bytes.Equal(mine.stored, kept.StoredKey) || !bytes.Equal(mine.server, kept.ServerKey) {
		t.Errorf("keys are not those that a server keeps: %v", err)
	}
	if _, _, err := prove("pencil", bare, "e=other-error"); err == nil {
		t.Error("what is no challenge is proved")
	}
}

func TestWhole(t *testing.T) {
	for text, want := range map[string]bool{
		"": false, "<": false, "<success": false, "<success/>": true, "<success xmlns='x'>dj1": false, "<success xmlns='x'>dj1ybQ==</success>": true,
		"<failure xmlns='x'><not-authorized/>": false, "<failure xmlns='x'><not-authorized/></failure>": true,
	} {
		if got := whole(text); got != want {
			t.Errorf("%q is whole: %v, want %v", text, got, want)
		}
	}
}

// TestWebSocket: each stanza is a message of its own that says its namespace, and what is in messages is read as one text.
func TestWebSocket(t *testing.T) {
	tests := []struct {
		name, written string
		messages      []string
	}{
		{"one", "<presence/>", []string{"<presence xmlns='jabber:client'/>"}},
		{"nested, and one after it", "<iq id='1'><query xmlns='q'/></iq><presence/>", []string{"<iq xmlns='jabber:client' id='1'><query xmlns='q'/></iq>", "<presence xmlns='jabber:client'/>"}},
		{"says it", "<open xmlns='urn:x'/>", []string{"<open xmlns='urn:x'/>"}},
		{"text", "<message><body>a</body><x/></message>", []string{"<message xmlns='jabber:client'><body>a</body><x/></message>"}},
		{"long", "<a>" + strings.Repeat("x", 200) + "</a>", []string{"<a xmlns='jabber:client'>" + strings.Repeat("x", 200) + "</a>"}},
		{"longer", "<a>" + strings.Repeat("x", 1<<16) + "</a>", []string{"<a xmlns='jabber:client'>" + strings.Repeat("x", 1<<16) + "</a>"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			defer ours.Close()
			go func() {
				c := &Client{web: &webSocket{Conn: theirs}}
				if n, err := c.Write([]byte(tt.written)); err != nil || n != len(tt.written) {
					t.Errorf("%d, %v", n, err)
				}
				theirs.Close()
			}()
			frames, err := io.ReadAll(ours)
			if err != nil {
				t.Fatal(err)
			}
			var want []byte
			for _, m := range tt.messages {
				want = appendFrame(want, opText, []byte(m))
			}
			if !bytes.Equal(frames, want) {
				t.Errorf("written is %.200q, want %.200q", frames, want)
			}
		})
	}
	if _, err := (&Client{web: &webSocket{}}).Write([]byte("<iq><query/>")); err == nil {
		t.Error("half a stanza is written")
	}
}

func TestWebSocketRead(t *testing.T) {
	frame := func(op byte, text string) []byte { // as a server has it, not masked
		b := appendFrame(nil, op, []byte(text))
		head := len(b) - len(text) - 4
		b[1] &= 0x7f
		return append(b[:head:head], text...)
	}
	ours, theirs := net.Pipe()
	defer ours.Close()
	ponged := make(chan []byte, 1)
	go func() {
		defer theirs.Close()
		theirs.Write(append(frame(opText, "<a>"), frame(opText, strings.Repeat("x", 300))...))
		theirs.Write(frame(opPing, "sign"))
		pong := make([]byte, 6+len("sign"))
		io.ReadFull(theirs, pong)
		ponged <- pong
		theirs.Write(frame(opText, strings.Repeat("y", 1<<16)+"</a>"))
		theirs.Write(frame(opClose, ""))
	}()
	w := &webSocket{Conn: ours, in: bufio.NewReader(ours)}
	got, err := io.ReadAll(w)
	if err != nil {
		t.Fatal(err)
	}
	if want := "<a>" + strings.Repeat("x", 300) + strings.Repeat("y", 1<<16) + "</a>"; string(got) != want {
		t.Errorf("%d bytes are read, want %d", len(got), len(want))
	}
	if pong := <-ponged; !bytes.Equal(pong, appendFrame(nil, opPing+1, []byte("sign"))) {
		t.Errorf("a ping is answered with %q", pong)
	}
}

func TestAllFriends(t *testing.T) {
	for n := range 4 {
		b, err := target.NewBackend()
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		all := Names("u", n+1)
		AllFriends(b, all)
		for _, u := range all {
			res, err := http.Get(b.URL + "/contacts/" + u)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			var got, want map[string]any
			if err := json.Unmarshal(body, &got); err != nil {
				t.Fatalf("%s: %v", body, err)
			}
			if err := json.Unmarshal(Friends(u, all), &want); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s of %d: %s", u, len(all), body)
			}
		}
	}
}
