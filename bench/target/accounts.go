package target

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/store/credential"
	"rosterd/store/dat"
)

// Accounts are made once for a list of users, and then copied: it takes a moment for thousands.
//
// All have one salt, and so one set of keys: a client derives its own once, and neither making the accounts nor driving the
// logins costs derivations. Of a server nothing is spared by it: neither looks for keys by their salt.
type accounts struct {
	dir string // removed by who made it; others may keep theirs there, too

	mu sync.Mutex
}

var salt = []byte("8f14e45f-ceea-467f-9b0a-1c5d6b1f2a77")

// credentials are everybody's.
var credentials = sync.OnceValues(func() (credential.Credentials, error) {
	keys, err := credential.Derive(credential.SHA1, Password, salt, credential.DefaultIterations)
	return credential.Credentials{SCRAM: &keys}, err
})

func kept(authentication string) (credential.Credentials, error) {
	if authentication == "internal_plain" {
		return credential.Credentials{Password: Password, HasPassword: true}, nil
	}
	return credentials()
}

// ready finds what was made for those users, a file or a folder, or has it made in a path that mk is given.
func (a *accounts) ready(program string, s Settings, mk func(path string) error) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	sum := sha256.Sum256([]byte(program + "\n" + s.Authentication + "\n" + strings.Join(s.Users, "\n")))
	path := filepath.Join(a.dir, program+"-"+hex.EncodeToString(sum[:8]))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	begun := path + ".begun" // what is there under its name is whole
	err := os.RemoveAll(begun)
	if err == nil {
		err = mk(begun)
	}
	if err == nil {
		err = os.Rename(begun, path)
	}
	if err != nil {
		return "", fmt.Errorf("accounts for %s: %w", program, err)
	}
	return path, nil
}

// rosterd puts a database with the accounts into a folder.
func (a *accounts) rosterd(ctx context.Context, s Settings, dir string) error {
	from, err := a.ready(Rosterd, s, func(path string) error { return makeDatabase(ctx, path, s) })
	if err != nil {
		return err
	}
	return copyFile(from, filepath.Join(dir, "rosterd.sqlite"))
}

func makeDatabase(ctx context.Context, path string, s Settings) (err error) {
	c, err := kept(s.Authentication)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(memory(), "rosterd-bench-") // every account waits for the disk
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "rosterd.sqlite")
	db, err := store.Open(file, nil)
	if err != nil {
		return err
	}
	for _, u := range s.Users {
		if err := db.AddUser(ctx, addr.MustBare(u+"@"+Domain), c); err != nil {
			return errors.Join(err, db.Close())
		}
	}
	if err := db.Close(); err != nil { // what is in the log beside it goes into the file
		return err
	}
	return copyFile(file, path)
}

// memory is a folder that is in memory, "" where there is none.
func memory() string {
	const shm = "/dev/shm"
	if info, err := os.Stat(shm); err == nil && info.IsDir() {
		return shm
	}
	return ""
}

// prosody puts the accounts into Prosody's data folder. They are only read, so a link will do.
func (a *accounts) prosody(s Settings, dir string) error {
	from, err := a.ready("prosody", s, func(path string) error { return makeFiles(path, s) })
	if err != nil {
		return err
	}
	host := filepath.Join(dir, Domain)
	if err := os.MkdirAll(host, 0o755); err != nil {
		return err
	}
	return os.Symlink(from, filepath.Join(host, "accounts"))
}

func makeFiles(path string, s Settings) error {
	c, err := kept(s.Authentication)
	if err != nil {
		return err
	}
	fields := []dat.Field{{Key: "password", Value: c.Password}}
	if k := c.SCRAM; k != nil {
		fields = []dat.Field{
			{Key: "iteration_count", Value: int64(k.Iterations)},
			{Key: "salt", Value: string(k.Salt)},
			{Key: "server_key", Value: hex.EncodeToString(k.ServerKey)},
			{Key: "stored_key", Value: hex.EncodeToString(k.StoredKey)},
		}
	}
	text := dat.Append(nil, &dat.Table{Fields: fields})
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	for _, u := range s.Users {
		if err := os.WriteFile(filepath.Join(path, u+".dat"), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
