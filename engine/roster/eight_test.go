package roster

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// Each byte at each place of each short text is found, or passed over, as if they were looked at one by one.
func TestEightAtATime(t *testing.T) {
	ends := func(c byte) bool { return c < ' ' || c == '"' || c == '\\' }
	special := func(c byte) bool { return c < ' ' || c > '~' || strings.IndexByte(`"\<>&`, c) >= 0 }
	for size := range 26 {
		text := bytes.Repeat([]byte{'a'}, size+1)
		for at := range size {
			for b := range 256 {
				for _, next := range []byte{'a', ' ', '!', '"', '~', 0xff, 0} { // what stands behind it changes nothing
					text[at], text[at+1] = byte(b), next
					is := text[:size]
					want := slices.IndexFunc(is, ends)
					if want < 0 {
						want = size
					}
					if got := textEnd(is); got != want {
						t.Fatalf("the end of %q: %d, not %d", is, got, want)
					}
					if got, want := plainText(is), !slices.ContainsFunc(is, special); got != want {
						t.Fatalf("%q is plain: %t", is, got)
					}
				}
			}
			text[at], text[at+1] = 'a', 'a'
		}
		if is := text[:size]; textEnd(is) != size || !plainText(is) {
			t.Errorf("%q: %d, %t", is, textEnd(is), plainText(is))
		}
	}
}

func TestAppendText(t *testing.T) {
	for _, s := range []string{"", "Marie", "contact1@example.com", `a "quoted" name`, `back\slash`, "Žofie", "a<b>&c", "tab\there", "\x7f", "broken \xff"} {
		want := gjson.AppendJSONString([]byte("before"), s)
		if got := appendText([]byte("before"), s); !bytes.Equal(got, want) {
			t.Errorf("%q: %s, not %s", s, got, want)
		}
	}
}
