package enginetest

import (
	"compress/gzip"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
)

// Fault answers a request in place of a Server. Whatever it does, it must end
// when the request's context does.
type Fault func(*Exchange)

// Status answers with a status code and nothing else of use; header is pairs of
// names and values.
func Status(code int, header ...string) Fault {
	return func(x *Exchange) {
		setHeader(x, header)
		x.WriteHeader(code)
		if code >= 200 && code != http.StatusNoContent && code != http.StatusNotModified {
			fmt.Fprintf(x, "<!DOCTYPE html><title>%d %s</title>\n", code, http.StatusText(code))
		}
	}
}

// Redirect answers with a redirect to a URL or a path.
func Redirect(code int, to string) Fault { return Status(code, "Location", to) }

// Body answers 200 with a text in place of the roster.
func Body(contentType, text string) Fault {
	return func(x *Exchange) {
		x.Header().Set("Content-Type", contentType)
		_, _ = x.Write([]byte(text))
	}
}

// With serves as usual, with more header fields: pairs of names and values.
func With(header ...string) Fault {
	return func(x *Exchange) {
		setHeader(x, header)
		x.Serve()
	}
}

func setHeader(x *Exchange, pairs []string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		x.Header().Add(pairs[i], pairs[i+1])
	}
}

// Hang never answers.
func Hang(x *Exchange) { <-x.Request.Context().Done() }

// HangInBody sends the first half of the answer, and no more.
func HangInBody(x *Exchange) {
	x.Header().Set("Content-Length", fmt.Sprint(len(x.Roster)))
	_, _ = x.Write([]byte(x.Roster[:len(x.Roster)/2]))
	if err := http.NewResponseController(x.ResponseWriter).Flush(); err == nil {
		<-x.Request.Context().Done()
	}
}

// Hold returns a Fault that serves as usual, once release was called, which may
// be done any number of times.
func Hold() (f Fault, release func()) {
	open := make(chan struct{})
	return func(x *Exchange) {
		select {
		case <-open:
			x.Serve()
		case <-x.Request.Context().Done():
		}
	}, sync.OnceFunc(func() { close(open) })
}

// Close closes the connection without an answer.
func Close(x *Exchange) { x.takeOver(func(*net.TCPConn) {}) }

// Reset resets the connection without an answer.
func Reset(x *Exchange) {
	x.takeOver(func(conn *net.TCPConn) { _ = conn.SetLinger(0) })
}

// CloseInBody closes the connection in the middle of the answer.
func CloseInBody(x *Exchange) { x.takeOver(func(conn *net.TCPConn) { half(conn, x.Roster) }) }

// ResetInBody resets the connection in the middle of the answer.
func ResetInBody(x *Exchange) {
	x.takeOver(func(conn *net.TCPConn) {
		half(conn, x.Roster)
		_ = conn.SetLinger(0)
	})
}

func half(conn net.Conn, text string) {
	fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(text), text[:len(text)/2])
}

// NotHTTP answers in another protocol.
func NotHTTP(x *Exchange) {
	x.takeOver(func(conn *net.TCPConn) { fmt.Fprint(conn, "220 mail.example.com ESMTP\r\n") })
}

// HTTP10 serves as a simple HTTP/1.0 server does: the end of the connection is
// the end of the answer.
func HTTP10(x *Exchange) {
	x.takeOver(func(conn *net.TCPConn) {
		fmt.Fprintf(conn, "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n%s", x.Roster)
	})
}

// Chunked serves the roster byte by byte, in chunks.
func Chunked(x *Exchange) {
	control := http.NewResponseController(x.ResponseWriter)
	for i := range len(x.Roster) {
		if _, err := x.Write([]byte{x.Roster[i]}); err != nil || control.Flush() != nil {
			return
		}
	}
}

// Gzip serves the roster compressed, asked for or not.
func Gzip(x *Exchange) {
	x.Header().Set("Content-Type", "application/json")
	x.Header().Set("Content-Encoding", "gzip")
	z := gzip.NewWriter(x)
	_, _ = z.Write([]byte(x.Roster))
	_ = z.Close()
}

// Endless serves contacts until the client has enough.
func Endless(x *Exchange) {
	contacts := strings.Repeat(`"juliet@example.com":{"name":"Juliet"},`, 1000)
	_, err := x.Write([]byte("{"))
	for err == nil {
		_, err = x.Write([]byte(contacts))
	}
}

// EndlessGzip is Endless in few bytes: a megabyte in one kilobyte.
func EndlessGzip(x *Exchange) {
	x.Header().Set("Content-Encoding", "gzip")
	z := gzip.NewWriter(x)
	_, err := z.Write([]byte("{"))
	blank := []byte(strings.Repeat(" ", 1<<20))
	for err == nil {
		_, err = z.Write(blank)
	}
}
