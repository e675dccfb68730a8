//go:build clients

package clients

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// view is what a client shows, as view.js prints it.
type view struct {
	Contacts []struct {
		Name, Status string
		Groups       []string
	}
	Messages []struct{ Name, Text string }
}

// contacts are sorted, a line for each group that each contact is in.
func (v view) contacts() (lines []string) {
	for _, c := range v.Contacts {
		for _, group := range c.Groups {
			lines = append(lines, line(group, c.Name, c.Status))
		}
	}
	slices.Sort(lines)
	return lines
}

// script is a client in Node.js.
type script struct {
	process *exec.Cmd
	stdin   io.WriteCloser
	orders  *json.Encoder // to stdin
	ended   chan struct{} // closed when the process has ended and status is set
	status  error
	stderr  *journal

	mu   sync.Mutex // guards the fields below
	last view
	done int           // actions that it has finished
	news chan struct{} // closed and replaced when one of those changes; closed for good when nothing more will come
	over bool
}

// library starts a script that logs in as romeo over an address.
func library(name string, service func(*house) string) start {
	return func(t *testing.T, h *house) client {
		return h.node(t, name, map[string]any{"service": service(h), "domain": domain, "username": "romeo", "password": password})
	}
}

// node starts a script with its settings.
func (h *house) node(t *testing.T, name string, settings map[string]any) *script {
	t.Helper()
	s := &script{process: exec.Command("node", name), ended: make(chan struct{}), news: make(chan struct{})}
	stderr := newJournal()
	s.stderr = stderr
	if h.tls > 0 {
		s.process.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+h.certificate())
	}
	s.process.Stderr = stderr
	stdin, err := s.process.StdinPipe()
	must(t, err)
	stdout, err := s.process.StdoutPipe()
	must(t, err)
	must(t, s.process.Start())
	s.stdin, s.orders = stdin, json.NewEncoder(stdin)
	go func() {
		defer close(s.ended)
		s.status = errors.Join(s.read(stdout), s.process.Wait())
	}()
	t.Cleanup(func() {
		s.stdin.Close() // it ends, and its browser with it, if it has not left
		select {
		case <-s.ended:
		case <-time.After(atMost):
			t.Errorf("%s does not end: %v", name, s.process.Process.Kill())
		}
		if text := stderr.String(); t.Failed() && text != "" {
			t.Logf("%s:\n%s", name, text)
		}
	})
	must(t, s.orders.Encode(settings))
	return s
}

// read takes what the script prints, to the end.
func (s *script) read(stdout io.Reader) error {
	for d := json.NewDecoder(stdout); ; {
		var said struct {
			view
			Done string // an action, and nothing else
		}
		err := d.Decode(&said)
		s.mu.Lock()
		close(s.news)
		switch {
		case err != nil:
			s.over = true
		case said.Done != "":
			s.done++
		default:
			s.last = said.view
		}
		if !s.over {
			s.news = make(chan struct{})
		}
		s.mu.Unlock()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			_, more := io.Copy(io.Discard, stdout)
			return errors.Join(fmt.Errorf("what it shows: %w", err), more)
		}
	}
}

// until waits for something that ok finds true, with s.mu held.
func (s *script) until(ctx context.Context, ok func() bool) error {
	for {
		s.mu.Lock()
		found, over, news := ok(), s.over, s.news
		s.mu.Unlock()
		switch {
		case found:
			return nil
		case over:
			return errors.New("the client ended")
		}
		select {
		case <-news:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *script) sees(ctx context.Context, want []string) (instead []string, err error) {
	err = s.until(ctx, func() bool {
		instead = s.last.contacts()
		return slices.Equal(instead, want)
	})
	return instead, err
}

func (s *script) hears(ctx context.Context, name, text string) (instead string, err error) {
	err = s.until(ctx, func() bool {
		instead = fmt.Sprint(s.last.Messages)
		return slices.Contains(s.last.Messages, struct{ Name, Text string }{name, text})
	})
	return instead, err
}

// do has the script's user do something, and waits until it is done.
func (s *script) do(ctx context.Context, action string, args map[string]any) error {
	order := map[string]any{"action": action}
	for name, value := range args {
		order[name] = value
	}
	s.mu.Lock()
	done := s.done
	s.mu.Unlock()
	if err := s.orders.Encode(order); err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	if err := s.until(ctx, func() bool { return s.done > done }); err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	return nil
}

func (s *script) says(ctx context.Context, to, text string) error {
	return s.do(ctx, "say", map[string]any{"to": to, "text": text})
}

// picture: a library shows what it knows.
func (s *script) picture(_ context.Context, name string) error {
	s.mu.Lock()
	text, err := json.MarshalIndent(s.last, "", "  ")
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(pictures, name+".json"), text, 0o644)
}

// leave logs out, and waits for the program to end well.
func (s *script) leave(ctx context.Context) error {
	if err := errors.Join(s.do(ctx, "leave", nil), s.stdin.Close()); err != nil {
		return err
	}
	select {
	case <-s.ended:
		return s.status
	case <-ctx.Done():
		return errors.New("the client does not end")
	}
}
