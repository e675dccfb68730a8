package scan

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// expatScript parses each document it is sent (length, bytes) with expat and
// answers with one line of JSON: what it saw, or null.
const expatScript = `
import json, struct, sys
import xml.parsers.expat as expat

def parse(document):
    events = []
    p = expat.ParserCreate(namespace_separator=' ')
    p.buffer_text = True
    p.ordered_attributes = True
    def start(name, attrs):
        events.append(['<', name] + sorted(a + '=' + v for a, v in zip(attrs[::2], attrs[1::2])))
    p.StartElementHandler = start
    p.EndElementHandler = lambda name: events.append(['>'])
    p.CharacterDataHandler = lambda s: events.append(['text', s])
    try:
        p.Parse(document, True)
    except expat.ExpatError:
        return None
    return events

while True:
    head = sys.stdin.buffer.read(4)
    if len(head) < 4:
        break
    document = sys.stdin.buffer.read(struct.unpack('>I', head)[0])
    sys.stdout.write(json.dumps(parse(document)) + '\n')
    sys.stdout.flush()
`

// expat is a running parser.
type expat struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Scanner
}

func startExpat(t *testing.T) *expat {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatalf("python3 is needed, for its expat (Debian: apt-get install python3): %v", err)
	}
	cmd := exec.Command(python, "-c", expatScript)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("python3: %v", err)
		}
	})
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	return &expat{t: t, in: in, out: lines}
}

// parse returns what expat sees in document, ok only if it is well-formed.
func (e *expat) parse(document string) (all []event, ok bool) {
	e.t.Helper()
	b := binary.BigEndian.AppendUint32(nil, uint32(len(document)))
	if _, err := e.in.Write(append(b, document...)); err != nil {
		e.t.Fatal(err)
	}
	if !e.out.Scan() {
		e.t.Fatalf("expat gave no answer to %q: %v", document, e.out.Err())
	}
	if err := json.Unmarshal(e.out.Bytes(), &all); err != nil {
		e.t.Fatal(err)
	}
	return all, all != nil
}

// scanAll reads every stanza of in and returns what they consist of. The error is
// nil if in ends with a complete stanza.
func scanAll(in []byte) (stanzas [][]byte, all []event, err error) {
	var sc Scanner
	var st Stanza
	for {
		n, err := sc.Next(in, &st)
		if err != nil {
			if err == ErrMore && n == len(in) {
				err = nil
			}
			return stanzas, all, err
		}
		stanzas = append(stanzas, st.Raw)
		all = append(all, events(st.Root())...)
		in = in[n:]
	}
}

// check compares the scanner with expat. What we accept expat must accept, and it
// must see the same. What expat accepts we refuse only for what XMPP forbids and
// for limits.
func (e *expat) check(in []byte) (accepted bool) {
	e.t.Helper()
	stanzas, ours, err := scanAll(in)
	if err == ErrEnd {
		return false // in goes on behind its stream
	}
	theirs, ok := e.parse(around + string(slices.Concat(stanzas...)) + "</stream:stream>")
	if !ok {
		e.t.Fatalf("%q: accepted, but expat refuses it", in)
	}
	theirs = theirs[1 : len(theirs)-1]
	sortAttrs(ours)
	sortAttrs(theirs)
	if ours, theirs := fmt.Sprintf("%q", ours), fmt.Sprintf("%q", theirs); ours != theirs {
		e.t.Fatalf("%q:\nwe say     %s\nexpat says %s", in, ours, theirs)
	}
	if err == nil {
		return true
	}
	if _, ok := e.parse(around + string(in) + "</stream:stream>"); ok && !stricter(err) {
		e.t.Fatalf("%q: expat accepts it, but we say %v", in, err)
	}
	return false
}

// stricter reports whether err is a refusal of well-formed XML.
func stricter(err error) bool {
	se, ok := err.(*Error)
	return ok && (se.Condition == RestrictedXML || se.Condition == PolicyViolation || se.Condition == BadFormat)
}

func sortAttrs(all []event) {
	for _, e := range all {
		if e[0] == "<" {
			slices.Sort(e[2:])
		}
	}
}

func TestExpatAccepts(t *testing.T) {
	e := startExpat(t)
	for _, in := range corpus() {
		e.check([]byte(in))
	}
	const generated = 8000
	accepted := 0
	g := newGenerator(2)
	for range generated {
		if e.check(g.next()) {
			accepted++
		}
	}
	t.Logf("%d of %d generated inputs are accepted", accepted, generated)
	if accepted < generated/10 || accepted > generated*9/10 {
		t.Errorf("%d of %d inputs accepted: the generator tests one side only", accepted, generated)
	}
}

// Every name that we accept is one for expat.
func TestNamesAgainstExpat(t *testing.T) {
	e := startExpat(t)
	var doc strings.Builder
	doc.WriteString("<a>")
	count := 0
	for r := range characters() {
		for _, in := range []string{"<" + string(r) + "/>", "<a" + string(r) + "/>"} {
			if end, _, err := name([]byte(in), 1); err == nil && end == len(in)-len("/>") {
				doc.WriteString(in + "<b " + in[1:end] + "=''/>")
				count++
			}
		}
	}
	doc.WriteString("</a>")
	if _, ok := e.parse(doc.String()); !ok {
		t.Errorf("expat refuses one of the %d names that we accept", count)
	}
	if count < 60000 {
		t.Errorf("only %d names accepted: letters are missing", count)
	}
}
