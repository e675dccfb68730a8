package daemontest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// script is a shell's, whose input stays open, and who says things beside its output, by descriptor 3.
type script struct {
	*exec.Cmd
	t     *testing.T
	input *os.File // the end that the test holds
	told  *bufio.Reader
	side  *os.File
}

func shell(t *testing.T, text string) *script {
	t.Helper()
	stdin, input := pipe(t)
	told, side := pipe(t)
	c := exec.Command("sh", "-c", text)
	c.Stdin, c.ExtraFiles = stdin, []*os.File{side}
	return &script{c, t, input, bufio.NewReader(told), side}
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// afterwards is done when the script has said something.
func (s *script) afterwards() context.Context {
	ctx, cancel := context.WithCancel(s.t.Context())
	go func() {
		defer cancel()
		if _, err := s.told.ReadString('\n'); err != nil {
			s.t.Error(err)
		}
	}()
	return ctx
}

func (s *script) start(o Options) *process {
	s.t.Helper()
	d, err := start(s.t.Context(), s.Cmd, o)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

func wantAll(t *testing.T, err error, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(fmt.Sprint(err), text) {
			t.Errorf("%v, want %q in it", err, text)
		}
	}
}

func wantSignal(t *testing.T, p *process, s syscall.Signal) {
	t.Helper()
	if got := p.cmd.ProcessState.Sys().(syscall.WaitStatus).Signal(); got != s {
		t.Errorf("ended by %v, want %v", got, s)
	}
}

func TestStart(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		end, want syscall.Signal
	}{
		"by SIGTERM": {0, syscall.SIGTERM},
		"by another": {syscall.SIGINT, syscall.SIGINT},
	} {
		t.Run(name, func(t *testing.T) {
			var d *Daemon
			t.Run("its life", func(t *testing.T) {
				d = Start(t, shell(t, "echo on the one; printf 'on the other: re' >&2; printf ady; exec cat").Cmd, Options{Line: "ready", End: tt.end})
			})
			if d == nil {
				return
			}
			wantSignal(t, d.process, tt.want)
			if got := d.process.output.String(); got != "on the one\non the other: ready" {
				t.Errorf("it has printed %q", got)
			}
		})
	}
}

// TestAgain: what a part of a test has stopped and started again is there for the rest of it, and no longer.
func TestAgain(t *testing.T) {
	t.Parallel()
	var d *Daemon
	var first *process
	t.Run("whole", func(t *testing.T) {
		d = Start(t, shell(t, "echo ready; exec cat").Cmd, Options{Line: "ready"})
		first = d.process
		t.Run("part", func(t *testing.T) {
			d.Stop(t)
			d.Stop(t)
			wantSignal(t, first, syscall.SIGTERM)
			d.Serve(t)
		})
		select {
		case <-d.process.ended:
			t.Error("it has ended with a part")
		default:
		}
	})
	if d.process == first {
		t.Fatal("it has not been started again")
	}
	wantSignal(t, d.process, syscall.SIGTERM)
}

func TestAddress(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	Start(t, shell(t, "exec cat").Cmd, Options{Address: ln.Addr().String()})
	if c, err := ln.Accept(); err != nil {
		t.Error(err)
	} else {
		c.Close()
	}
}

// TestSilence: who never answers is ended, and what it has said up to then is in the message.
func TestSilence(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"no line":       {Line: "ready"},
		"no connection": {Line: "thinking", Address: fmt.Sprint("127.0.0.1:", Port(t))},
	} {
		t.Run(name, func(t *testing.T) {
			s := shell(t, "echo still thinking; echo >&3; exec cat")
			_, err := start(s.afterwards(), s.Cmd, o)
			wantAll(t, err, "sh does not start", context.Canceled.Error(), "still thinking")
			wantSignal(t, &process{cmd: s.Cmd}, syscall.SIGKILL)
		})
	}
}

func TestRefusal(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"no line":       {Line: "ready"},
		"no connection": {Address: fmt.Sprint("127.0.0.1:", Port(t))},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := start(t.Context(), shell(t, "echo no such option >&2; exit 3").Cmd, o)
			wantAll(t, err, "sh does not start", "exit status 3", "no such option")
		})
	}
	_, err := start(t.Context(), exec.Command(filepath.Join(t.TempDir(), "absent")), Options{})
	wantAll(t, err, "absent", "make test-clients")
}

// TestStubborn: who does not end by a signal ends by another.
func TestStubborn(t *testing.T) {
	t.Parallel()
	s := shell(t, "trap 'echo >&3' TERM; echo ready; while :; do read x; done")
	d := s.start(Options{Line: "ready"})
	wantAll(t, d.end(s.afterwards()), "sh does not end", "terminated")
	wantSignal(t, d, syscall.SIGKILL)
}

// TestEndsItself: somebody learns of it.
func TestEndsItself(t *testing.T) {
	t.Parallel()
	s := shell(t, "echo ready; cat; exit 4")
	d := s.start(Options{Line: "ready"})
	s.input.Close()
	<-d.ended
	wantAll(t, d.end(t.Context()), "it has ended: exit status 4")
}

// TestGroup: those who would outlive a server end with it, and so do those whom a signal does not impress.
func TestGroup(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		child string
		force bool
	}{
		"obedient": {"echo ready; exec cat", false},
		"stubborn": {"trap 'echo >&3' TERM; echo ready; while :; do read x; done", true},
	} {
		t.Run(name, func(t *testing.T) {
			s := shell(t, "exec 4<&0; ("+tt.child+") <&4 & exec cat")
			d := s.start(Options{Line: "ready", Group: true})
			s.side.Close()
			ctx := t.Context()
			if tt.force {
				ctx = s.afterwards()
			}
			if err := d.end(ctx); (err != nil) != tt.force {
				t.Error(err)
			}
			wantSignal(t, d, syscall.SIGTERM)
			if rest, err := io.ReadAll(s.told); len(rest) > 0 || err != nil { // it ends when the last one does
				t.Errorf("%q, %v", rest, err)
			}
		})
	}
}

func TestOutputKeepsItsEnd(t *testing.T) {
	t.Parallel()
	o := output{line: []byte("ready"), found: make(chan struct{})}
	for _, text := range []string{strings.Repeat("x", kept), "rea", "dy", strings.Repeat("y", kept-2)} {
		_, _ = io.WriteString(&o, text)
	}
	<-o.found
	if got := o.String(); len(got) != kept || !strings.HasPrefix(got, "dyy") {
		t.Errorf("%d bytes, %.9q…", len(got), got)
	}
}
