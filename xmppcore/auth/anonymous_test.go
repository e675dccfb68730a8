package auth

import (
	"errors"
	"regexp"
	"slices"
	"testing"

	"rosterd/engine/addr"
)

func TestAnonymous(t *testing.T) {
	h := &Host{Domain: "guest.example", Anonymous: true}
	for _, ch := range []Channel{{Encrypted: true}, {}, {AllowPlain: true}} {
		if got := h.Mechanisms(ch); !slices.Equal(got, []string{"ANONYMOUS"}) {
			t.Errorf("%+v: %q", ch, got)
		}
	}
	for _, name := range []string{"PLAIN", "SCRAM-SHA-1", "EXTERNAL"} {
		if _, err := h.Start(name, Channel{Encrypted: true}); err == nil {
			t.Errorf("%s is not refused", name)
		}
	}
	name := regexp.MustCompile(`^[a-z2-7]{26}@guest\.example$`)
	seen := map[addr.Bare]bool{}
	for _, response := range [][]byte{nil, {}, []byte("sirhc"), []byte("a\x00b\x00c"), {0xff}} {
		x, err := h.Start("ANONYMOUS", Channel{Encrypted: true})
		if err != nil {
			t.Fatal(err)
		}
		data, done, err := x.Next(t.Context(), response)
		if data != nil || !done || err != nil || !name.MatchString(x.User().String()) || seen[x.User()] {
			t.Errorf("%q: %q, %v, %v, %s", response, data, done, err, x.User())
		}
		seen[x.User()] = true
		if ok, err := h.Exists(t.Context(), x.User()); ok || err != nil {
			t.Errorf("there is %s who has gone: %v, %v", x.User(), ok, err)
		}
	}
	h.Disabled = []string{"ANONYMOUS"}
	if got := h.Mechanisms(Channel{Encrypted: true}); len(got) != 0 {
		t.Errorf("disabled: %q", got)
	}
	h = &Host{Domain: "example.com"}
	var failed *Error
	if _, err := h.Start("ANONYMOUS", Channel{Encrypted: true}); !errors.As(err, &failed) || failed.Condition != InvalidMechanism {
		t.Errorf("where users have accounts: %v", err)
	}
}
