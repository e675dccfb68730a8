package trial

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"rosterd/plugins"
	"rosterd/plugins/trial/mutate"
)

// asFile stands where a body is whatever a Mutator made.
const asFile = "fuzzed"

// place is a part of a case that comes from outside.
type place func(z *fuzzing, m mutate.Mutator)

// places are those of a case.
func places(c *Case) (list []place) {
	for i := range c.HTTP {
		list = append(list, func(z *fuzzing, m mutate.Mutator) { z.changeAnswer(m, &c.HTTP[i]) })
	}
	if c.Request != nil {
		list = append(list, func(z *fuzzing, m mutate.Mutator) { z.changeRequest(m, c.Request) })
	}
	if c.Password != nil {
		list = append(list, func(_ *fuzzing, m mutate.Mutator) { c.Password = text(m) })
	}
	return list
}

// mutant is a case with a few changes.
func (z *fuzzing) mutant(m mutate.Mutator, from *Case) *Case {
	c := from.clone()
	all := places(c)
	for {
		all[m.IntN(len(all))](z, m)
		if m.IntN(2) == 0 {
			return c
		}
	}
}

// clone shares nothing with the case that a change would change.
func (c *Case) clone() *Case {
	n := *c
	n.HTTP = slices.Clone(c.HTTP)
	for i := range n.HTTP {
		if r := n.HTTP[i].Response; r != nil {
			answer := *r
			answer.Headers = Header(http.Header(r.Headers).Clone())
			n.HTTP[i].Response = &answer
		}
	}
	if c.Request != nil {
		in := *c.Request
		in.Headers = Header(http.Header(in.Headers).Clone())
		n.Request = &in
	}
	return &n
}

// changeAnswer changes what a backend answers.
func (z *fuzzing) changeAnswer(m mutate.Mutator, x *Exchange) {
	if x.Response == nil { // it answers after all
		x.Error, x.Response = "", &Response{Content: z.body(m)}
	}
	r := x.Response
	switch m.IntN(16) {
	case 0:
		r.Status = m.Status()
	case 1:
		changeField(m, &r.Headers)
	case 2:
		failures := []string{"timeout", "connection refused", "EOF"}
		x.Response, x.Error = nil, failures[m.IntN(len(failures))]
	default:
		if r.JSON != nil && r.Headers["Content-Type"] == nil { // as a recorded answer has it
			r.Headers = with(r.Headers, "Content-Type", "application/json")
		}
		r.Content = changed(m.Body(r.bytes(), z.bodies))
	}
}

func changed(b []byte) Content { return Content{BodyFile: asFile, file: b} }

func with(h Header, name, value string) Header {
	if h == nil {
		h = Header{}
	}
	h[name] = []string{value}
	return h
}

func changeField(m mutate.Mutator, h *Header) {
	name, value := m.Field()
	if m.IntN(4) == 0 {
		delete(*h, name)
		return
	}
	*h = with(*h, name, value)
}

// changeRequest changes what comes from outside.
func (z *fuzzing) changeRequest(m mutate.Mutator, r *Incoming) {
	switch m.IntN(8) {
	case 0:
		changeField(m, &r.Headers)
	case 1:
		r.Query = url.QueryEscape(m.Text())
		if m.IntN(2) == 0 {
			r.Query = "user=" + r.Query
		}
	default:
		if r.JSON != nil && r.Headers["Content-Type"] == nil {
			r.Headers = with(r.Headers, "Content-Type", "application/json")
		}
		r.Content = changed(m.Body(r.bytes(), z.bodies))
	}
}

// text is one that a case file can hold.
func text(m mutate.Mutator) *string {
	s := strings.ToValidUTF8(m.Text(), "\ufffd")
	return &s
}

// body is one of any case, changed.
func (z *fuzzing) body(m mutate.Mutator) Content {
	if len(z.bodies) == 0 {
		return changed([]byte(m.Text()))
	}
	return changed(m.Body(z.bodies[m.IntN(len(z.bodies))], z.bodies))
}

// improvised answers requests that a case does not know, which a plugin makes because of what was changed.
type improvised struct {
	*fuzzing
	mu        sync.Mutex // guards the fields below
	m         mutate.Mutator
	exchanges []Exchange
}

func (i *improvised) answer(r plugins.HTTPRequest) *Exchange {
	i.mu.Lock()
	defer i.mu.Unlock()
	x := Exchange{Request: Outgoing{URL: shown(r.URL)}, Response: &Response{Content: i.body(i.m)}}
	if r.Method != http.MethodGet {
		x.Request.Method = r.Method
	}
	if len(i.bodies) > 0 && i.m.IntN(2) == 0 {
		x.Response.Content = changed(i.bodies[i.m.IntN(len(i.bodies))])
	}
	i.exchanges = append(i.exchanges, x)
	return &x
}
