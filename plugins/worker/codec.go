package worker

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"time"
	"unsafe"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/plugins"
)

// Payloads are the fields of what they carry, one after the other: numbers as varints, text with its length in front.
// Whoever reads one reads all of it, or it breaks the rules.

// frozen is b as text, without a copy: nobody writes to b any more.
func frozen(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func appendUint(b []byte, v uint64) []byte { return binary.AppendUvarint(b, v) }
func appendInt(b []byte, v int64) []byte   { return binary.AppendVarint(b, v) }

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendBytes tells nil from empty: a nil value is one to be removed.
func appendBytes(b, v []byte) []byte {
	if v == nil {
		return append(b, 0)
	}
	return append(binary.AppendUvarint(b, uint64(len(v))+1), v...)
}

// decoder reads a payload. What it reads stays part of the payload. After a mistake everything is zero.
type decoder struct {
	s   string
	bad bool
}

func (d *decoder) fail() {
	d.s, d.bad = "", true
}

// end says whether all was read, and well.
func (d *decoder) end(what string) error {
	switch {
	case d.bad:
		return breachf("%s that cannot be read", what)
	case d.s != "":
		return breachf("%s with %d bytes too many", what, len(d.s))
	}
	return nil
}

func (d *decoder) byte() byte {
	if d.s == "" {
		d.fail()
		return 0
	}
	c := d.s[0]
	d.s = d.s[1:]
	return c
}

func (d *decoder) bool() bool {
	switch d.byte() {
	case 0:
	case 1:
		return true
	default:
		d.fail()
	}
	return false
}

func (d *decoder) uint() (v uint64) {
	for shift := 0; shift < 64; shift += 7 {
		c := d.byte()
		if shift == 63 && c > 1 {
			break
		}
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v
		}
	}
	d.fail()
	return 0
}

func (d *decoder) int() int64 {
	u := d.uint()
	return int64(u>>1) ^ -int64(u&1)
}

func (d *decoder) duration() time.Duration { return max(0, time.Duration(d.int())) }

func (d *decoder) text() string { return d.take(d.uint()) }

func (d *decoder) take(n uint64) string {
	if n > uint64(len(d.s)) {
		d.fail()
		return ""
	}
	t := d.s[:n]
	d.s = d.s[n:]
	return t
}

func (d *decoder) bytes() []byte {
	n := d.uint()
	if n == 0 {
		return nil
	}
	return []byte(d.take(n - 1))
}

// own is bytes of the payload itself, which nothing else that is read from it shares.
func (d *decoder) own() []byte {
	n := d.uint()
	if n == 0 {
		return nil
	}
	t := d.take(n - 1)
	return unsafe.Slice(unsafe.StringData(t), len(t))
}

// count reads how many things follow, of which each has at least size bytes.
func (d *decoder) count(size int) int {
	n := d.uint()
	if n > uint64(len(d.s)/size) {
		d.fail()
		return 0
	}
	return int(n)
}

func appendHeader(b []byte, h http.Header) []byte {
	b = appendUint(b, uint64(len(h)))
	for name, values := range h {
		b = appendUint(appendText(b, name), uint64(len(values)))
		for _, v := range values {
			b = appendText(b, v)
		}
	}
	return b
}

// maxFields bounds the lines of an HTTP header.
const maxFields = 4096

func (d *decoder) header() http.Header {
	h, lines := http.Header{}, 0
	for range d.count(2) {
		name := d.text()
		n := d.count(1)
		if lines += n + 1; lines > maxFields {
			d.fail()
			break
		}
		values := make([]string, n)
		for i := range values {
			values[i] = d.text()
		}
		h[name] = values
	}
	return h
}

// Values of options, each with its type in front.
const (
	valueNil byte = iota
	valueText
	valueTrue
	valueFalse
	valueInt
	valueFloat
	valueList
	valueTable
)

func appendValue(b []byte, v any) ([]byte, error) {
	var err error
	switch t := v.(type) {
	case nil:
		return append(b, valueNil), nil
	case string:
		return appendText(append(b, valueText), t), nil
	case bool:
		if t {
			return append(b, valueTrue), nil
		}
		return append(b, valueFalse), nil
	case int64:
		return appendInt(append(b, valueInt), t), nil
	case float64:
		return binary.LittleEndian.AppendUint64(append(b, valueFloat), math.Float64bits(t)), nil
	case []any:
		b = appendUint(append(b, valueList), uint64(len(t)))
		for _, e := range t {
			if b, err = appendValue(b, e); err != nil {
				return nil, err
			}
		}
		return b, nil
	case map[string]any:
		b = appendUint(append(b, valueTable), uint64(len(t)))
		for k, e := range t {
			if b, err = appendValue(appendText(b, k), e); err != nil {
				return nil, err
			}
		}
		return b, nil
	}
	return nil, fmt.Errorf("a value of type %T", v)
}

// value reads what appendValue wrote. depth is how deep tables may still stand in each other.
func (d *decoder) value(depth int) any {
	switch d.byte() {
	case valueNil:
		return nil
	case valueText:
		return d.text()
	case valueTrue:
		return true
	case valueFalse:
		return false
	case valueInt:
		return d.int()
	case valueFloat:
		if t := d.take(8); len(t) == 8 {
			return math.Float64frombits(binary.LittleEndian.Uint64([]byte(t)))
		}
		return nil
	case valueList:
		if depth > 0 {
			list := make([]any, d.count(1))
			for i := range list {
				list[i] = d.value(depth - 1)
			}
			return list
		}
	case valueTable:
		if depth > 0 {
			table := map[string]any{}
			for range d.count(2) {
				k := d.text()
				table[k] = d.value(depth - 1)
			}
			return table
		}
	}
	d.fail()
	return nil
}

// maxDepth of values and of errors.
const maxDepth = 64

// order is what a child is told first.
type order struct {
	src   plugins.Source
	host  plugins.Host
	calls int // at a time

	staged bool // clock and chance are the parent's
}

func appendOrder(b []byte, o order) []byte {
	b = appendText(appendText(b, o.src.Name), o.src.File)
	b = appendBytes(b, o.src.Code)
	b = appendText(appendBool(b, o.src.Shipped), o.src.Unused)
	b = appendText(b, o.host.Name)
	l := o.host.Limits
	for _, n := range []int64{l.Answer, int64(l.Contacts), int64(l.Conns), int64(l.Calls), l.Memory, int64(o.calls)} {
		b = appendInt(b, n)
	}
	b = appendText(appendBool(b, l.Fresh), o.host.Cache)
	return appendBool(b, o.staged)
}

func decodeOrder(payload string) (o order, err error) {
	d := decoder{s: payload}
	o.src = plugins.Source{Name: d.text(), File: d.text(), Code: d.bytes(), Shipped: d.bool(), Unused: d.text()}
	o.host.Name = d.text()
	o.host.Limits = plugins.Limits{Answer: d.int(), Contacts: int(d.int()), Conns: int(d.int()), Calls: int(d.int()), Memory: d.int()}
	o.calls = int(d.int())
	o.host.Limits.Fresh, o.host.Cache = d.bool(), d.text()
	o.staged = d.bool()
	return o, d.end("an order")
}

// readiness is what a child says when the plugin is open.
type readiness struct {
	info       plugins.Info
	generation string
}

// Of a plugin's Info.
const (
	maxRoutes = 256
	maxTimers = 64
	maxName   = 1024
)

func appendReadiness(b []byte, r readiness) []byte {
	b = appendText(appendText(appendBool(appendBool(appendBool(appendBool(b, r.info.Roster), r.info.Edit), r.info.Card), r.info.Auth), r.info.App), r.info.Path)
	b = appendUint(b, uint64(len(r.info.Routes)))
	for _, route := range r.info.Routes {
		b = appendText(appendText(b, route.Method), route.Path)
	}
	b = appendUint(b, uint64(len(r.info.Timers)))
	for _, t := range r.info.Timers {
		b = appendInt(b, int64(t))
	}
	return appendText(b, r.generation)
}

func (d *decoder) readiness() (r readiness) {
	r.info.Roster, r.info.Edit, r.info.Card, r.info.Auth, r.info.App, r.info.Path = d.bool(), d.bool(), d.bool(), d.bool(), d.text(), d.text()
	if n := d.count(2); n > maxRoutes {
		d.fail()
	} else if n > 0 {
		r.info.Routes = make([]plugins.Route, n)
	}
	for i := range r.info.Routes {
		r.info.Routes[i] = plugins.Route{Method: d.text(), Path: d.text()}
		if len(r.info.Routes[i].Method)+len(r.info.Routes[i].Path) > maxName {
			d.fail()
		}
	}
	if n := d.count(1); n > maxTimers {
		d.fail()
	} else if n > 0 {
		r.info.Timers = make([]time.Duration, n)
	}
	for i := range r.info.Timers {
		r.info.Timers[i] = d.duration()
	}
	r.generation = d.text()
	if len(r.info.App) > maxName || len(r.info.Path) > maxName || len(r.generation) > maxName {
		d.fail()
	}
	return r
}

// What a child is called for.
const (
	opFetch byte = 1 + iota
	opAuthenticate
	opHandle
	opTick
	opEdit
	opCard
)

func appendRequest(b []byte, r engine.Request) []byte {
	return appendText(appendText(appendText(b, r.User.String()), string(r.Reason)), r.Rev)
}

func (d *decoder) request() engine.Request {
	return engine.Request{User: d.user(), Reason: engine.Reason(d.text()), Rev: d.text()}
}

// appendEdit leaves out what no backend is asked.
func appendEdit(b []byte, e engine.Edit) []byte {
	for _, s := range []string{e.ID, e.User.String(), e.Contact.String(), string(e.Action), e.Rev, e.Item.Name} {
		b = appendText(b, s)
	}
	return appendTexts(appendBool(appendBool(append(b, byte(e.Item.Subscription)), e.Item.Ask), e.Item.Approved), e.Item.Groups)
}

func (d *decoder) edit() (e engine.Edit) {
	e.ID, e.User, e.Contact, e.Action, e.Rev = d.text(), d.user(), d.user(), engine.Action(d.text()), d.text()
	e.Item = roster.Item{JID: e.Contact, Name: d.text()}
	if e.Item.Subscription = roster.Subscription(d.byte()); e.Item.Subscription > roster.Both {
		d.fail()
	}
	e.Item.Ask, e.Item.Approved, e.Item.Groups = d.bool(), d.bool(), d.texts()
	return e
}

func appendCard(b []byte, c engine.Card) []byte {
	var doc bytes.Buffer
	e := json.NewEncoder(&doc)
	e.SetEscapeHTML(false) // it would take more room than ReadCard gives
	if err := e.Encode(c); err != nil {
		panic(err) // strings and bytes
	}
	return appendBytes(b, bytes.TrimSuffix(doc.Bytes(), []byte("\n")))
}

func (d *decoder) card(user addr.Bare) (engine.Card, error) {
	doc := d.bytes()
	if err := d.end("a vCard"); err != nil {
		return engine.Card{}, err
	}
	return engine.ReadCard(user, doc)
}

func (d *decoder) user() addr.Bare {
	u, err := addr.ParseBare(d.text())
	if err != nil {
		d.fail()
	}
	return u
}

func appendHandled(b []byte, c plugins.Call) []byte {
	b = appendInt(b, int64(c.Route))
	for _, s := range []string{c.Method, c.Path, c.Rest, c.Query, c.Host} {
		b = appendText(b, s)
	}
	b = appendBytes(appendHeader(b, c.Header), c.Body)
	from, _ := c.From.MarshalBinary() // never fails
	return appendBool(appendBytes(b, from), c.Secure)
}

func (d *decoder) handled() plugins.Call {
	c := plugins.Call{Route: int(d.int()), Method: d.text(), Path: d.text(), Rest: d.text(), Query: d.text(), Host: d.text(), Header: d.header(), Body: d.bytes()}
	var from netip.Addr
	if err := from.UnmarshalBinary(d.bytes()); err != nil {
		d.fail()
	}
	c.From, c.Secure = from, d.bool()
	return c
}

func appendReply(b []byte, r plugins.Reply) []byte {
	return appendBytes(appendHeader(appendInt(b, int64(r.Status)), r.Header), r.Body)
}

func (d *decoder) reply() plugins.Reply {
	r := plugins.Reply{Status: int(d.int()), Header: d.header(), Body: d.bytes()}
	if r.Status != 0 && (r.Status < 200 || r.Status > 599) {
		d.fail()
	}
	return r
}

func appendHTTPRequest(b []byte, r plugins.HTTPRequest) []byte {
	b = appendHeader(appendText(appendText(b, r.Method), r.URL), r.Header)
	b = appendText(appendBytes(b, r.Body), r.Revision)
	return appendInt(appendInt(b, int64(r.Redirects)), int64(r.Timeout))
}

func (d *decoder) httpRequest() plugins.HTTPRequest {
	return plugins.HTTPRequest{
		Method: d.text(), URL: d.text(), Header: d.header(), Body: d.bytes(), Revision: d.text(),
		Redirects: int(d.int()), Timeout: d.duration(),
	}
}

func appendHTTPResponse(b []byte, r *plugins.HTTPResponse) []byte {
	b = appendInt(appendText(appendText(b, r.Method), r.URL), int64(r.Status))
	return appendText(appendBytes(appendHeader(b, r.Header), r.Body), r.Revision)
}

func (d *decoder) httpResponse() *plugins.HTTPResponse {
	return &plugins.HTTPResponse{Method: d.text(), URL: d.text(), Status: int(d.int()), Header: d.header(), Body: d.own(), Revision: d.text()}
}

func appendTexts(b []byte, list []string) []byte {
	b = appendUint(b, uint64(len(list)))
	for _, s := range list {
		b = appendText(b, s)
	}
	return b
}

func (d *decoder) texts() []string {
	list := make([]string, d.count(1))
	for i := range list {
		list[i] = d.text()
	}
	return list
}
