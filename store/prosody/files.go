package prosody

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rosterd/store"
	"rosterd/store/dat"
)

// Files is a data_path with Prosody's "internal" storage: HOST/STORE/USER.dat and HOST/STORE/USER.list. What 13 has
// beside lists (.lidx) is made of them, and not read.
type Files string

var _ Source = Files("")

// Extensions of the two forms of store.
const (
	values = ".dat"
	list   = ".list"
)

// maxDocument bounds what is read of a file that is read as a whole.
const maxDocument = 64 << 20

func (f Files) String() string { return string(f) }

// Close does nothing.
func (f Files) Close() error { return nil }

// Hosts are the folders.
func (f Files) Hosts(context.Context) (hosts []string, err error) {
	entries, err := os.ReadDir(string(f))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		host := store.UnescapeName(e.Name())
		if e.IsDir() && store.EscapeName(host) == e.Name() {
			hosts = append(hosts, host)
		}
	}
	return hosts, nil
}

// storeFolders are how a store may be named in a host's folder. Of old, names were as they are.
func storeFolders(name string) []string {
	escaped := escapeStore(name)
	if escaped == name || strings.ContainsAny(name, "/\x00") || name == "." || name == ".." {
		return []string{escaped}
	}
	return []string{escaped, name}
}

// escapeStore is EscapeName for stores, in which "_" stands for itself.
func escapeStore(name string) string { return strings.ReplaceAll(store.EscapeName(name), "%5f", "_") }

func (f Files) host(host string) string { return filepath.Join(string(f), store.EscapeName(host)) }

// find opens the file of a user in a store, nil if there is none.
func (f Files) find(host, user, name, ext string) (*os.File, error) {
	for _, folder := range storeFolders(name) {
		file, err := os.Open(filepath.Join(f.host(host), folder, store.EscapeName(user)+ext))
		if err == nil || !isAbsent(err) {
			return file, err
		}
	}
	return nil, nil
}

// Inventory reads the names of all files.
func (f Files) Inventory(ctx context.Context, host string, of func(string) bool) (v Inventory, err error) {
	v.Stores = map[string]int{}
	folders, err := os.ReadDir(f.host(host))
	if isAbsent(err) {
		return v, nil
	}
	if err != nil {
		return v, err
	}
	users := map[string]bool{}
	for _, d := range folders {
		if !d.IsDir() {
			continue
		}
		if err := ctx.Err(); err != nil {
			return v, err
		}
		name, found := store.UnescapeName(d.Name()), users
		if !of(name) {
			found = map[string]bool{}
		}
		n, err := f.folder(filepath.Join(f.host(host), d.Name()), found, &v)
		if err != nil {
			return v, err
		}
		if n > 0 {
			v.Stores[name] += n
		}
	}
	v.Users = slices.Sorted(maps.Keys(users))
	return v, nil
}

// folder reads the names of a store's files.
func (f Files) folder(path string, users map[string]bool, v *Inventory) (n int, err error) {
	dir, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer dir.Close()
	for {
		entries, err := dir.ReadDir(1000)
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		for _, e := range entries {
			escaped, isValues := strings.CutSuffix(e.Name(), values)
			if !isValues {
				var isList bool
				if escaped, isList = strings.CutSuffix(e.Name(), list); !isList {
					continue
				}
			}
			user := store.UnescapeName(escaped)
			if store.EscapeName(user) != escaped {
				v.Bad = append(v.Bad, &Error{Place{File: filepath.Join(path, e.Name())}, "the file's name is not that of a user"})
				continue
			}
			users[user] = true
			n++
		}
	}
}

// Table reads a .dat file.
func (f Files) Table(_ context.Context, host, user, name string) (d Document, err error) {
	file, err := f.find(host, user, name, values)
	if file == nil || err != nil {
		return d, err
	}
	defer file.Close()
	d.Place.File = file.Name()
	src, err := readUpTo(file, maxDocument)
	if err != nil {
		return d, err
	}
	v, lines, err := dat.ParseLines(src)
	if err != nil {
		return d, placed(file.Name(), err)
	}
	t, ok := v.(*dat.Table)
	if !ok {
		return d, &Error{Place{file.Name(), 1}, "not a table"}
	}
	d.Table, d.lines = t, lines
	return d, nil
}

// readUpTo reads a file that is one, and no device that never ends.
func readUpTo(file *os.File, most int64) ([]byte, error) {
	if err := regular(file); err != nil {
		return nil, err
	}
	src, err := io.ReadAll(io.LimitReader(file, most+1))
	if err == nil && int64(len(src)) > most {
		err = &Error{Place{File: file.Name()}, fmt.Sprintf("larger than %d bytes", most)}
	}
	return src, err
}

func regular(file *os.File) error {
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &Error{Place{File: file.Name()}, "not a file"}
	}
	return err
}

// placed is an error of the package dat, which begins with the line, with its file.
func placed(file string, err error) error {
	var line int
	if _, scanned := fmt.Sscanf(err.Error(), "line %d:", &line); scanned != nil {
		return &Error{Place{File: file}, err.Error()}
	}
	_, reason, _ := strings.Cut(err.Error(), ": ")
	return &Error{Place{file, line}, reason}
}

// Items reads a .list file, one item after the other.
func (f Files) Items(_ context.Context, host, user, name string) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		file, err := f.find(host, user, name, list)
		if file == nil && err == nil {
			return
		}
		if err == nil {
			defer file.Close()
			err = regular(file)
		}
		if err != nil {
			yield(Item{}, err)
			return
		}
		r, ids := newRecords(file), ids{}
		for {
			text, line, err := r.next()
			if errors.Is(err, io.EOF) {
				return
			}
			item := Item{Place: Place{file.Name(), line}}
			switch bad := (*Error)(nil); {
			case errors.As(err, &bad):
				item.Place.Line = bad.Place.Line
				item.Err = &Error{item.Place, bad.Reason}
			case err != nil:
				yield(Item{}, fmt.Errorf("%s: %w", file.Name(), err))
				return
			default:
				item.read(text, line, ids)
			}
			if !yield(item, nil) {
				return
			}
		}
	}
}

// read reads what stands between the parentheses of an item.
func (i *Item) read(text []byte, line int, ids ids) {
	v, err := dat.ParseItem(text, line)
	if err != nil {
		i.Err = placed(i.Place.File, err)
		return
	}
	t, ok := v.(*dat.Table)
	if !ok {
		i.Err = &Error{i.Place, "not a table"}
		return
	}
	i.Time, i.With, i.Stanza, err = stanzaOf(t)
	if err != nil {
		i.Err = &Error{i.Place, err.Error()}
		return
	}
	if i.Key, _ = t.Get("key").(string); i.Key == "" {
		i.Key = ids.of(i)
	}
}

// ids makes IDs for items without: the same ones at each reading, whatever has gone before them since.
type ids map[string]int

func (m ids) of(i *Item) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s", i.Time.UnixMicro(), i.Stanza))
	id := hex.EncodeToString(sum[:12])
	m[id]++
	if n := m[id]; n > 1 {
		id += fmt.Sprint("-", n)
	}
	return id
}

// Stamp is of size and time of the file.
func (f Files) Stamp(_ context.Context, host, user, name string) (string, error) {
	file, err := f.find(host, user, name, list)
	if file == nil || err != nil {
		return "", err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d bytes of %d", info.Size(), info.ModTime().UnixNano()), nil
}
