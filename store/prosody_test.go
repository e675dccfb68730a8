//go:build unix

package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"rosterd/engine/addr"
	"rosterd/store/credential"
	"rosterd/store/dat"
)

const prosody012, prosody13 = "testdata/prosody-0.12.3", "testdata/prosody-13"

// passwords are those that testdata was made with.
var passwords = map[string]string{
	"juliet":      "R0m30MyR0m30",
	"o.mal-ley_1": `quote"back\slash'x`,
	"zoë":         "пароль 🙂",
	"sq":          "\U0001f130\u2168\u00aa\u200bx\u00a0y",
	"romeo":       "wherefore",
	"mercutio":    "wherefore art thou",
}

// copyOf is a folder like src that a test may write to.
func copyOf(t *testing.T, src string) string {
	t.Helper()
	dst := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(dst, os.DirFS(src)); err != nil {
		t.Fatal(err)
	}
	return dst
}

// What prosodyctl wrote opens to the password that it was given, and to no other.
func TestProsodyFiles(t *testing.T) {
	tests := []struct {
		host, kept string
		users      int
	}{
		{"example.com", "SCRAM-SHA-1", 6},
		{"sha256.example", "SCRAM-SHA-256", 4},
		{"plain.example", "password", 4},
		{"müller.example", "SCRAM-SHA-1", 3},
		{"nobody.example", "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.host, func(t *testing.T) {
			list, err := folder(prosody012).list(tt.host)
			if err != nil || len(list) != tt.users {
				t.Fatalf("%v, %v", list, err)
			}
			for _, acc := range list {
				if acc.Kept != tt.kept || acc.Place != Prosody || acc.Err != nil || acc.Disabled {
					t.Errorf("%+v", acc)
				}
				c, err := folder(prosody012).credentials(acc.User)
				if err != nil {
					t.Fatal(err)
				}
				right := passwords[acc.User.Local()]
				if !c.Verify(right) || c.Verify(right+"x") {
					t.Errorf("%s: password %q is wrong, or every one is right", acc.User, right)
				}
				if c.SCRAM != nil && c.SCRAM.Iterations != credential.DefaultIterations {
					t.Errorf("%s: %d iterations", acc.User, c.SCRAM.Iterations)
				}
			}
		})
	}
}

func TestProsody13(t *testing.T) {
	tests := []struct {
		user, kept string
		disabled   bool
	}{
		{"juliet", "SCRAM-SHA-1", false},
		{"tybalt", "SCRAM-SHA-1", true},
		{"invited", "none", true},
	}
	for _, tt := range tests {
		c, err := folder(prosody13).credentials(addr.MustBare(tt.user + "@example.com"))
		if err != nil || c.String() != tt.kept || c.Disabled != tt.disabled {
			t.Errorf("%s: %v, disabled %v, %v", tt.user, c, c.Disabled, err)
		}
	}
}

func TestDecodeAccount(t *testing.T) {
	keys := func(lines string) string {
		sha1 := strings.Repeat("0f", 20)
		return fmt.Sprintf(`return { stored_key = "%s"; server_key = "%s"; salt = "s"; iteration_count = 4096; %s }`, sha1, sha1, lines)
	}
	tests := []struct{ name, src, want string }{
		{"plain", `return { password = "x" }`, "password"},
		{"hashed", keys(""), "SCRAM-SHA-1"},
		{"both: the password counts", keys(`password = "x"`), "password"},
		{"empty password beside keys", keys(`password = ""`), "SCRAM-SHA-1"},
		{"empty password", `return { password = "" }`, "none"},
		{"nothing", `return {}`, "none"},
		{"real number", strings.Replace(keys(""), "4096", "4.096e3", 1), "SCRAM-SHA-1"},
		{"upper case", strings.ReplaceAll(keys(""), "0f", "0F"), "SCRAM-SHA-1"},
		{"disabled = false", keys("disabled = false"), "SCRAM-SHA-1"},
		{"disabled", keys("disabled = true"), "SCRAM-SHA-1, disabled"},
		{"disabled = 0 is true in Lua", keys("disabled = 0"), "SCRAM-SHA-1, disabled"},

		{"not a string", `return { password = 1 }`, "password is a int64"},
		{"not a table", `return "x"`, "not a table"},
		{"nil", `return nil`, "not a table"},
		{"not Lua", `<xml/>`, "line 1: does not begin with return"},
		{"empty", ``, "line 1: does not begin with return"},
		{"call", `return os.exit()`, "line 1: expected a value"},
		{"one key", `return { stored_key = "0f" }`, "stored_key: 1 bytes"},
		{"keys of two hashes", strings.Replace(keys(""), `server_key = "`, `server_key = "0f`, 1), "keys of 20 and 21 bytes"},
		{"not hexadecimal", strings.Replace(keys(""), "0f", "xx", 1), "stored_key: encoding/hex"},
		{"no salt", strings.Replace(keys(""), `"s"`, `""`, 1), "no salt"},
		{"salt is a number", strings.Replace(keys(""), `"s"`, `1`, 1), "salt is a int64"},
		{"no count", strings.Replace(keys(""), "4096", "nil", 1), "iteration count 0"},
		{"count is a string", strings.Replace(keys(""), "4096", `"4096"`, 1), "iteration count 0"},
		{"count of no end", strings.Replace(keys(""), "4096", "(1/0)", 1), "iteration count"},
		{"count of no number", strings.Replace(keys(""), "4096", "(0/0)", 1), "iteration count"},
		{"count below 0", strings.Replace(keys(""), "4096", "-1", 1), "iteration count 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := folder(t.TempDir())
			if err := os.MkdirAll(files.accountsDir("example.com"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(files.file(juliet), []byte(tt.src), 0o644); err != nil {
				t.Fatal(err)
			}
			c, err := files.credentials(juliet)
			got := c.String()
			if c.Disabled {
				got += ", disabled"
			}
			switch {
			case err == nil && got != tt.want:
				t.Errorf("%s, want %s", got, tt.want)
			case err != nil && !strings.Contains(err.Error(), files.file(juliet)+": "+tt.want):
				t.Errorf("error %v, want %q", err, tt.want)
			case errors.Is(err, credential.ErrNoUser):
				t.Errorf("a broken file is no user: %v", err)
			}
		})
	}
}

func TestNoFile(t *testing.T) {
	for name, user := range map[string]addr.Bare{
		"no user":       addr.MustBare("nobody@example.com"),
		"no host":       other,
		"name too long": addr.MustBare(strings.Repeat("a", 300) + "@example.com"),
		"escape":        addr.MustBare("..@example.com"),
	} {
		if _, err := folder(prosody012).credentials(user); !errors.Is(err, credential.ErrNoUser) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFileThatCannotBeRead(t *testing.T) {
	files := folder(copyOf(t, prosody012))
	if err := os.Remove(files.file(juliet)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(files.file(juliet), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := files.credentials(juliet); err == nil || errors.Is(err, credential.ErrNoUser) || !strings.Contains(err.Error(), files.file(juliet)) {
		t.Errorf("a folder: %v", err)
	}
	if err := os.WriteFile(files.file(romeo), make([]byte, maxFile+1), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := files.credentials(romeo); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a large file: %v", err)
	}
}

func TestListNamesWhatIsBroken(t *testing.T) {
	files := folder(copyOf(t, prosody012))
	dir := files.accountsDir("example.com")
	for name, content := range map[string]string{
		"broken.dat": "return {", "Upper.dat": "return {}", "%zz.dat": "return {}", "a%40b.dat": "return {}", "%C3%AB.dat": "return {}",
		"juliet.dat~": "left over", "notes.txt": "", ".rosterd-123": "left over",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	list, err := files.list("example.com")
	if err != nil {
		t.Fatal(err)
	}
	good, broken := 0, map[string]bool{}
	for _, acc := range list {
		if acc.Err == nil {
			good++
			continue
		}
		for _, name := range []string{"broken.dat", "Upper.dat", "%zz.dat", "a%40b.dat", "%C3%AB.dat"} {
			if strings.Contains(acc.Err.Error(), filepath.Join(dir, name)) {
				broken[name] = true
			}
		}
	}
	if good != 6 || len(broken) != 5 || len(list) != 11 {
		t.Errorf("%d good, broken %v, %d in all", good, broken, len(list))
	}
}

func TestNames(t *testing.T) {
	tests := []struct{ name, want string }{
		{"juliet", "juliet"},
		{"o.mal-ley_1", "o%2emal%2dley%5f1"},
		{"müller.example", "m%c3%bcller%2eexample"},
		{"../a b%", "%2e%2e%2fa%20b%25"},
		{"AZaz09[`{@", "AZaz09%5b%60%7b%40"},
	}
	for _, tt := range tests {
		if got := EscapeName(tt.name); got != tt.want {
			t.Errorf("EscapeName(%q) = %s, want %s", tt.name, got, tt.want)
		}
		if got := UnescapeName(tt.want); got != tt.name {
			t.Errorf("UnescapeName(%s) = %q, want %q", tt.want, got, tt.name)
		}
	}
	if got := UnescapeName("%4%zz%"); got != "%4%zz%" {
		t.Errorf("what is no escape became %q", got)
	}
}

// A new password leaves the rest of the account, its mode and its owner alone, and nothing beside it.
func TestProsodySetPassword(t *testing.T) {
	files := folder(copyOf(t, prosody13))
	tybalt := addr.MustBare("tybalt@example.com")
	if err := os.Chmod(files.file(tybalt), 0o604); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 { // only root can make a file that is another's
		if err := os.Chown(files.file(tybalt), 12, 34); err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.Stat(files.file(tybalt))
	if err != nil {
		t.Fatal(err)
	}
	if err := files.setPassword(tybalt, derive(t, "SHA-256", "new")); err != nil {
		t.Fatal(err)
	}
	c, err := files.credentials(tybalt)
	if err != nil || !c.Verify("new") || c.String() != "SCRAM-SHA-256" || !c.Disabled {
		t.Errorf("%v, %v", c, err)
	}
	table, err := files.load(tybalt)
	if err != nil {
		t.Fatal(err)
	}
	meta, _ := table.Get("disabled_meta").(*dat.Table)
	if meta == nil || meta.Get("reason") != "duel" || table.Get("created") != int64(1741600000) {
		t.Errorf("the rest has changed: %v", table)
	}
	if updated, _ := table.Get("updated").(int64); updated <= 1741603600 {
		t.Errorf("updated is %d", updated)
	}
	after, err := os.Stat(files.file(tybalt))
	if err != nil || after.Mode() != before.Mode() || owner(after) != owner(before) {
		t.Errorf("%v of %s, was %v of %s (%v)", after.Mode(), owner(after), before.Mode(), owner(before), err)
	}
	if err := files.setPassword(tybalt, credential.Credentials{Password: "plain", HasPassword: true}); err != nil {
		t.Fatal(err)
	}
	if table, err = files.load(tybalt); err != nil || table.Get("stored_key") != nil || table.Get("salt") != nil || table.Get("password") != "plain" {
		t.Errorf("%v, %v", table, err)
	}
	entries, err := os.ReadDir(files.accountsDir("example.com"))
	if err != nil || len(entries) != 3 {
		t.Errorf("%v, %v", entries, err)
	}
}

func owner(info fs.FileInfo) string {
	stat := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d", stat.Uid, stat.Gid)
}

func TestProsodyAdd(t *testing.T) {
	files := folder(copyOf(t, prosody012))
	nurse := addr.MustBare("the.nurse@example.com")
	if err := files.add(nurse, credential.Credentials{Password: `a"b`, HasPassword: true}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(string(files), "example%2ecom", "accounts", "the%2enurse.dat")
	got, err := os.ReadFile(path)
	if want := "return {\n\t[\"password\"] = \"a\\\"b\";\n};\n"; string(got) != want || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != newFileMode {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestWriteFileFails(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "x.dat")
	if err := os.Mkdir(target, 0o755); err != nil { // a folder cannot be replaced by a file
		t.Fatal(err)
	}
	if err := writeFile(target, []byte("x")); err == nil {
		t.Error("a folder was replaced")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left over: %v, %v", entries, err)
	}
	if err := writeFile(filepath.Join(dir, "none", "x.dat"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}

func TestPurge(t *testing.T) {
	files := folder(copyOf(t, prosody012))
	for _, name := range []string{
		"roster/juliet.dat", "roster/romeo.dat", "archive/juliet.list", "archive/juliet.lidx", "vcard/o%2emal%2dley%5f1.dat", "juliet.dat",
	} {
		path := filepath.Join(files.hostDir("example.com"), name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("return {};\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := files.purge(juliet); err != nil {
		t.Fatal(err)
	}
	var left []string
	err := fs.WalkDir(os.DirFS(files.hostDir("example.com")), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasPrefix(path, "accounts/") {
			left = append(left, path)
		}
		return err
	})
	if got := strings.Join(left, " "); got != "juliet.dat roster/romeo.dat vcard/o%2emal%2dley%5f1.dat" || err != nil {
		t.Errorf("left are %s, %v", got, err)
	}
	if there, err := files.has(juliet); there || err != nil {
		t.Errorf("account: %v, %v", there, err)
	}
	if there, err := files.has(romeo); !there || err != nil {
		t.Errorf("account of another: %v, %v", there, err)
	}
}

// An account that can be read is written so that it opens to the same password.
func FuzzAccount(f *testing.F) {
	for _, s := range []string{
		`return { password = "x\"\208\191"; disabled = true }`, `return {}`, `return { stored_key = "0f"; server_key = "0f" }`,
		"return { stored_key = '" + strings.Repeat("0f", 20) + "'; server_key = '" + strings.Repeat("a0", 20) + "'; salt = 's'; iteration_count = 4096; }",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		v, _ := dat.Parse(src)
		table, ok := v.(*dat.Table)
		if !ok {
			return
		}
		c, err := decodeAccount(table)
		if err != nil {
			return
		}
		encodeAccount(table, c)
		again, err := dat.Parse(dat.Append(nil, table))
		if err != nil {
			t.Fatal(err)
		}
		back, err := decodeAccount(again.(*dat.Table))
		if err != nil || !reflect.DeepEqual(back, c) {
			t.Errorf("%q: %v became %v, %v", src, c, back, err)
		}
	})
}
