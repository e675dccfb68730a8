package wasm_test

import (
	"context"
	"testing"

	"rosterd/engine"
	"rosterd/engine/addr"
	"rosterd/plugins"
	"rosterd/plugins/wasm"
)

func user(t testing.TB, s string) addr.Bare {
	t.Helper()
	j, err := addr.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return j.Bare()
}

func manager() *plugins.Manager {
	return &plugins.Manager{Engines: map[string]plugins.Opener{".wasm": wasm.Open}, Paths: []string{"testdata"}}
}

func TestFlat(t *testing.T) {
	p, err := manager().Open(context.Background(), "flat", "example.com", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	a, err := p.Fetch(context.Background(), engine.Request{User: user(t, "john@example.com")})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"jack@example.com":{"subscription":"to","groups":["A","B"],"ask":"subscribe","approved":true},"marie@example.com":{"subscription":"both","name":"Marie","groups":["Friends"]}}`
	if got := string(a.Roster.EncodeJSON()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if a.Rev != p.Generation()+":42" || a.MaxAge.Seconds() != 300 {
		t.Errorf("rev %q max age %v", a.Rev, a.MaxAge)
	}
}
