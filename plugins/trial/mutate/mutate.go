// Package mutate makes wrong data of right data, as a backend sends that has a mistake or an enemy in it. What it makes depends
// on nothing but a seed and what it is given. Smaller goes the other way: it takes from wrong data what does not matter.
package mutate

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
)

// Mutator makes one change after the other. It is not safe for several goroutines.
type Mutator struct{ *rand.Rand }

// New is the Mutator that makes the nth of the changes that a seed stands for.
func New(seed, n uint64) Mutator { return Mutator{rand.New(rand.NewPCG(seed, n))} }

const (
	// maxBody is how large a body may become, unless it was larger before.
	maxBody = 2 << 20
	// maxTree is how large a document may be to be taken for more than bytes.
	maxTree = 1 << 20
)

// Body changes a body: as a document if it is JSON, or as bytes. Parts of others may come into it.
func (m Mutator) Body(b []byte, others [][]byte) []byte {
	if len(b) <= maxTree && m.IntN(4) > 0 {
		if v, ok := parse(b); ok {
			var donor *value
			if len(others) > 0 {
				donor, _ = parse(others[m.IntN(len(others))])
			}
			return bounded(b, m.document(v, donor))
		}
	}
	return bounded(b, m.bytes(b, others))
}

func bounded(before, after []byte) []byte {
	return after[:min(len(after), max(len(before), maxBody))]
}

// bytes changes a body without regard to what it means.
func (m Mutator) bytes(b []byte, others [][]byte) []byte {
	at := m.IntN(len(b) + 1)
	end := min(len(b), at+m.length())
	switch m.IntN(9) {
	case 0: // one bit
		if b = bytes.Clone(b); at < len(b) {
			b[at] ^= 1 << m.IntN(8)
		}
		return b
	case 1: // another byte
		if b = bytes.Clone(b); at < len(b) {
			b[at] = byte(m.IntN(256))
		}
		return b
	case 2: // the beginning only
		return bytes.Clone(b[:at])
	case 3: // the end only
		return bytes.Clone(b[at:])
	case 4: // something left out
		return slices.Concat(b[:at], b[end:])
	case 5: // something twice
		return slices.Concat(b[:end], b[at:])
	case 6: // the rest of another
		if len(others) > 0 {
			o := others[m.IntN(len(others))]
			return slices.Concat(b[:at], o[m.IntN(len(o)+1):])
		}
		return slices.Concat(b[:at], b)
	case 7: // nothing at all, or all of it again
		if m.IntN(2) == 0 {
			return []byte{}
		}
		return slices.Concat(b, b)
	}
	return slices.Concat(b[:at], []byte(m.Text()), b[end:])
}

// length is a length, small more often than large.
func (m Mutator) length() int { return 1 + m.IntN(1<<m.IntN(10)) }

// odd are texts that programs stumble over: empty, blank, beyond ASCII, bytes that are no UTF-8, and what means something elsewhere.
var odd = []string{
	"", " ", "\n", "\x00", "0", "-1", "null", "%s", "%n%d", "{{secret:x}}", "../..", "<a>", "'", `"`, `\`, "@", "a@", "@a", "a@b/c", "a@b@c", "/",
	"\u00e4", "\U0001f600", "\u202e", "e\u0301", "\ufeff", "\ufffd", "\u2028", "\x7f", "\x1b[0m",
	"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "caf\xe9",
}

// Text is a text to stumble over. Some are long.
func (m Mutator) Text() string {
	s := odd[m.IntN(len(odd))]
	if m.IntN(8) == 0 {
		if s == "" {
			s = "x"
		}
		return strings.Repeat(s, m.many(1<<20)/len(s)+1)
	}
	return s
}

// many is a large number up to most, around the bounds of fields and buffers above all.
func (m Mutator) many(most int) int {
	edges := []int{8, 63, 64, 100, 128, 255, 256, 1000, 1023, 1024, 4096, 10_000, 65_535, 65_536, 1 << 20}
	n := edges[min(m.IntN(len(edges)), m.IntN(len(edges)), m.IntN(len(edges)))]
	return min(n+m.IntN(3)-1, most)
}

// Status is one that a backend may answer with.
func (m Mutator) Status() int {
	known := []int{200, 201, 202, 204, 206, 226, 300, 301, 302, 304, 307, 400, 401, 403, 404, 407, 408, 409, 410, 413, 418, 429, 451, 500, 501, 502, 503, 504, 511}
	if m.IntN(4) == 0 {
		return 200 + m.IntN(800)
	}
	return known[m.IntN(len(known))]
}

// fields are header fields that something reads, with values that are hard to read.
var fields = map[string][]string{
	"Content-Type":     {"", "text/html", "application/json; charset=utf-16", "application/xml", ";;", "a/b; charset=\"", "application/json, application/json"},
	"Content-Length":   {"0", "-1", "99999999999999999999", "x"},
	"Content-Encoding": {"gzip", "br", "identity, gzip", "x"},
	"Etag":             {"", `"`, `W/"x"`, `""`, "x y", `"\"`},
	"Last-Modified":    {"", "0", "Mon, 01 Jan 0000 00:00:00 GMT", "Thu, 32 Foo 2026 25:61:61 XYZ"},
	"Retry-After":      {"", "-1", "0", "1e9", "99999999999999999999", "soon", "Fri, 31 Dec 9999 23:59:59 GMT"},
	"Location":         {"", "/", "//", "https://", "javascript:x", "http://[::1"},
	"Link":             {"", "<>; rel=next", "<?page=2>; rel=\"next\"", "<"},
	"Date":             {"", "x"},
	"Set-Cookie":       {"a=b", "="},
	"X-Total-Pages":    {"-1", "1e9", "x"},
}

// names of fields, in an order that does not change.
var names = func() (list []string) {
	for name := range fields {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}()

// Field is a header field such as a backend may send: what HTTP does not allow is not in it.
func (m Mutator) Field() (name, value string) {
	name = names[m.IntN(len(names))]
	values := fields[name]
	if n := m.IntN(len(values) + 1); n < len(values) {
		return name, values[n]
	}
	return name, strings.Repeat("x", m.many(8<<10))
}
