package store

import (
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
	"modernc.org/libc"

	"rosterd/engine/addr"
	"rosterd/store/credential"
)

// protection does what the kernel does with pages that it has written back, at all moments at which it may: SQLite faults
// if it writes to one that was not made ready. Not so at the first use of a connection.
type protection struct {
	mu    sync.Mutex // guards the fields below
	syncs int
	ready int
	own   map[*fileMethods]uintptr
}

func (p *protection) protect(access int) {
	indexes.Range(func(_, x any) bool {
		for _, begin := range x.(*walIndex).regions {
			_ = unix.Mprotect(unsafe.Slice(at[byte](begin), x.(*walIndex).size), access)
		}
		return true
	})
}

var protecting *protection

func (p *protection) begin(t *testing.T) {
	before := populate
	methodsMu.Lock()
	defer methodsMu.Unlock()
	protecting, p.own = p, map[*fileMethods]uintptr{}
	for _, m := range methods {
		p.own[m] = m.own.FxSync
		m.own.FxSync = pointer(protectingSync)
	}
	populate = func(begin uintptr, size int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.ready++
		if err := unix.Mprotect(unsafe.Slice(at[byte](begin), size), unix.PROT_READ|unix.PROT_WRITE); err != nil {
			t.Error(err)
		}
	}
	p.protect(unix.PROT_READ)
	t.Cleanup(func() {
		populate = before
		p.protect(unix.PROT_READ | unix.PROT_WRITE)
		for m, sync := range p.own {
			m.own.FxSync = sync
		}
	})
}

func protectingSync(tls *libc.TLS, file uintptr, flags int32) int32 {
	_, m := indexOf(file)
	code := function[func(*libc.TLS, uintptr, int32) int32](protecting.own[m])(tls, file, flags)
	protecting.mu.Lock()
	defer protecting.mu.Unlock()
	protecting.syncs++
	protecting.protect(unix.PROT_READ)
	return code
}

// Whatever SQLite writes to the index of its log was made ready for that in a system call, also when the kernel has
// protected it since the transaction began: a disk stops while it is written to.
func TestIndexIsReady(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data.sqlite")
	s, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	user, size := addr.MustBare("romeo@example.com"), 100_000
	change := func() error {
		size++ // or there would be nothing to write
		return s.Stores("example.com").Keyed("private").Change(t.Context(), user, map[string][]byte{"": make([]byte, size)})
	}
	if err := change(); err != nil {
		t.Fatal(err)
	}
	s.unlogged(t.Context())
	s.tidier.close() // here, one thing is done after the other
	s.tidier = nil
	p := &protection{}
	p.begin(t)
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"a value", change},
		{"an account", func() error {
			return s.AddUser(t.Context(), user, credential.Credentials{Password: "x", HasPassword: true})
		}},
		{"a roster", func() error { return s.rosters.commit(map[addr.Bare]rosterChange{user: {doc: []byte("{}")}}) }},
		{"a checkpoint", func() error { s.tidy(t.Context()); return nil }},
		{"a log that begins anew", change},
		{"what nobody reads after it", func() error {
			_, err := s.safe.ExecContext(t.Context(), `INSERT INTO secret (name, value) VALUES ('x', x'00')`)
			return err
		}},
		{"a read that has to make a note", func() error {
			var n int
			return s.db.QueryRowContext(t.Context(), `SELECT count(*) FROM secret`).Scan(&n)
		}},
	} {
		p.mu.Lock()
		ready := p.ready
		p.protect(unix.PROT_READ)
		p.mu.Unlock()
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if p.ready == ready {
			t.Errorf("%s: nothing was made ready", step.name)
		}
	}
	if p.syncs == 0 {
		t.Error("there was no fsync")
	}
}

// Who writes while the file system takes no changes waits before he touches the index, and alone: others read what was
// there, and memory is collected.
func TestIndexOfAStoppedDisk(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "data.sqlite"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	user := addr.MustBare("romeo@example.com")
	values := s.Stores("example.com").Keyed("private")
	if err := values.Change(t.Context(), user, map[string][]byte{"": {1}}); err != nil {
		t.Fatal(err)
	}
	s.tidier.close()
	s.tidier = nil
	before, here, thaw := touch, make(chan struct{}, 100), make(chan struct{})
	touch = func(beside *os.File) {
		before(beside)
		here <- struct{}{}
		<-thaw
	}
	written := make(chan error, 1)
	go func() { written <- values.Change(t.Context(), user, map[string][]byte{"": {2}}) }()
	<-here
	runtime.GC()
	for range 2 * sqliteReaders {
		if got, _, err := values.Get(t.Context(), user, ""); err != nil || got[0] != 1 {
			t.Fatalf("beside it: %v, %v", got, err)
		}
	}
	close(thaw)
	if err := <-written; err != nil {
		t.Error(err)
	}
	touch = before
	if got, _, err := values.Get(t.Context(), user, ""); err != nil || got[0] != 2 {
		t.Errorf("afterwards: %v, %v", got, err)
	}
}
