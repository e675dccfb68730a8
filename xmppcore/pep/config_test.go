package pep

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"rosterd/xmppcore/scan"
)

func form(inner string) string { return "<x xmlns='jabber:x:data' type='submit'>" + inner + "</x>" }

func text(name string, values ...string) string {
	s := "<field var='pubsub#" + name + "'>"
	for _, v := range values {
		s += "<value>" + v + "</value>"
	}
	return s + "</field>"
}

func parseForm(t testing.TB, x string) submitted {
	t.Helper()
	e, err := stored([]byte("<configure>" + x + "</configure>"))
	if err != nil {
		t.Fatal(err)
	}
	return readForm(e)
}

func TestApply(t *testing.T) {
	for _, tt := range []struct {
		name, form string
		want       Config
		refused    string
	}{
		{"nothing", "", Config{Access: "presence", MaxItems: 1}, ""},
		{"as many as there may be", text("max_items", "max"), Config{Access: "presence"}, ""},
		{"the same as a number", text("max_items", "20"), Config{Access: "presence"}, ""},
		{"more", text("max_items", "21"), Config{}, "modify/not-acceptable: pubsub#max_items is at most 20"},
		{"fewer than one", text("max_items", "-1"), Config{}, "modify/not-acceptable: no value of pubsub#max_items"},
		{"no number", text("max_items", "some"), Config{}, "modify/not-acceptable: no value of pubsub#max_items"},
		{"two values", text("max_items", "1", "2"), Config{}, "modify/not-acceptable: no value of pubsub#max_items"},
		{"no value", text("access_model"), Config{}, "modify/not-acceptable: no value of pubsub#access_model"},
		{"whom the owner would have to let in", text("access_model", "authorize"), Config{}, "modify/not-acceptable: no value of pubsub#access_model"},
		{"groups", text("access_model", "roster") + text("roster_groups_allowed", "a", "b"), Config{Access: "roster", Groups: []string{"a", "b"}, MaxItems: 1}, ""},
		{"too many groups", text("roster_groups_allowed", strings.Split(strings.Repeat("g ", maxGroups)+"g", " ")...), Config{}, "modify/not-acceptable: no value of pubsub#roster_groups_allowed"},
		{"not kept, not told", text("persist_items", "0") + text("deliver_notifications", "false"), Config{Access: "presence", MaxItems: 1, Transient: true, NoNotify: true}, ""},
		{"neither", text("persist_items", "perhaps"), Config{}, "modify/not-acceptable: no value of pubsub#persist_items"},
		{"others may publish", text("publish_model", "open"), Config{}, "modify/not-acceptable: no value of pubsub#publish_model"},
		{"a long title", text("title", strings.Repeat("x", maxTitle+1)), Config{}, "modify/not-acceptable: no value of pubsub#title"},
		{"when the last item is sent", text("send_last_published_item", "on_sub_and_presence"), Config{Access: "presence", MaxItems: 1}, ""},
		{"what nobody knows", text("collection", "x") + "<field var='FORM_TYPE'><value>x</value></field><other/>", Config{Access: "presence", MaxItems: 1}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := defaults("urn:x")
			err := c.apply(parseForm(t, form(tt.form)), 20)
			if tt.refused != "" {
				if err == nil || err.Error() != tt.refused {
					t.Errorf("%v, want %s", err, tt.refused)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(c, tt.want) {
				t.Errorf("%v, %+v, want %+v", err, c, tt.want)
			}
		})
	}
}

// What a form makes of a node is what its form says afterwards, and what is stored of it.
func FuzzConfig(f *testing.F) {
	f.Add("<field var='pubsub#max_items'><value>max</value></field>")
	f.Add(text("access_model", "roster") + text("roster_groups_allowed", "a", "&lt;"))
	f.Add(text("title", "&amp;") + text("persist_items", "0") + text("send_last_published_item", "never") + text("notification_type", "normal"))
	f.Fuzz(func(t *testing.T, inner string) {
		var sc scan.Scanner
		var st scan.Stanza
		if _, err := sc.Next([]byte("<iq>"+form(inner)+"</iq>"), &st); err != nil || len(st.Children) != 1 {
			return
		}
		c := defaults("urn:x")
		if c.apply(readForm(st.Root()), 20) != nil {
			return
		}
		again := Config{Access: "open", MaxItems: 7, NoPayload: true, SendLast: "on_sub"}
		if err := again.apply(parseForm(t, strings.Replace(string(c.appendForm(nil)), "type='form'", "type='submit'", 1)), 20); err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		if len(c.Groups) == 0 {
			c.Groups, again.Groups = nil, nil
		}
		if !reflect.DeepEqual(c, again) {
			t.Errorf("%+v became %+v", c, again)
		}
		doc, err := json.Marshal(c)
		var kept Config
		if err != nil || json.Unmarshal(doc, &kept) != nil || !reflect.DeepEqual(c, kept) {
			t.Errorf("%+v is stored as %s", c, doc)
		}
	})
}
