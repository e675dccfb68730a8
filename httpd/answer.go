package httpd

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"
)

// answer is what the refresh API says. Its first four fields are those of
// mod_http_roster_admin, in the order of its documentation.
type answer struct {
	Status  string   `json:"status"` // "ok" or "error"
	Message string   `json:"message"`
	Updated int      `json:"updated"`
	Errors  int      `json:"errors"`
	Results []result `json:"results,omitzero"`
}

// result is what became of one element of the request.
type result struct {
	Name    string `json:"name"`
	Outcome string `json:"outcome"`
	Changes int    `json:"changes,omitempty"`
	Error   string `json:"error,omitempty"`
}

const (
	lingerTime  = 5 * time.Second
	lingerBytes = 64 << 20
)

// write sends a whole JSON body; see writeAs.
func (s *Server) write(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	s.writeAs(w, r, "application/json", status, body)
}

// writeAs sends a whole body. If the body of the request has not ended, the
// answer does not wait for it, as net/http's own would, and is the last one on
// its connection: what still comes must not be taken for a request.
func (s *Server) writeAs(w http.ResponseWriter, r *http.Request, contentType string, status int, body []byte) {
	s.begin(w, r, contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	ended, failed := bodyState(r)
	// Errors of these mean a connection without deadlines or a client that has
	// gone: nobody to tell.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(or(s.WriteTimeout, 30*time.Second)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
	if !ended && !failed {
		linger(w, r)
	}
}

// begin sets the fields that all answers have.
func (s *Server) begin(w http.ResponseWriter, r *http.Request, contentType string) {
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	if ended, _ := bodyState(r); !ended {
		header.Set("Connection", "close")
	}
}

// linger takes in what is left of the request's body, within bounds: who sends
// all of it before reading would otherwise see a reset instead of the answer.
func linger(w http.ResponseWriter, r *http.Request) {
	deadline := time.Now().Add(lingerTime)
	if r.Header.Get("Expect") != "" {
		deadline = time.Now() // nothing follows a final answer (RFC 9110 §10.1.1)
	}
	control := http.NewResponseController(w)
	if control.Flush() != nil || control.SetReadDeadline(deadline) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, r.Body, lingerBytes)
}

// requestBody is a request's body that remembers how reading it went.
type requestBody struct {
	io.ReadCloser
	ended  bool // read to its end
	failed bool // it will never be: malformed, cut short or too slow
}

func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.ended = b.ended || err == io.EOF
	b.failed = b.failed || err != nil && err != io.EOF
	return n, err
}

func bodyState(r *http.Request) (ended, failed bool) {
	if b, ok := r.Body.(*requestBody); ok {
		return b.ended, b.failed
	}
	return false, false
}

func (s *Server) writeAnswer(w http.ResponseWriter, r *http.Request, status int, a answer) {
	body, err := json.Marshal(a)
	if err != nil {
		panic(err) // strings and numbers only: cannot be
	}
	s.write(w, r, status, body)
}

// refuse answers a request that nothing was done about. It counts as one error,
// for those who look at that field only.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, status int, message string) {
	s.writeAnswer(w, r, status, answer{Status: "error", Message: message, Errors: 1})
}
