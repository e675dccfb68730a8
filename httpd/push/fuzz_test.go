package push

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Whatever is read of a file can be written and read again.
func FuzzParseTuples(f *testing.F) {
	f.Add(`[{<<"bob">>, <<"example.org">>, <<"workers">>, <<"Bob"/utf8>>}, % him
		{"mart", "example.org", "a;b", "M \"x\""}].`)
	f.Add(`[].`)
	f.Add(`[{"", "", "", "\`)
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseTuples(text)
		if err != nil {
			return
		}
		quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
		var b strings.Builder
		for i, tuple := range list {
			if i > 0 {
				b.WriteString(",")
			}
			for j, s := range tuple {
				b.WriteString([]string{"{", ",", ",", ","}[j] + `"` + quote.Replace(s) + `"`)
			}
			b.WriteString("}")
		}
		again, err := parseTuples("[" + b.String() + "].")
		if err != nil || len(again) != len(list) {
			t.Fatalf("%q: %q, %v", text, again, err)
		}
		for i := range list {
			if again[i] != list[i] {
				t.Errorf("%q is read again as %q", list[i], again[i])
			}
		}
	})
}

// Whoever may not call is told nothing else, and what he sends makes nothing fail.
func FuzzEjabberd(f *testing.F) {
	f.Add("POST", "/add_rosteritem/v1", `{"localuser":"a","localhost":"b","user":"c","host":"d","nick":"","group":["x"],"subs":"both"}`)
	f.Add("GET", "/get_roster?user=a&host=b", "")
	f.Add("POST", "/process_rosteritems", `{"action":"delete","subs":"any","asks":"any","users":"[a-z]*@*","contacts":"any"}`)
	f.Add("POST", "/push_roster", `{"file":"x","user":"a","host":"b"}`)
	api := &API{Hosts: map[string]*Host{"b": {Name: "b", Token: "secret"}}}
	f.Fuzz(func(t *testing.T, method, target, body string) {
		r, err := http.NewRequest(method, "http://b"+target, strings.NewReader(body))
		if err != nil {
			return
		}
		w := httptest.NewRecorder()
		api.Ejabberd().ServeHTTP(w, r)
		answer, err := io.ReadAll(w.Body)
		if err != nil || !json.Valid(answer) {
			t.Errorf("answered with %q", answer)
		}
		switch w.Code {
		case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusRequestEntityTooLarge:
		default:
			t.Errorf("%s %s %s: %d %s", method, target, body, w.Code, answer)
		}
	})
}

// The forms of Openfire's contacts are read, or refused.
func FuzzRosterItem(f *testing.F) {
	f.Add("application/json", `{"jid":"a@b","nickname":"A","subscriptionType":3,"groups":{"group":["x"]}}`)
	f.Add("application/xml", `<rosterItem><jid>a@b</jid><groups><group>x</group></groups></rosterItem>`)
	o := openfire{api: &API{}}
	f.Fuzz(func(t *testing.T, contentType, body string) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		if i, err := o.item(r); err == nil && (i.Type < -1 || i.Type > 3) {
			t.Errorf("%+v", i)
		}
	})
}
