package xmpptest

import (
	"maps"
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	tests := []struct {
		name, want, got string
		differs         string // part of what Match says; "" if all is well
		vars            map[string]string
		found           map[string]string // vars afterwards, if other
	}{
		{name: "same", want: "<presence from='a@b/c'/>", got: "<presence from='a@b/c'/>"},
		{name: "order of attributes", want: "<iq id='1' type='get'/>", got: "<iq type='get' id='1'></iq>"},
		{name: "space between children", want: "<message>\n\t<body>hi</body>\n</message>", got: "<message><body>hi</body></message>"},
		{name: "order of children", want: "<message><a/><b/></message>", got: "<message><b/><a/></message>"},
		{name: "quotes and references", want: `<message><body>"&amp;"</body></message>`, got: "<message><body>&quot;&#38;&#x22;</body></message>"},
		{name: "prefixes", want: "<iq><query xmlns='urn:q' a='1'/></iq>", got: "<iq xmlns:q='urn:q'><q:query a='1'/></iq>"},
		{name: "language", want: "<message xml:lang='en'/>", got: "<message xml:lang='en'/>"},
		{name: "other name", want: "<presence/>", got: "<message/>", differs: "is <message xmlns='jabber:client'/>, want <presence"},
		{name: "other namespace", want: "<iq><query xmlns='a'/></iq>", got: "<iq><query xmlns='b'/></iq>", differs: "no <query xmlns='a'/> in <iq/>"},
		{name: "other value", want: "<iq id='1'/>", got: "<iq id='2'/>", differs: `id of <iq/> is "2", want "1"`},
		{name: "attribute missing", want: "<iq id='1'/>", got: "<iq/>", differs: `<iq/> has no id, want "1"`},
		{name: "attribute too many", want: "<iq/>", got: "<iq id='1'/>", differs: `<iq/> has id="1", want none`},
		{name: "other text", want: "<message><body>hi</body></message>", got: "<message><body>hi </body></message>", differs: `text of <body/> is "hi ", want "hi"`},
		{name: "text beside children", want: "<message><a/></message>", got: "<message><a/>x</message>", differs: `text of <message/> is "x", want ""`},
		{name: "child missing", want: "<message><a/><a/></message>", got: "<message><a/></message>", differs: "no <a"},
		{name: "child too many", want: "<message><a/></message>", got: "<message><a/><b/></message>", differs: "unexpected <b"},
		{name: "difference deep inside", want: "<a><b><c d='1'/></b></a>", got: "<a><b><c d='2'/></b></a>", differs: `d of <c/> is "2"`},
		{name: "any value", want: "<iq id='{any}'/>", got: "<iq id='xyz'/>"},
		{name: "any value must be there", want: "<iq id='{any}'/>", got: "<iq/>", differs: "has no id"},
		{name: "any part", want: "<iq id='a-{any}-z'/>", got: "<iq id='a-m-z'/>"},
		{name: "other part", want: "<iq id='a-{any}-z'/>", got: "<iq id='b-m-z'/>", differs: "id of <iq/>"},
		{name: "any content", want: "<iq>{any}</iq>", got: "<iq>text<a/></iq>"},
		{name: "known name", want: "<iq to='{romeo}'/>", got: "<iq to='r@x/1'/>", vars: map[string]string{"romeo": "r@x/1"}},
		{name: "known name, other value", want: "<iq to='{romeo}'/>", got: "<iq to='j@x/1'/>", vars: map[string]string{"romeo": "r@x/1"}, differs: "to of <iq/>"},
		{name: "known name is no pattern", want: "<iq to='{romeo}'/>", got: "<iq to='axb'/>", vars: map[string]string{"romeo": "a.b"}, differs: "to of <iq/>"},
		{name: "new name", want: "<iq id='{id}'><a ver='v{ver}'/></iq>", got: "<iq id='7'><a ver='v8'/></iq>", vars: map[string]string{}, found: map[string]string{"id": "7", "ver": "8"}},
		{name: "new name twice", want: "<iq id='{id}' to='{id}'/>", got: "<iq id='7' to='8'/>", vars: map[string]string{}, differs: "to of <iq/>"},
		{name: "new name and a difference", want: "<iq id='{id}' to='x'/>", got: "<iq id='7' to='8'/>", vars: map[string]string{}, differs: "to of <iq/>"},
		{name: "braces that are none", want: "<message><body>{ } {1}</body></message>", got: "<message><body>{ } {1}</body></message>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want, err := Parse(tt.want)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Parse(tt.got)
			if err != nil {
				t.Fatal(err)
			}
			found := tt.found
			if found == nil {
				found = maps.Clone(tt.vars)
			}
			err = Match(want, got, tt.vars)
			switch {
			case tt.differs == "" && err != nil:
				t.Errorf("differs: %v", err)
			case tt.differs != "" && (err == nil || !strings.Contains(err.Error(), tt.differs)):
				t.Errorf("says %v, want %q", err, tt.differs)
			}
			if !maps.Equal(tt.vars, found) {
				t.Errorf("vars are %v, want %v", tt.vars, found)
			}
		})
	}
}

func TestParse(t *testing.T) {
	for _, bad := range []string{"", "text", "<a>", "<a/><b/>", "</a>", "<a></b>", "<a/> text", "<!-- c -->", "<?x y?>", "</stream:stream><a/>", "<a><!-- c --></a>"} {
		if e, err := Parse(bad); err == nil {
			t.Errorf("%q is %v", bad, e)
		}
	}
	e, err := Parse(" <iq type='get' id='1'><query xmlns='urn:q'><item><group>A</group></item></query></iq> ")
	if err != nil {
		t.Fatal(err)
	}
	group, ok := e.Path("query", "item", "group")
	if !ok || group.Text != "A" || !group.Is("urn:q", "group") {
		t.Errorf("group is %+v", group)
	}
	if _, ok := e.Path("query", "group"); ok {
		t.Error("a group where there is none")
	}
	if e.Attr("id") != "1" || e.Attr("to") != "" || e.Raw[0] != '<' {
		t.Errorf("%+v", e)
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("<iq id='{a}'>{any}</iq>", "<iq id='1'><x/></iq>")
	f.Add("<a><b c='{x}-{y}'/></a>", "<a><b c='1-2'/></a>")
	f.Fuzz(func(t *testing.T, want, got string) {
		g, err := Parse(got)
		if err != nil {
			return
		}
		if w, err := Parse(want); err == nil {
			Match(w, g, map[string]string{"known": "value"})
		}
		if placeholder.MatchString(got) {
			return
		}
		if err := Match(g, g, nil); err != nil {
			t.Errorf("%s differs from itself: %v", got, err)
		}
	})
}
