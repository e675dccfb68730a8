package lua_test

import (
	"testing"
	"time"

	"rosterd/plugins"
	"rosterd/plugins/lua"
)

// fixed are services whose time stands still and whose random bytes count up from what they were before.
type fixed struct {
	canned
	now  time.Time
	last *byte
}

func (f fixed) Now() time.Time { return f.now }

func (f fixed) Random(b []byte) {
	for i := range b {
		*f.last++
		b[i] = *f.last
	}
}

// printed is what the statements print in a call, with fixed services: 2026-02-03T04:05:06.789Z, and 1, 2, 3….
func printed(t *testing.T, statements string) string {
	t.Helper()
	src := plugins.Source{Name: "test", File: "mod_test.lua", Code: []byte(beforeSnippet + statements + afterSnippet), Shipped: true}
	svc := fixed{now: time.Date(2026, 2, 3, 4, 5, 6, 789e6, time.UTC), last: new(byte)}
	p, err := lua.Open(t.Context(), src, plugins.Host{Name: "example.com"}, plugins.NewOptions(options{}), svc)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	reply, err := p.Handle(t.Context(), plugins.Call{Method: "GET", Path: "/test"})
	if err != nil {
		t.Fatal(err)
	}
	return string(reply.Body)
}

// Time and chance are the services', wherever a script meets them.
func TestTimeAndChance(t *testing.T) {
	for _, tt := range []struct{ code, want string }{
		{`print(os.time(), os.date("!%F %T"), os.date("!*t").year, os.clock())`, "1770091506\t2026-02-03 04:05:06\t2026\t0"},
		{`local a = math.random(1000000); print(a == math.random(1000000), a)`, "false\t599637"},
	} {
		if got := printed(t, tt.code); got != tt.want {
			t.Errorf("%s\n prints %s\n not    %s", tt.code, got, tt.want)
		}
	}
}
