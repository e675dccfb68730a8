package bosh_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rosterd/xmppcore/bosh"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/stream"
)

// Over a network that loses requests and responses, breaks connections and changes the order, everything arrives once
// and in order, both ways, as long as the client repeats what it has no response to (XEP-0124 §14).
func TestLossyNetwork(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { lossy(t, rand.New(rand.NewPCG(seed, 2))) })
		})
	}
}

const stanzasEachWay = 100

func lossy(t *testing.T, r *rand.Rand) {
	var mu sync.Mutex
	var heard []int // by the server
	var core sync.WaitGroup
	writes := rand.New(rand.NewPCG(r.Uint64(), 3))
	m := &bosh.Manager{Settings: bosh.Settings{Wait: 10 * time.Second}, Serve: func(c stream.Carrier, _ netip.Addr) {
		c.Allow(4096)
		var h scan.Header
		c.ReadOpen(&h)
		c.WriteOpen(stream.Opening{From: domain, ID: "i", Features: []byte("<a xmlns='urn:a'/>")})
		core.Go(func() {
			c.Run(func(st *scan.Stanza) error {
				mu.Lock()
				defer mu.Unlock()
				id, _ := st.Attr("id")
				n, err := strconv.Atoi(id)
				heard = append(heard, n)
				return err
			})
		})
		core.Go(func() {
			time.Sleep(time.Second) // not in the first response, which the client takes as it comes
			for n := 1; n <= stanzasEachWay; {
				var b strings.Builder
				for range 1 + writes.IntN(3) {
					fmt.Fprintf(&b, "<message id='%d'/>", n)
					n++
				}
				if c.Write([]byte(b.String())) != nil {
					return
				}
				time.Sleep(time.Duration(writes.IntN(300)) * time.Millisecond)
			}
		})
	}}
	w := &world{t: t, manager: m, handler: m.Handler(domain)}
	end := func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		m.Shutdown(ctx)
		core.Wait()
	}
	t.Cleanup(end)
	c := &careful{client: w.begin(60, 1, ""), r: r}
	c.play(stanzasEachWay)
	synctest.Wait()
	end()
	var want []int
	for n := range max(len(heard), len(c.heard)) {
		want = append(want, n+1)
	}
	if len(heard) < stanzasEachWay || !slices.Equal(heard, want[:len(heard)]) {
		t.Errorf("the server received %v", heard)
	}
	if len(c.heard) < stanzasEachWay || !slices.Equal(c.heard, want[:len(c.heard)]) {
		t.Errorf("the client received %v", c.heard)
	}
}

// careful is a client that repeats each request until it has its response.
type careful struct {
	*client
	r     *rand.Rand
	said  int // stanzas
	heard []int

	open []*attempt
}

// attempt is a request with the bytes it has been made with.
type attempt struct {
	rid  int64
	body string
	e    *exchange // nil: it is lost on the way
	got  string    // the response
}

func (c *careful) play(stanzas int) {
	for round := 0; len(c.heard) < stanzas || c.said < stanzas || c.lost(); round++ {
		if round == 20000 {
			c.t.Fatalf("this does not end: said %d, heard %v", c.said, c.heard)
		}
		if len(c.open) < 2 && (len(c.open) == 0 || c.said < stanzas) {
			c.ask(stanzas)
		}
		time.Sleep(time.Duration(c.r.IntN(200)) * time.Millisecond)
		for _, a := range c.open {
			c.tend(a)
		}
		c.hear()
	}
	for _, a := range c.open {
		if a.e != nil {
			a.e.cancel()
		}
	}
}

// lost tells whether a request has still to be made anew.
func (c *careful) lost() bool {
	return slices.ContainsFunc(c.open, func(a *attempt) bool { return a.e == nil })
}

// ask makes the next request; unless it is the only one it says something.
func (c *careful) ask(stanzas int) {
	content := ""
	for n := c.r.IntN(3); (n > 0 || len(c.open) > 0 && content == "") && c.said < stanzas; n-- {
		c.said++
		content += fmt.Sprintf("<message id='%d'/>", c.said)
	}
	c.rid++
	a := &attempt{rid: c.rid, body: c.with(c.rid, "", content)}
	c.open = append(c.open, a)
	if c.r.IntN(5) > 0 {
		a.e = c.post(a.body)
	}
}

// tend does to a request what the network does, and repeats it if that was bad.
func (c *careful) tend(a *attempt) {
	switch {
	case a.got != "":
	case a.e == nil:
		a.e = c.post(a.body)
	case c.r.IntN(8) == 0: // the connection breaks; perhaps the server does not know
		if c.r.IntN(2) == 0 {
			a.e.cancel()
		}
		a.e = c.post(a.body)
	case a.e.open():
	case c.r.IntN(5) == 0: // the response is lost
		a.e = nil
	default:
		a.got = a.e.response()
	}
}

var number = regexp.MustCompile(`<message xmlns='jabber:client' id='(\d+)'/>`)

// hear takes the responses in the order of the requests.
func (c *careful) hear() {
	for len(c.open) > 0 && c.open[0].got != "" {
		got := c.open[0].got
		c.open = c.open[1:]
		if strings.Contains(got, "terminate") {
			c.t.Fatal(got)
		}
		for _, m := range number.FindAllStringSubmatch(got, -1) {
			n, _ := strconv.Atoi(m[1]) // digits, by the pattern
			c.heard = append(c.heard, n)
		}
	}
}
