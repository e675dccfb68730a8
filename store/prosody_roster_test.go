package store

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rosterd/engine/addr"
)

func describeContacts(list []ProsodyContact) (lines []string) {
	for _, c := range list {
		line := c.JID.String()
		if i := c.Item; i != nil {
			line += fmt.Sprintf(" %s %q %q ask=%v approved=%v", i.Subscription, i.Name, i.Groups, i.Ask, i.Approved)
		}
		if c.Asks {
			line += " " + string(c.Stanza)
		}
		lines = append(lines, line)
	}
	return lines
}

// What Prosody wrote is read whole.
func TestProsodyRoster(t *testing.T) {
	got, bad, err := ProsodyRoster(prosody012, addr.MustBare("juliet@example.com"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`benvolio@example.com from "Ben" [] ask=false approved=true`,
		`mercutio@example.net none "" [] ask=true approved=false`,
		`nurse@example.com to "" [] ask=false approved=false`,
		`old@example.com none "" [] ask=false approved=false`,
		`romeo@example.com both "Romeo" ["Friends" "Loves \"x\""] ask=false approved=false`,
		`paris@example.net <presence from='paris@example.net' to='juliet@example.com' type='subscribe'>` +
			`<status>I am &lt;Paris&gt; &amp; &apos;co&apos;</status><nick xmlns='http://jabber.org/protocol/nick'>Páris</nick><c xmlns='http://jabber.org/protocol/caps'></c></presence>`,
		`tybalt@example.com <presence from='tybalt@example.com' to='juliet@example.com' type='subscribe'/>`,
	}
	if got := describeContacts(got); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(bad) != 1 || bad[0].JID != "bad jid" {
		t.Errorf("left out %v", bad)
	}
}

func TestProsodyRosterOfOld(t *testing.T) {
	for _, tt := range []struct{ name, file, want, fails string }{
		{name: "no file"},
		{name: "empty", file: "return { };"},
		{name: "pending of old", file: `return { ["pending"] = { ["a@x"] = true }; ["b@x"] = { ["subscription"] = "both" } };`,
			want: "b@x both \"\" [] ask=false approved=false\na@x <presence from='a@x' to='romeo@example.com' type='subscribe'/>"},
		{name: "who is seen asks", file: `return { [false] = { ["pending"] = { ["a@x"] = true } }; ["a@x"] = { ["subscription"] = "from"; ["ask"] = "subscribe" } };`,
			want: `a@x from "" [] ask=true approved=false`},
		{name: "asked for what is there", file: `return { ["a@x"] = { ["subscription"] = "both"; ["ask"] = "subscribe" } };`,
			want: `a@x both "" [] ask=false approved=false`},
		{name: "what is no contact", file: `return { ["a@x"] = 1; ["b@x/r"] = { ["subscription"] = "both" }; ["c@x"] = { ["subscription"] = "sideways" }; [5] = {} };`},
		{name: "not Lua", file: "return {\n oh", fails: "line 2: "},
		{name: "no table", file: "return 5", fails: "not a table"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if tt.file != "" {
				path := filepath.Join(dir, "example%2ecom", "roster", "romeo.dat")
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(tt.file), 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			got, _, err := ProsodyRoster(dir, addr.MustBare("romeo@example.com"))
			if tt.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fails) || !strings.Contains(err.Error(), "romeo.dat") {
					t.Errorf("%v, want %q and the file", err, tt.fails)
				}
				return
			}
			if text := strings.Join(describeContacts(got), "\n"); err != nil || text != tt.want {
				t.Errorf("got\n%s\n%v, want\n%s", text, err, tt.want)
			}
		})
	}
}

// Whatever stands in a roster, the requests in it are XML of bounded length.
func FuzzProsodyRoster(f *testing.F) {
	src, err := os.ReadFile(filepath.Join(prosody012, "example%2ecom", "roster", "juliet.dat"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(src))
	f.Add(`return { [false] = { ["pending"] = { ["a@x"] = { [1] = "\0<&"; [2] = { ["name"] = "x:y"; [1] = "z" }; [3] = { ["name"] = "ok"; ["attr"] = { ["a b"] = "c"; ["d"] = "'\1" }; "\255" } } } } };`)
	f.Fuzz(func(t *testing.T, src string) {
		dir := t.TempDir()
		path := filepath.Join(dir, "example%2ecom", "roster", "romeo.dat")
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(src), 0o600)); err != nil {
			t.Fatal(err)
		}
		list, _, _ := ProsodyRoster(dir, addr.MustBare("romeo@example.com"))
		for _, c := range list {
			if !c.Asks {
				continue
			}
			if len(c.Stanza) > maxRequest {
				t.Errorf("a request of %d bytes", len(c.Stanza))
			}
			d := xml.NewDecoder(strings.NewReader(string(c.Stanza)))
			for {
				if _, err := d.Token(); err == io.EOF {
					break
				} else if err != nil {
					t.Fatalf("%v in %q", err, c.Stanza)
				}
			}
		}
	})
}
