package store

import (
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
// itself, where it maps one, and after each fsync, during which a disk stops rather than between.
//
// It is done in a VFS (https://sqlite.org/vfs.html) that is SQLite's own but for that.

// steadyVFS is its name; "" if SQLite has another of its own than we know.
var steadyVFS = sync.OnceValue(func() string {
	const name = "rosterd"
	tls := libc.NewTLS()
	defer tls.Close()
	own := sqlite3.Xsqlite3_vfs_find(tls, 0)
	called, err := libc.CString(name)
	if own == 0 || err != nil {
		return ""
	}
	unixVFS = *at[sqlite3.Tsqlite3_vfs](own)
	indexVFS = unixVFS
	indexVFS.FpNext, indexVFS.FzName, indexVFS.FxOpen = 0, called, pointer(openFile)
	if sqlite3.Xsqlite3_vfs_register(tls, uintptr(unsafe.Pointer(&indexVFS)), 0) != sqlite3.SQLITE_OK {
		return ""
	}
	return name
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
	regions  []uintptr // that with the header first
	size     int       // of each
	beside   *os.File  // on the same file system, without a name; nil if there can be none
}

func newWalIndex(database uintptr, name string) *walIndex {
	f, err := os.CreateTemp(filepath.Dir(name), ".rosterd-changes-")
	if err != nil {
		return &walIndex{database: database}
	}
	_ = os.Remove(f.Name())
	return &walIndex{database: database, beside: f}
}

// touch returns when the file system takes changes. It waits in a system call, and holds nothing of the process there.
var touch = func(beside *os.File) { _, _ = beside.WriteAt([]byte{0}, 0) } // what fails, fails for SQLite, too

// populate makes pages ready to be written to, where the kernel can: since Linux 5.14. That comes second: who waits there
// has the process's map of its memory locked, and nobody could get more.
var populate = func(begin uintptr, size int) {
	_ = unix.Madvise(unsafe.Slice(at[byte](begin), size), unix.MADV_POPULATE_WRITE) // what fails, fails for SQLite, too
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
	switch {
	case flags&sqlite3.SQLITE_OPEN_MAIN_DB != 0:
		indexes.Store(file, newWalIndex(file, libc.GoString(name)))
	case flags&sqlite3.SQLITE_OPEN_WAL != 0:
		x, ok := indexes.Load(sqlite3.Xsqlite3_database_file_object(tls, name))
		if !ok {
			return code
		}
		indexes.Store(file, x)
	default:
		return code
	}
	if m := methodsFor(tls, f.FpMethods); m != nil {
		f.FpMethods = uintptr(unsafe.Pointer(m))
	}
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

func mapIndex(tls *libc.TLS, file uintptr, region, size, extend int32, out uintptr) int32 {
	x, m := indexOf(file)
	code := function[func(*libc.TLS, uintptr, int32, int32, int32, uintptr) int32](m.own.FxShmMap)(tls, file, region, size, extend, out)
	if begin := *at[uintptr](out); code == sqlite3.SQLITE_OK && begin != 0 && !slices.Contains(x.regions, begin) {
		x.regions, x.size = append(x.regions, begin), int(size)
		touch(x.beside)
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
