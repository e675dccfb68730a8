package httpd

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// folder makes a directory, beside one that is nobody's business, and returns both.
func folder(t testing.TB) (dir, outside string) {
	t.Helper()
	top := t.TempDir()
	dir, outside = filepath.Join(top, "www"), filepath.Join(top, "secret.txt")
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(outside, "outside")
	for name, text := range map[string]string{
		"index.html": "<p>index", "app.js": "let x = 1", "font.woff2": "font", "UPPER.CSS": "p {}", "noextension": "<script>",
		"strange.zzz": "strange", "a b&c%.txt": "odd", "ünïcode.txt": "unicode", "a:b.txt": "colon", "...": "dots",
		"sub/index.htm": "<p>sub", "sub/both/index.htm": "<p>second", "sub/both/index.html": "<p>first", "bare/file.txt": "bare",
		"bare/<b>.txt": "markup", "bare/deep/x": "x", ".htpasswd": "secret", ".git/config": "secret", "sub/.hidden/x": "secret",
		".well-known/acme-challenge/token": "token", ".well-known/.secret": "secret", "sub/.well-known/x": "secret",
		"odd/index.html/x": "index is a directory",
	} {
		write(filepath.Join(dir, name), text)
	}
	for name, target := range map[string]string{
		"link.js": "app.js", "bare/up": "../sub", "escape": "../secret.txt", "absolute": outside, "updir": "..", "loop": "loop", "bare/dangling": "nowhere",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "bare", "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir, outside
}

func TestFiles(t *testing.T) {
	dir, _ := folder(t)
	index := []string{"index.html", "index.htm"}
	hosts := []Host{{Name: "example.com", Mounts: []Mount{
		{Name: "files", Path: "/files", Handler: Files{Dir: dir, Index: index}},
		{Name: "files", Path: "/listed", Handler: Files{Dir: dir, Listing: true}},
		{Name: "files", Path: "/gone", Handler: Files{Dir: filepath.Join(dir, "nowhere")}},
		{Name: "files", Path: "/", Handler: Files{Dir: dir, Index: index}},
	}}}
	addr := start(t, &Server{}, hosts, "")
	tests := []struct {
		name, method, target string
		status               int
		body                 string // part of it
		contentType          string
		location             string
	}{
		{name: "file", target: "/files/app.js", status: 200, body: "let x = 1", contentType: "text/javascript; charset=utf-8"},
		{name: "query", target: "/files/app.js?v=1", status: 200, body: "let x = 1"},
		{name: "HEAD", method: "HEAD", target: "/files/app.js", status: 200, contentType: "text/javascript; charset=utf-8"},
		{name: "font", target: "/files/font.woff2", status: 200, contentType: "font/woff2"},
		{name: "capitals", target: "/files/UPPER.CSS", status: 200, contentType: "text/css; charset=utf-8"},
		{name: "no extension is not looked into", target: "/files/noextension", status: 200, contentType: "application/octet-stream"},
		{name: "unknown extension", target: "/files/strange.zzz", status: 200, contentType: "application/octet-stream"},
		{name: "escaped", target: "/files/a%20b%26c%25.txt", status: 200, body: "odd"},
		{name: "UTF-8", target: "/files/%C3%BCn%C3%AFcode.txt", status: 200, body: "unicode"},
		{name: "colon", target: "/files/a:b.txt", status: 200, body: "colon"},
		{name: "index", target: "/files/", status: 200, body: "<p>index", contentType: "text/html; charset=utf-8"},
		{name: "index at the root", target: "/", status: 200, body: "<p>index"},
		{name: "second index", target: "/files/sub/", status: 200, body: "<p>sub"},
		{name: "first index of two", target: "/files/sub/both/", status: 200, body: "<p>first"},
		{name: "index that is a directory", target: "/files/odd/", status: 403},
		{name: "the mount without a slash", target: "/files", status: 301, location: "./files/"},
		{name: "directory without a slash", target: "/files/sub?x=1", status: 301, location: "./sub/?x=1"},
		{name: "directory without a slash at the root", target: "/sub", status: 301, location: "./sub/"},
		{name: "file with a slash", target: "/files/app.js/", status: 404},
		{name: "below a file", target: "/files/app.js/x", status: 404},
		{name: "not there", target: "/files/nothing", status: 404, body: "Not Found"},
		{name: "link within", target: "/files/link.js", status: 200, body: "let x = 1"},
		{name: "link to a directory within", target: "/files/bare/up/index.htm", status: 200, body: "<p>sub"},
		{name: "link out", target: "/files/escape", status: 404},
		{name: "absolute link out", target: "/files/absolute", status: 404},
		{name: "link to the directory above", target: "/files/updir/secret.txt", status: 404},
		{name: "link to itself", target: "/files/loop", status: 404},
		{name: "link to nothing", target: "/files/bare/dangling", status: 404},
		{name: "dots", target: "/files/../secret.txt", status: 404},
		{name: "dots below", target: "/files/sub/../../secret.txt", status: 404},
		{name: "escaped dots", target: "/files/%2e%2e/secret.txt", status: 404},
		{name: "escaped slash", target: "/files/..%2Fsecret.txt", status: 404},
		{name: "escaped slash first", target: "/files/%2Fetc%2Fpasswd", status: 404},
		{name: "escaped backslash", target: "/files/..%5Csecret.txt", status: 404},
		{name: "one dot", target: "/files/./app.js", status: 404},
		{name: "two slashes", target: "/files//app.js", status: 404},
		{name: "two slashes at the end", target: "/files/sub//", status: 404},
		{name: "NUL", target: "/files/app.js%00.txt", status: 404},
		{name: "no UTF-8", target: "/files/%ff", status: 404},
		{name: "long name", target: "/files/" + strings.Repeat("a", 5000), status: 404},
		{name: "dotfile", target: "/files/.htpasswd", status: 404},
		{name: "dotted directory", target: "/files/.git/config", status: 404},
		{name: "dotted directory below", target: "/files/sub/.hidden/x", status: 404},
		{name: "only dots", target: "/files/...", status: 404},
		{name: ".well-known", target: "/.well-known/acme-challenge/token", status: 200, body: "token"},
		{name: "dotfile in it", target: "/.well-known/.secret", status: 404},
		{name: ".well-known that is none", target: "/sub/.well-known/x", status: 404},
		{name: "pipe", target: "/files/bare/pipe", status: 404},
		{name: "no index, no listing", target: "/files/bare/", status: 403, body: "Forbidden"},
		{name: "the directory is gone", target: "/gone/x", status: 404},
		{name: "POST", method: "POST", target: "/files/app.js", status: 405},
		{name: "OPTIONS", method: "OPTIONS", target: "/files/app.js", status: 405},
		{name: "listing", target: "/listed/bare/", status: 200, contentType: "text/html; charset=utf-8", body: "<h1>/listed/bare/</h1>\n<ul>\n" +
			"<li><a href=\"../\">../</a></li>\n" +
			"<li><a href=\"./%3Cb%3E.txt\">&lt;b&gt;.txt</a></li>\n" +
			"<li><a href=\"./deep/\">deep/</a></li>\n" +
			"<li><a href=\"./file.txt\">file.txt</a></li>\n" +
			"<li><a href=\"./up/\">up/</a></li>\n</ul>\n"},
		{name: "listing of all", target: "/listed/", status: 200, body: "<li><a href=\"./a%20b&amp;c%25.txt\">a b&amp;c%.txt</a></li>\n<li><a href=\"./a:b.txt\">a:b.txt</a></li>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ask(t, addr, or(tt.method, "GET"), tt.target, "example.com", "")
			if got.status != tt.status || !strings.Contains(got.body, tt.body) || strings.Contains(got.body, "secret") || strings.Contains(got.body, "outside") {
				t.Errorf("answered %d %q, want %d with %q", got.status, got.body, tt.status, tt.body)
			}
			if ct := got.header.Get("Content-Type"); tt.contentType != "" && ct != tt.contentType {
				t.Errorf("Content-Type %q, want %q", ct, tt.contentType)
			}
			if l := got.header.Get("Location"); l != tt.location {
				t.Errorf("Location %q, want %q", l, tt.location)
			}
			if got.status == 405 && got.header.Get("Allow") != "GET, HEAD" {
				t.Errorf("Allow %q", got.header.Get("Allow"))
			}
		})
	}
}

func TestFilesConditionsAndRanges(t *testing.T) {
	dir, _ := folder(t)
	when := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if err := os.Chtimes(filepath.Join(dir, "app.js"), when, when); err != nil {
		t.Fatal(err)
	}
	addr := start(t, &Server{}, []Host{{Name: "example.com", Mounts: []Mount{{Path: "/files", Handler: Files{Dir: dir}}}}}, "")
	first := ask(t, addr, "GET", "/files/app.js", "example.com", "")
	etag := first.header.Get("ETag")
	if date := first.header.Get("Last-Modified"); date != "Fri, 02 Jan 2026 03:04:05 GMT" || len(etag) < 3 || first.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("header %v", first.header)
	}
	tests := []struct {
		name   string
		header []string
		status int
		body   string
	}{
		{"same tag", []string{"If-None-Match: " + etag}, 304, ""},
		{"one of several tags", []string{`If-None-Match: "x", ` + etag}, 304, ""},
		{"another tag", []string{`If-None-Match: "x"`}, 200, "let x = 1"},
		{"not since", []string{"If-Modified-Since: Fri, 02 Jan 2026 03:04:05 GMT"}, 304, ""},
		{"since", []string{"If-Modified-Since: Fri, 02 Jan 2026 03:04:04 GMT"}, 200, "let x = 1"},
		{"only that tag", []string{`If-Match: "x"`}, 412, ""},
		{"range", []string{"Range: bytes=4-4"}, 206, "x"},
		{"last bytes", []string{"Range: bytes=-1"}, 206, "1"},
		{"beyond", []string{"Range: bytes=99-"}, 416, ""},
		{"range of what it was", []string{"Range: bytes=4-4", "If-Range: " + etag}, 206, "x"},
		{"range of another", []string{"Range: bytes=4-4", `If-Range: "x"`}, 200, "let x = 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ask(t, addr, "GET", "/files/app.js", "example.com", "", tt.header...)
			if got.status != tt.status || tt.status < 400 && got.body != tt.body {
				t.Errorf("answered %d %q, want %d %q", got.status, got.body, tt.status, tt.body)
			}
		})
	}
	t.Run("after a change within a second", func(t *testing.T) {
		if err := os.Chtimes(filepath.Join(dir, "app.js"), when, when.Add(time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if got := ask(t, addr, "GET", "/files/app.js", "example.com", "", "If-None-Match: "+etag); got.status != 200 {
			t.Errorf("answered %d", got.status)
		}
	})
	t.Run("large", func(t *testing.T) {
		large := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
		if err := os.WriteFile(filepath.Join(dir, "large"), large, 0o644); err != nil {
			t.Fatal(err)
		}
		if got := ask(t, addr, "GET", "/files/large", "example.com", ""); got.body != string(large) || got.header.Get("Content-Length") != fmt.Sprint(len(large)) {
			t.Errorf("%d bytes came", len(got.body))
		}
	})
}

func TestFilesCheck(t *testing.T) {
	dir, outside := folder(t)
	for name, ok := range map[string]bool{dir: true, t.TempDir(): true, filepath.Join(dir, "nothing"): false, outside: false} {
		if err := (Files{Dir: name}).Check(); (err == nil) != ok {
			t.Errorf("Check of %s: %v", name, err)
		}
	}
}

// FuzzFiles: whatever path is asked for, nothing hidden and nothing outside comes, and nothing panics.
func FuzzFiles(f *testing.F) {
	for _, seed := range []string{"/", "", "/app.js", "/../secret.txt", "/sub/..", "//", "/.git/config", "/updir/secret.txt", "/absolute", "/\x00", "/sub/", "/.well-known/../.htpasswd", "/a b&c%.txt", "\\..\\x"} {
		f.Add(seed, "/files"+seed)
	}
	dir, _ := folder(f)
	files := Files{Dir: dir, Index: []string{"index.html"}, Listing: true}
	f.Fuzz(func(t *testing.T, path, uri string) {
		r := &http.Request{Method: "GET", URL: &url.URL{Path: path}, RequestURI: uri, Header: http.Header{}}
		w := httptest.NewRecorder()
		files.ServeHTTP(w, r)
		body := w.Body.String()
		if strings.Contains(body, "outside") || body == "secret" || w.Code >= 500 {
			t.Errorf("%q: %d %s", path, w.Code, body)
		}
		if name, _, ok := fileName(path); ok && !fs.ValidPath(name) && name != "." && w.Code == 200 {
			t.Errorf("%q is served as %q", path, name)
		}
	})
}
