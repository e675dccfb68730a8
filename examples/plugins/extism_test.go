//go:build clients

package plugins_test

import (
	"strings"
	"testing"

	"rosterd/plugins/trial"
)

// TestExtismTransform: the module that maps lines of text, in both places.
func TestExtismTransform(t *testing.T) {
	c := module(t, "extism_c")
	own := c
	own.Dir = "extism_c"
	for where, isolate := range isolated {
		for _, x := range casesOf(t, own, 11) {
			t.Run(where+"/"+x.Name(), func(t *testing.T) {
				for _, problem := range x.Judge(outcome(t, opening(t, c, x, isolate))) {
					t.Error(problem)
				}
			})
		}
	}
}

// TestExtismLines: of bytes in any order there is a roster or an error, and no fault.
func TestExtismLines(t *testing.T) {
	c := module(t, "extism_c")
	x, err := trial.Parse("lines.json", []byte(`{"options": {"extism_c_url": "https://lists.example.com/%s.txt"}, "user": "john",
		"http": [{"request": {"url": "https://lists.example.com/john.txt"}, "response": {"body": "."}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	p := opening(t, c, x, nil)
	list := "marie@example.com Marie \"M\" Zo\u00eb \u65e5 \U0001f600\n#x\n\n\x00\x1f \\ \x7f\n.\n"
	for i := range len(list) {
		for _, b := range []string{"\x00", "\n", " ", ".", "#", "\"", "\\", "\x80", "\xbf", "\xc0", "\xed", "\xf4", "\xff", ""} {
			answer(x, list[:i]+b+list[i+1:])
			if err := outcome(t, p).Err; err != nil && trial.Kind(err) != "temporary" {
				t.Fatalf("%q for %q at %d: %v", b, list[i], i, err)
			}
		}
		answer(x, list[:i])
		if err := outcome(t, p).Err; i < len(list)-1 && (err == nil || !strings.Contains(err.Error(), "the list ")) {
			t.Fatalf("cut off at %d: %v", i, err)
		}
	}
}
