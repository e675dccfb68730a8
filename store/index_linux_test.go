package store

import (
	"bytes"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
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

// What cannot be written to is an error, and not the end of the process: here the file is shorter than what is mapped of
// it, and on some file systems a full disk does the same.
func TestIndexThatCannotBeWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data.sqlite")
	s, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.tidier.close()
	s.tidier = nil
	user := addr.MustBare("romeo@example.com")
	values := s.Stores("example.com").Keyed("private")
	if err := values.Change(t.Context(), user, map[string][]byte{"": {1}}); err != nil {
		t.Fatal(err)
	}
	s.tidy(t.Context()) // who reads needs no more of the index than its first page
	size, err := os.Stat(path + "-shm")
	if err == nil {
		err = os.Truncate(path+"-shm", int64(os.Getpagesize()))
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := values.Change(t.Context(), user, map[string][]byte{"": {2}}); err == nil {
		t.Error("it is written to")
	}
	if err := os.Truncate(path+"-shm", size.Size()); err != nil {
		t.Fatal(err)
	}
	if err := values.Change(t.Context(), user, map[string][]byte{"": {3}}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Who only reads maps what others have made of the index, and does not wait for the disk.
func TestIndexIsMappedToRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data.sqlite")
	s, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.tidier.close()
	s.tidier = nil
	reader, err := sql.Open("sqlite", dsn(path, "NORMAL"))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	reader.SetMaxOpenConns(1)
	rosters := func() (n int) {
		t.Helper()
		if err := reader.QueryRowContext(t.Context(), `SELECT count(*) FROM roster`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	rosters()
	const region = 4096 // pages of the log
	batch := map[addr.Bare]rosterChange{}
	for i := range region / 4 {
		batch[addr.MustBare(fmt.Sprintf("u%d@example.com", i))] = rosterChange{doc: make([]byte, 16<<10)}
	}
	if err := s.rosters.commit(batch); err != nil {
		t.Fatal(err)
	}
	s.mark(s.bulk)
	before, waits := touch, 0
	touch = func(*os.File) { waits++ }
	n := rosters()
	touch = before
	if n != len(batch) || waits > 0 {
		t.Errorf("%d rosters, and waited %d times", n, waits)
	}
	if info, err := os.Stat(path + "-shm"); err != nil || info.Size() <= 32<<10 {
		t.Errorf("the index has one region: %v, %v", info, err)
	}
}

// Memory is made ready in whole pages, also where those are larger than a region.
func TestPagesOfARegion(t *testing.T) {
	for _, c := range []struct {
		begin      uintptr
		size, page int
		want       uintptr
		length     int
	}{
		{0x10000, 0x8000, 0x1000, 0x10000, 0x8000},
		{0x18000, 0x8000, 0x1000, 0x18000, 0x8000},
		{0x18000, 0x8000, 0x10000, 0x10000, 0x10000},
		{0x10000, 0x8000, 0x10000, 0x10000, 0x8000},
	} {
		if begin, length := pages(c.begin, c.size, c.page); begin != c.want || length != c.length {
			t.Errorf("%#x bytes at %#x in pages of %#x: %#x bytes at %#x", c.size, c.begin, c.page, length, begin)
		}
	}
}

// The file beside a database never has a name, so that none is left when the process is killed, and goes with it.
func TestNothingIsLeftBeside(t *testing.T) {
	folder := t.TempDir()
	f, err := os.OpenFile(folder, os.O_RDWR|unix.O_TMPFILE, 0o600)
	if err != nil {
		t.Skip("the file system has no files without a name: ", err)
	}
	f.Close()
	watch, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err == nil {
		_, err = unix.InotifyAddWatch(watch, folder, unix.IN_CREATE)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(watch)
	s, err := Open(filepath.Join(folder, "data.sqlite"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	events := make([]byte, 64<<10)
	n, err := unix.Read(watch, events)
	if err != nil || bytes.Contains(events[:n], []byte(".rosterd-changes-")) {
		t.Errorf("%v, files made: %q", err, events[:max(n, 0)])
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range open {
		if to, _ := os.Readlink("/proc/self/fd/" + fd.Name()); strings.HasPrefix(to, folder) {
			t.Errorf("%s is still open", to)
		}
	}
}

// What is missing is said when a database is opened.
func TestDiskThatMayStopEverybody(t *testing.T) {
	if err := steady(t.TempDir()); err != nil {
		t.Error(err)
	}
	if err := steady(filepath.Join(t.TempDir(), "nowhere")); err == nil {
		t.Error("a folder that is not there will do")
	}
	before := populates
	populates = func() error { return unix.EINVAL }
	defer func() { populates = before }()
	log := &lines{}
	s, err := Open(filepath.Join(t.TempDir(), "data.sqlite"), slog.New(log))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got, want := log.String(), "WARN a disk that stops may hold up everybody"; got != want {
		t.Errorf("logged %q, want %q", got, want)
	}
}

// Opening a database once more leaves alone the locks of who has it open: closing any descriptor of a file gives up all
// that the process has locked of it (fcntl(2)), and another process would then take the log away.
func TestOpenKeepsLocks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data.sqlite")
	s, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() }) // after s
	locked := func() bool {
		t.Helper()
		l := unix.Flock_t{Type: unix.F_WRLCK}
		if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &l); err != nil {
			t.Fatal(err)
		}
		return l.Type != unix.F_UNLCK
	}
	if !locked() {
		t.Fatal("it was not locked before")
	}
	again, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !locked() {
		t.Error("not locked once it was opened again")
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	if !locked() {
		t.Error("not locked once that was closed")
	}
}
