package config

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A snippet is a small configuration of testdata/prosody/snippets.txt, which says what its flags mean.
type snippet struct {
	name    string
	source  string
	but     []string
	refused string
	lenient bool
}

// beside are the files that snippets include.
var beside = files{
	"one.cfg.lua": "c = 3\nVirtualHost 'i.example'\nd = 4", "two.cfg.lua": "e = 5", "host.cfg.lua": "a = 1\nVirtualHost 'j.example'\nx = 1",
	"conf.d/b.cfg.lua": "b = 1", "conf.d/aa.cfg.lua": "aa = 1", "conf.d/.hidden.cfg.lua": "hidden = 1", "conf.d/c.cfg.lua~": "old = 1", "empty/readme.txt": "",
	"broken.cfg.lua": "\n\nlocal x = nil .. 'a'", "syntax.cfg.lua": "\n\na = = 1", "locals.cfg.lua": "a = secret",
	"nested/outer.cfg.lua": "o = 1\nInclude 'inner.cfg.lua'\nInclude 'sub/deep.cfg.lua'", "nested/inner.cfg.lua": "i = 1", "nested/sub/deep.cfg.lua": "d = 1",
}

var snippetFlag = regexp.MustCompile(` ?\{([a-z]+)( [^}]*)?\}`)

func snippets(t testing.TB) (list []snippet) {
	t.Helper()
	text, err := os.ReadFile("testdata/prosody/snippets.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split(string(text), "\n--- ")[1:] {
		title, source, _ := strings.Cut(part, "\n")
		s := snippet{name: snippetFlag.ReplaceAllString(title, ""), source: source + "\n"}
		for _, m := range snippetFlag.FindAllStringSubmatch(title, -1) {
			switch arg := strings.TrimSpace(m[2]); m[1] {
			case "crlf":
				s.source = strings.ReplaceAll(s.source, "\n", "\r\n")
			case "cr":
				s.source = strings.ReplaceAll(s.source, "\n", "\r")
			case "bom":
				s.source = "\xef\xbb\xbf" + s.source
			case "nonl":
				s.source = strings.TrimRight(s.source, "\n")
			case "but":
				s.but = strings.Fields(arg)
			case "refused":
				s.refused = arg
			case "lenient":
				s.lenient = true
			default:
				t.Fatalf("%s: unknown flag %q", s.name, m[0])
			}
		}
		list = append(list, s)
	}
	return list
}

// put writes the snippet and what it includes into dir.
func (s snippet) put(t *testing.T, dir string) {
	t.Helper()
	fs := files{"prosody.cfg.lua": s.source}
	if strings.Contains(s.source, "nclude") {
		for name, text := range beside {
			fs[name] = text
		}
	}
	for name, text := range fs {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// snippetEnv is the environment of all snippets.
var snippetEnv = map[string]string{"ROSTERD_TEST": "set"}

// A dump is what Prosody makes of a configuration.
type dump struct {
	Config map[string]map[string]any `json:"config"`
	Error  string                    `json:"error"`
}

const goldenSnippets = "testdata/prosody/snippets.golden"

// golden reads what Prosody was heard to say: a name and a dump in each line.
func golden(t *testing.T) map[string]dump {
	t.Helper()
	text, err := os.ReadFile(goldenSnippets)
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]dump{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		name, line, _ := strings.Cut(lines.Text(), "\t")
		said[name] = parseDump(t, []byte(line))
	}
	return said
}

func parseDump(t *testing.T, line []byte) (d dump) {
	t.Helper()
	if err := json.Unmarshal(line, &d); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	return d
}

// dumped is a loaded configuration in the form of a dump.
func dumped(t *testing.T, c *Config) map[string]map[string]any {
	t.Helper()
	out := map[string]map[string]any{}
	for host, options := range c.Raw() {
		m := map[string]any{}
		for name, v := range options {
			m[latin(name).(string)] = latin(v)
		}
		out[latin(host).(string)] = m
	}
	b, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	var plain map[string]map[string]any
	if err := json.Unmarshal(b, &plain); err != nil {
		t.Fatal(err)
	}
	return plain
}

// latin makes a letter of each byte, as dump.lua does: Lua knows no other.
func latin(v any) any {
	switch x := v.(type) {
	case string:
		letters := make([]rune, len(x))
		for i := range len(x) {
			letters[i] = rune(x[i])
		}
		return string(letters)
	case []any:
		for i := range x {
			x[i] = latin(x[i])
		}
	case map[string]any:
		m := make(map[string]any, len(x))
		for k, e := range x {
			m[latin(k).(string)] = latin(e)
		}
		return m
	}
	return v
}

// errorPlace is the file and line that an error of Prosody begins with; Lua shortens long names.
var errorPlace = regexp.MustCompile(`(?:^|/)([a-z]+\.cfg\.lua):(\d+): `)

// What Prosody loads we load, value by value; what it refuses we refuse, in the same line.
func TestSnippets(t *testing.T) {
	said := golden(t)
	for _, s := range snippets(t) {
		t.Run(s.name, func(t *testing.T) {
			want, ok := said[s.name]
			if !ok {
				t.Fatal("Prosody has not been asked: make test-clients")
			}
			dir := t.TempDir()
			s.put(t, dir)
			c, err := Load(filepath.Join(dir, "prosody.cfg.lua"), LoadOptions{LookupEnv: environment(snippetEnv)})
			switch {
			case s.refused != "":
				if err == nil || !strings.Contains(err.Error(), s.refused) || want.Error != "" {
					t.Errorf("error is %v, want one with %q where Prosody has %q", err, s.refused, want.Error)
				}
			case s.lenient:
				if err != nil || want.Error == "" {
					t.Errorf("error is %v, want none where Prosody has %q", err, want.Error)
				}
			case want.Error != "":
				wantSameError(t, err, want.Error)
			case err != nil:
				t.Errorf("Prosody loads this: %v", err)
			default:
				wantSameConfig(t, dumped(t, c), want.Config, s.but)
			}
		})
	}
}

func wantSameError(t *testing.T, err error, theirs string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Errorf("error is %v, Prosody says %q", err, theirs)
		return
	}
	if m := errorPlace.FindStringSubmatch(theirs); m != nil {
		if got := filepath.Base(e.Pos.File) + ":" + strconv.Itoa(e.Pos.Line); got != m[1]+":"+m[2] {
			t.Errorf("error is at %s (%v), Prosody says %q", got, err, theirs)
		}
	}
}

func wantSameConfig(t *testing.T, ours, theirs map[string]map[string]any, but []string) {
	t.Helper()
	for _, name := range but {
		if reflect.DeepEqual(ours["*"][name], theirs["*"][name]) {
			t.Errorf("%s is the same after all: %v", name, ours["*"][name])
		}
		delete(ours["*"], name)
		delete(theirs["*"], name)
	}
	if !reflect.DeepEqual(ours, theirs) {
		a, _ := json.Marshal(ours)
		b, _ := json.Marshal(theirs)
		t.Errorf("ours is    %s\nProsody's is %s", a, b)
	}
}
