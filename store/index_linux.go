package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// SQLite's connections share an index of the write-ahead log in memory that is mapped from a file, FILE-shm. What is
// mapped from a file system that takes no changes, such as a frozen one, can be read; but who stores something to a page
// that the kernel has written back meanwhile waits in the kernel, and Go's scheduler, which sees that system calls take
// long, does not see that: at the next collection of garbage all others would wait for that thread. So right before
// SQLite stores something there, a system call changes the same file system: where SQLite locks a part of the index for
// itself, where it makes one, and after each fsync, during which a disk stops rather than between.
//
// It is done in a VFS (https://sqlite.org/vfs.html) that is SQLite's own but for that.

// steadyVFS is its name. Without it SQLite's own has to do.
var steadyVFS = sync.OnceValues(func() (string, error) {
	const name = "rosterd"
	tls := libc.NewTLS()
	defer tls.Close()
	own := sqlite3.Xsqlite3_vfs_find(tls, 0)
	if own == 0 {
		return "", errors.New("SQLite has no VFS")
	}
	called, err := libc.CString(name)
	if err != nil {
		return "", err
	}
	unixVFS = *at[sqlite3.Tsqlite3_vfs](own)
	indexVFS = unixVFS
	indexVFS.FpNext, indexVFS.FzName, indexVFS.FxOpen = 0, called, pointer(openFile)
	if code := sqlite3.Xsqlite3_vfs_register(tls, uintptr(unsafe.Pointer(&indexVFS)), 0); code != sqlite3.SQLITE_OK {
		return "", fmt.Errorf("SQLite takes no VFS: code %d", code)
	}
	return name, nil
})

// steady tells what is missing for a database in that folder; nil if nothing is.
func steady(folder string) error {
	if _, err := steadyVFS(); err != nil {
		return err
	}
	f, err := newBeside(folder)
	if err != nil {
		return fmt.Errorf("no file can be made beside the database: %w", err)
	}
	_ = f.Close()
	return populates()
}

// populates tells whether the kernel can do what populate asks for.
var populates = sync.OnceValue(func() error {
	page, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	defer unix.Munmap(page)
	if err := unix.Madvise(page, unix.MADV_POPULATE_WRITE); err != nil {
		return fmt.Errorf("MADV_POPULATE_WRITE, which Linux has since 5.14: %w", err)
	}
	return nil
})

var (
	unixVFS, indexVFS sqlite3.Tsqlite3_vfs

	indexes sync.Map // *walIndex by the address of a file: a database or its log

	methodsMu sync.Mutex
	methods   = map[uintptr]*fileMethods{} // by SQLite's own
)

// fileMethods are what SQLite calls, and its own. A file refers to the first.
type fileMethods struct{ ours, own sqlite3.Tsqlite3_io_methods }

// walIndex is what one connection has mapped.
type walIndex struct {
	database uintptr   // the file
	folder   string    // it is in
	regions  []uintptr // that with the header first
	size     int       // of each
	beside   *os.File  // on the same file system, without a name; nil if there is none, or can be none
}

// newBeside has no name from the start where the file system can do that.
func newBeside(folder string) (*os.File, error) {
	if f, err := os.OpenFile(folder, os.O_RDWR|unix.O_TMPFILE, 0o600); err == nil {
		return f, nil
	}
	f, err := os.CreateTemp(folder, ".rosterd-changes-")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(f.Name())
	return f, nil
}

// touch returns when the file system takes changes. It waits in a system call, and holds nothing of the process there.
var touch = func(beside *os.File) { _, _ = beside.WriteAt([]byte{0}, 0) } // what fails, fails for SQLite, too

// populate makes pages ready to be written to, where the kernel can: since Linux 5.14. That comes second: who waits there
// has the process's map of its memory locked, and nobody could get more. Of what cannot be written to, SQLite says so
// itself: for the library, SIGBUS there is an error like any other.
var populate = func(begin uintptr, size int) {
	begin, size = pages(begin, size, os.Getpagesize())
	_ = unix.Madvise(unsafe.Slice(at[byte](begin), size), unix.MADV_POPULATE_WRITE)
}

// pages are all that memory is in. A region does not begin with a page where those are larger: they have 64 KiB on some
// machines, regions 32.
func pages(begin uintptr, size, page int) (uintptr, int) {
	before := int(begin & uintptr(page-1))
	return begin - uintptr(before), size + before
}

// ready returns when all of it can be written to.
func (x *walIndex) ready() {
	if len(x.regions) > 0 {
		touch(x.beside)
	}
	for _, begin := range x.regions {
		populate(begin, x.size)
	}
}

// headReady is for the page with the header and the notes of readers.
func (x *walIndex) headReady() {
	if len(x.regions) > 0 {
		touch(x.beside)
		populate(x.regions[0], min(x.size, os.Getpagesize()))
	}
}

func indexOf(file uintptr) (*walIndex, *fileMethods) {
	x, ok := indexes.Load(file)
	if !ok {
		x = &walIndex{}
	}
	return x.(*walIndex), at[fileMethods](at[sqlite3.Tsqlite3_file](file).FpMethods)
}

func openFile(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32 {
	code := function[func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32](unixVFS.FxOpen)(tls, vfs, name, file, flags, out)
	f := at[sqlite3.Tsqlite3_file](file)
	if code != sqlite3.SQLITE_OK || f.FpMethods == 0 {
		return code
	}
	m := methodsFor(tls, f.FpMethods)
	switch {
	case m == nil:
		return code
	case flags&sqlite3.SQLITE_OPEN_MAIN_DB != 0:
		indexes.Store(file, &walIndex{database: file, folder: filepath.Dir(libc.GoString(name))})
	case flags&sqlite3.SQLITE_OPEN_WAL != 0:
		x, ok := indexes.Load(sqlite3.Xsqlite3_database_file_object(tls, name))
		if !ok {
			return code
		}
		indexes.Store(file, x)
	default:
		return code
	}
	f.FpMethods = uintptr(unsafe.Pointer(m))
	return code
}

// methodsFor are in SQLite's memory, as it refers to them. They are never freed, there are two or three. Nil: no memory.
func methodsFor(tls *libc.TLS, own uintptr) *fileMethods {
	methodsMu.Lock()
	defer methodsMu.Unlock()
	m := methods[own]
	if m == nil {
		if m = at[fileMethods](libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(*m)))); m == nil {
			return nil
		}
		m.own = *at[sqlite3.Tsqlite3_io_methods](own)
		m.ours = m.own
		m.ours.FxClose, m.ours.FxSync = pointer(closeFile), pointer(syncFile)
		if m.own.FiVersion >= 2 && m.own.FxShmMap != 0 {
			m.ours.FxShmMap, m.ours.FxShmLock, m.ours.FxShmUnmap = pointer(mapIndex), pointer(lockIndex), pointer(unmapIndex)
		}
		methods[own] = m
	}
	return m
}

func closeFile(tls *libc.TLS, file uintptr) int32 {
	x, m := indexOf(file)
	indexes.Delete(file)
	if file == x.database {
		_ = x.beside.Close()
	}
	return function[func(*libc.TLS, uintptr) int32](m.own.FxClose)(tls, file)
}

func syncFile(tls *libc.TLS, file uintptr, flags int32) int32 {
	x, m := indexOf(file)
	code := function[func(*libc.TLS, uintptr, int32) int32](m.own.FxSync)(tls, file, flags)
	x.ready()
	return code
}

// mapIndex waits only for who may write there, to whom SQLite says extend: who reads what others have made does not.
func mapIndex(tls *libc.TLS, file uintptr, region, size, extend int32, out uintptr) int32 {
	x, m := indexOf(file)
	if x.beside == nil {
		x.beside, _ = newBeside(x.folder) // see steady
	}
	if extend != 0 {
		touch(x.beside) // before, since SQLite keeps others from their locks while it makes a region
	}
	code := function[func(*libc.TLS, uintptr, int32, int32, int32, uintptr) int32](m.own.FxShmMap)(tls, file, region, size, extend, out)
	begin := *at[uintptr](out)
	if code != sqlite3.SQLITE_OK || begin == 0 {
		return code
	}
	if !slices.Contains(x.regions, begin) {
		x.regions, x.size = append(x.regions, begin), int(size)
	}
	if extend != 0 {
		populate(begin, x.size)
	}
	return code
}

func lockIndex(tls *libc.TLS, file uintptr, offset, n, flags int32) int32 {
	const writer = 0
	x, m := indexOf(file)
	switch exclusive := flags&sqlite3.SQLITE_SHM_LOCK != 0 && flags&sqlite3.SQLITE_SHM_EXCLUSIVE != 0; {
	case exclusive && offset == writer:
		x.ready()
	case exclusive:
		x.headReady()
	}
	return function[func(*libc.TLS, uintptr, int32, int32, int32) int32](m.own.FxShmLock)(tls, file, offset, n, flags)
}

func unmapIndex(tls *libc.TLS, file uintptr, remove int32) int32 {
	x, m := indexOf(file)
	x.regions = nil
	return function[func(*libc.TLS, uintptr, int32) int32](m.own.FxShmUnmap)(tls, file, remove)
}

// at is what is at an address that SQLite gives: not in Go's memory, or in what never goes away.
func at[T any](address uintptr) *T { return *(**T)(unsafe.Pointer(&address)) }

// pointer is a function as SQLite calls it, function the other way round.
func pointer[F any](f F) uintptr            { return *(*uintptr)(unsafe.Pointer(&f)) }
func function[F any](address uintptr) (f F) { return *(*F)(unsafe.Pointer(&address)) }
