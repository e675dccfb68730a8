package httpd

import (
	"cmp"
	"errors"
	"fmt"
	"html"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// Files serves the files of a directory: what a Mount's Handler may be. Nothing outside of the directory is served,
// also not through symbolic links, and nothing whose name begins with a dot, but for /.well-known (RFC 8615).
//
// The directory is looked up anew for each request, so that it may be replaced while the server runs.
type Files struct {
	Dir     string
	Index   []string // what is served in place of a directory: the first of these names that is there
	Listing bool     // list directories that have none of them
}

// Check tells whether the directory is there and can be read.
func (f Files) Check() error {
	d, err := os.Open(f.Dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if _, err := d.ReadDir(1); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

var _ http.Handler = Files{}

func (f Files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		fileError(w, http.StatusMethodNotAllowed)
		return
	}
	name, isDir, ok := fileName(r.URL.Path)
	if !ok {
		fileError(w, http.StatusNotFound)
		return
	}
	root, err := os.OpenRoot(f.Dir)
	if err != nil {
		fileError(w, statusOf(err))
		return
	}
	defer root.Close()
	info, err := root.Stat(name) // before it is opened: opening a pipe would wait for its other end
	switch {
	case err != nil:
		fileError(w, statusOf(err))
	case info.IsDir() && !endsWithSlash(r):
		redirectToSlash(w, r)
	case info.IsDir():
		f.serveDir(w, r, root, name)
	case isDir || !info.Mode().IsRegular():
		fileError(w, http.StatusNotFound)
	default:
		serveFile(w, r, root, name)
	}
}

// fileName is what p means below the directory, and whether it has to be a directory. Only the one proper way to write
// a path is taken; what a client means by another is not guessed.
func fileName(p string) (name string, isDir, ok bool) {
	name = strings.TrimPrefix(p, "/")
	name, isDir = strings.CutSuffix(name, "/")
	if name == "" {
		return ".", true, p == "/"
	}
	for i, segment := range strings.Split(name, "/") {
		if segment == "" || hidden(segment) && (i > 0 || segment != ".well-known") {
			return "", false, false
		}
	}
	return name, isDir, true
}

// hidden are files that are not meant for others, such as .htpasswd and .git; and "." and "..".
func hidden(name string) bool { return strings.HasPrefix(name, ".") }

// statusOf tells strangers no more than that there is nothing for them.
func statusOf(err error) int {
	if errors.Is(err, fs.ErrPermission) {
		return http.StatusForbidden
	}
	return http.StatusNotFound
}

func fileError(w http.ResponseWriter, status int) {
	http.Error(w, http.StatusText(status), status)
}

// endsWithSlash looks at what the client sent: in URL.Path a mount's own path is / in any case.
func endsWithSlash(r *http.Request) bool {
	return strings.HasSuffix(sentPath(r), "/")
}

func sentPath(r *http.Request) string {
	u, err := url.ParseRequestURI(r.RequestURI)
	if err != nil {
		return "/"
	}
	return cmp.Or(u.EscapedPath(), "/")
}

// redirectToSlash makes links in the directory's index relative to it.
func redirectToSlash(w http.ResponseWriter, r *http.Request) {
	target := "./" + path.Base(sentPath(r)) + "/" // relative, since a proxy may have another path for us
	if r.URL.RawQuery != "" {
		target += "?" + r.URL.RawQuery
	}
	w.Header().Set("Location", target)
	w.WriteHeader(http.StatusMovedPermanently)
}

func (f Files) serveDir(w http.ResponseWriter, r *http.Request, root *os.Root, name string) {
	for _, index := range f.Index {
		file := path.Join(name, index)
		if info, err := root.Stat(file); err == nil && info.Mode().IsRegular() {
			serveFile(w, r, root, file)
			return
		}
	}
	if !f.Listing {
		fileError(w, http.StatusForbidden)
		return
	}
	list(w, r, root, name)
}

func serveFile(w http.ResponseWriter, r *http.Request, root *os.Root, name string) {
	file, err := root.Open(name)
	if err != nil {
		fileError(w, statusOf(err))
		return
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		fileError(w, http.StatusNotFound)
		return
	}
	header := w.Header()
	header.Set("Content-Type", typeOf(name))
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("ETag", fmt.Sprintf(`"%x-%x"`, info.ModTime().UnixNano(), info.Size())) // Last-Modified counts in seconds
	http.ServeContent(&steadyWriter{ResponseWriter: w, control: http.NewResponseController(w)}, r, "", info.ModTime(), file)
}

// types are those that browsers insist on, whatever mime.types says on this machine, if it has one.
var types = map[string]string{
	".css": "text/css; charset=utf-8", ".html": "text/html; charset=utf-8", ".htm": "text/html; charset=utf-8",
	".ico": "image/vnd.microsoft.icon", ".js": "text/javascript; charset=utf-8", ".json": "application/json",
	".map": "application/json", ".md": "text/markdown; charset=utf-8", ".mjs": "text/javascript; charset=utf-8",
	".mp3": "audio/mpeg", ".ogg": "audio/ogg", ".otf": "font/otf", ".svg": "image/svg+xml", ".ttf": "font/ttf",
	".txt": "text/plain; charset=utf-8", ".wasm": "application/wasm", ".webmanifest": "application/manifest+json",
	".woff": "font/woff", ".woff2": "font/woff2", ".xml": "application/xml",
}

// typeOf goes by the name alone: what is in a file may have been chosen by somebody else.
func typeOf(name string) string {
	extension := strings.ToLower(path.Ext(name))
	return cmp.Or(types[extension], mime.TypeByExtension(extension), "application/octet-stream")
}

// steadyWriter gives up on a client that takes nothing for a while, however large the file is.
type steadyWriter struct {
	http.ResponseWriter
	control *http.ResponseController
}

const writeStall = 30 * time.Second

func (s *steadyWriter) Write(p []byte) (int, error) {
	_ = s.control.SetWriteDeadline(time.Now().Add(writeStall)) // there is none to set where there is no connection
	return s.ResponseWriter.Write(p)
}

// maxListed is how many entries of a directory are listed.
const maxListed = 10_000

func list(w http.ResponseWriter, r *http.Request, root *os.Root, name string) {
	dir, err := root.Open(name)
	if err != nil {
		fileError(w, statusOf(err))
		return
	}
	defer dir.Close()
	entries, err := dir.ReadDir(maxListed)
	if err != nil && !errors.Is(err, io.EOF) {
		fileError(w, http.StatusForbidden)
		return
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	title := "/"
	if p, err := url.PathUnescape(sentPath(r)); err == nil {
		title = p
	}
	var page strings.Builder
	fmt.Fprintf(&page, "<!DOCTYPE html>\n<meta charset=\"utf-8\">\n<title>%s</title>\n<h1>%[1]s</h1>\n<ul>\n", html.EscapeString(title))
	if name != "." {
		page.WriteString("<li><a href=\"../\">../</a></li>\n")
	}
	for _, e := range entries {
		entry := e.Name()
		if hidden(entry) {
			continue
		}
		info, err := root.Stat(path.Join(name, entry)) // where a link leads
		if err != nil || !info.IsDir() && !info.Mode().IsRegular() {
			continue
		}
		if info.IsDir() {
			entry += "/"
		}
		fmt.Fprintf(&page, "<li><a href=\"%s\">%s</a></li>\n", html.EscapeString("./"+(&url.URL{Path: entry}).EscapedPath()), html.EscapeString(entry))
	}
	page.WriteString("</ul>\n")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Security-Policy", "default-src 'none'")
	_, _ = io.WriteString(w, page.String())
}
