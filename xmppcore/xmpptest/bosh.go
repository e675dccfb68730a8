package xmpptest

import (
	"context"
	"crypto/tls"
	"encoding/xml"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"

	"rosterd/xmppcore/scan"
)

const (
	nsBOSH  = "http://jabber.org/protocol/httpbind"
	nsXBOSH = "urn:xmpp:xbosh"
)

// DialBOSH makes a connection of requests to an address, of a server with any
// certificate (XEP-0124, XEP-0206). The result is for New. Unlike other
// connections it reads on its own, as BOSH clients have to.
func DialBOSH(_ context.Context, url string) (net.Conn, error) {
	b := &bosh{url: url, rid: 1 + rand.Int64N(1<<40), said: make(chan struct{}, 1), heard: make(chan struct{}, 1)}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.web = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	b.work.Go(b.talk)
	return Over(b), nil
}

// bosh is a Link. Once there is a session it always has a request open, and makes
// a second one if there is something to say.
type bosh struct {
	url         string
	web         *http.Client
	ctx         context.Context // until Close
	cancel      context.CancelFunc
	work        sync.WaitGroup
	said, heard chan struct{} // hold something when there is something in out, in

	// Of the goroutine that talks.
	sid string
	rid int64 // of the next request

	mu    sync.Mutex // guards the fields below
	out   []outgoing
	in    string // what Receive returns
	fault error  // and what after that
}

// outgoing is what a request says.
type outgoing struct{ attrs, content string }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (b *bosh) put(o outgoing) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.out = append(b.out, o)
	signal(b.said)
	return b.ctx.Err()
}

// Open implements Link. It is the first request or a restart: request knows.
func (b *bosh) Open(_ context.Context, h *scan.Header) error {
	attrs := " xmpp:restart='true' xmlns:xmpp='" + nsXBOSH + "'"
	for _, a := range [][2]string{{"to", h.To}, {"from", h.From}, {"xmpp:version", h.Version}, {"xml:lang", h.Lang}} {
		if a[1] != "" {
			attrs += " " + a[0] + "='" + escape(a[1]) + "'"
		}
	}
	return b.put(outgoing{attrs: attrs})
}

// Send implements Link. What names no namespace is sent so: BOSH clients may.
func (b *bosh) Send(_ context.Context, text string) error { return b.put(outgoing{content: text}) }

// End implements Link.
func (b *bosh) End(context.Context) error { return b.put(outgoing{attrs: " type='terminate'"}) }

// Receive implements Link.
func (b *bosh) Receive(ctx context.Context) (string, error) {
	for {
		if text, err := b.take(); text != "" || err != nil {
			return text, err
		}
		select {
		case <-b.heard:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

func (b *bosh) take() (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := b.in
	if b.in = ""; text != "" {
		return text, nil
	}
	return "", b.fault
}

// Close implements Link. The server is not told.
func (b *bosh) Close() error {
	b.cancel()
	b.work.Wait()
	b.web.CloseIdleConnections()
	return nil
}

// response is what has come of a request.
type response struct {
	rid  int64
	text string
	err  error
}

// talk makes the requests and takes the responses in order (XEP-0124 §14.2), until
// the session is over.
func (b *bosh) talk() {
	responses := make(chan response, 2)
	early := map[int64]response{}
	open, next := 0, b.rid
	var over error
	for over == nil {
		for o, ok := b.pick(open); ok; o, ok = b.pick(open) {
			b.request(o, responses)
			open++
		}
		select {
		case <-b.ctx.Done():
			over = io.EOF
		case <-b.said:
		case r := <-responses:
			early[r.rid] = r
			for r, ok := early[next]; ok && over == nil; r, ok = early[next] {
				open--
				next++
				over = b.took(r)
			}
		}
	}
	b.cancel()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fault = over
	signal(b.heard)
}

// pick returns what the next request is to say while some are open, if there is to
// be one.
func (b *bosh) pick(open int) (o outgoing, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case open == 2 || open == 1 && b.sid == "": // what the session is the first response says
		return o, false
	case len(b.out) > 0:
		o, b.out = b.out[0], b.out[1:]
		return o, true
	}
	return o, open == 0 && b.sid != ""
}

func (b *bosh) request(o outgoing, responses chan<- response) {
	session := " sid='" + b.sid + "'"
	if b.sid == "" {
		session = " wait='60' hold='1' ver='1.6' content='text/xml; charset=utf-8'"
	}
	rid := b.rid
	b.rid++
	body := fmt.Sprintf("<body xmlns='%s' rid='%d'%s%s>%s</body>", nsBOSH, rid, session, o.attrs, o.content)
	b.work.Go(func() {
		text, err := b.post(body)
		select {
		case responses <- response{rid, text, err}:
		case <-b.ctx.Done():
		}
	})
}

const xmlType = "text/xml; charset=utf-8"

func (b *bosh) post(body string) (string, error) {
	r, err := http.NewRequestWithContext(b.ctx, http.MethodPost, b.url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", xmlType)
	res, err := b.web.Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return "", err
	}
	if got := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || got != xmlType {
		return "", fmt.Errorf("server answered %s, %s: %s", res.Status, got, brief(string(text)))
	}
	return string(text), nil
}

// took takes a response as it would stand in a stream. The error is io.EOF behind
// the end of that.
func (b *bosh) took(r response) error {
	if r.err != nil {
		return r.err
	}
	body, text, err := content(r.text)
	if err != nil {
		return fmt.Errorf("server sent %w: %s", err, brief(r.text))
	}
	opens := b.sid == "" || len(body.Children) > 0 && body.Children[0].Is(scan.NSStream, "features")
	if b.sid == "" {
		b.sid = body.Attr("sid")
	}
	if opens {
		text = StreamHeader("from", body.Attr("from"), "id", body.Attr("authid"), "version", "1.0") + text
	}
	ends := body.Attr("type") == "terminate"
	if ends {
		text += condition(body) + StreamEnd
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.in += text
	signal(b.heard)
	if ends {
		return io.EOF
	}
	return nil
}

// content reads a response and returns what is inside, as it was written. Every
// element in it is to have a namespace other than the body's.
func content(text string) (body Element, inside string, err error) {
	if body, err = parseRoot(text); err != nil {
		return body, "", fmt.Errorf("bad XML: %w", err)
	}
	if !body.Is(nsBOSH, "body") {
		return body, "", fmt.Errorf("no body")
	}
	for _, c := range body.Children {
		if c.Name.Space == nsBOSH || !strings.Contains(c.Name.Space, ":") { // encoding/xml leaves an unbound prefix there
			return body, "", fmt.Errorf("an element without a namespace")
		}
	}
	if len(body.Children) == 0 {
		return body, "", nil
	}
	d := xml.NewDecoder(strings.NewReader(text))
	if _, err := d.Token(); err != nil {
		return body, "", err
	}
	return body, text[d.InputOffset():strings.LastIndex(text, "</")], nil
}

// condition is what ends a session as a stream error, if there is something to say
// and the body does not hold one.
func condition(body Element) string {
	switch c := body.Attr("condition"); c {
	case "", "remote-stream-error":
		return ""
	default:
		return "<stream:error><" + c + " xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
	}
}
