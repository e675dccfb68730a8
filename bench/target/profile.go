package target

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime/pprof"
	"strings"
)

// Profiles is where profiles are kept of what During measures of rosterd. Whoever sets it does so before servers start.
var Profiles struct {
	Dir  string // "" keeps none: they cost some per cent
	Name string // of the scenario that is played: the files are named after it
}

// profile begins to take a profile of the processor time, if any are wanted. The function that it returns keeps it, and
// one of all memory that was asked for since the server has started.
func (s *Server) profile() (keep func() error, err error) {
	if Profiles.Dir == "" || s.PProf == "" {
		return func() error { return nil }, nil
	}
	c, err := net.Dial("tcp", s.PProf)
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(c, "GET /debug/pprof/profile?seconds=300 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return func() error {
		defer c.Close()
		if err := c.(*net.TCPConn).CloseWrite(); err != nil { // a client that has heard enough is given what there is
			return err
		}
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return err
		}
		if err := keepProfile("cpu", res); err != nil {
			return err
		}
		if res, err = http.Get("http://" + s.PProf + "/debug/pprof/allocs"); err != nil {
			return err
		}
		defer res.Body.Close()
		return keepProfile("allocs", res)
	}, nil
}

// ProfileHeap keeps a profile of what rosterd holds now, if profiles are wanted.
func (s *Server) ProfileHeap() error {
	if Profiles.Dir == "" || s.PProf == "" {
		return nil
	}
	res, err := http.Get("http://" + s.PProf + "/debug/pprof/heap?gc=1")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return keepProfile("heap", res)
}

// ProfileOwn does f, and keeps profiles of this process meanwhile, if any are wanted: of what is measured in it.
func ProfileOwn(f func() error) error {
	if Profiles.Dir == "" {
		return f()
	}
	cpu, err := newProfile("cpu")
	if err != nil {
		return err
	}
	defer cpu.Close()
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return err
	}
	err = f()
	pprof.StopCPUProfile()
	allocs, errNew := newProfile("allocs")
	if err := errors.Join(err, errNew); err != nil {
		return err
	}
	return errors.Join(pprof.Lookup("allocs").WriteTo(allocs, 0), allocs.Close())
}

var notInNames = regexp.MustCompile(`[^A-Za-z0-9.-]+`)

// keepProfile writes an answer to a file of its own.
func keepProfile(kind string, res *http.Response) error {
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return errors.Join(fmt.Errorf("%s profile: %s %.200s", kind, res.Status, b), err)
	}
	f, err := newProfile(kind)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}

// newProfile makes a file with the name of the scenario and the next number.
func newProfile(kind string) (*os.File, error) {
	if err := os.MkdirAll(Profiles.Dir, 0o755); err != nil {
		return nil, err
	}
	name := strings.Trim(notInNames.ReplaceAllString(Profiles.Name, "-"), "-")
	for n := 1; ; n++ {
		f, err := os.OpenFile(filepath.Join(Profiles.Dir, fmt.Sprintf("%s-%d.%s.pb.gz", name, n, kind)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
}
