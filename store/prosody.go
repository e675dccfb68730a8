package store

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"rosterd/engine/addr"
	"rosterd/store/credential"
	"rosterd/store/dat"
)

// folder is a data_path of Prosody with its internal storage: HOST/STORE/USER.dat, one file for a user in a
// store, of which "accounts" is one.
type folder string

// maxFile bounds what is read of an account; Prosody's have a few hundred bytes.
const maxFile = 1 << 20

// EscapeName writes a name as Prosody does in paths: ASCII letters and digits as they are, other bytes as %xx.
func EscapeName(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	return b.String()
}

// UnescapeName reverses EscapeName; what is no escape stays.
func UnescapeName(s string) string {
	var b []byte
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				b = append(b, c...)
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

func (f folder) hostDir(domain string) string { return filepath.Join(string(f), EscapeName(domain)) }

func (f folder) accountsDir(domain string) string {
	return filepath.Join(f.hostDir(domain), "accounts")
}

func (f folder) file(user addr.Bare) string {
	return filepath.Join(f.accountsDir(user.Domain()), EscapeName(user.Local())+".dat")
}

// hasAccounts tells whether the host keeps accounts here.
func (f folder) hasAccounts(domain string) (bool, error) { return exists(f.accountsDir(domain)) }

// has tells whether there is a file for the user, of whatever content.
func (f folder) has(user addr.Bare) (bool, error) { return exists(f.file(user)) }

func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if isAbsent(err) {
		return false, nil
	}
	return err == nil, err
}

// isAbsent tells whether there is no such file, or cannot be one because its name would be too long.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENAMETOOLONG)
}

// credentials reads a user's file; credential.ErrNoUser if there is none.
func (f folder) credentials(user addr.Bare) (credential.Credentials, error) {
	t, err := f.load(user)
	if err != nil {
		return credential.Credentials{}, err
	}
	c, err := decodeAccount(t)
	if err != nil {
		return c, fmt.Errorf("account of %s: %s: %w", user, f.file(user), err)
	}
	return c, nil
}

func (f folder) load(user addr.Bare) (*dat.Table, error) {
	src, err := readFile(f.file(user))
	switch {
	case isAbsent(err):
		return nil, noUser(user)
	case err != nil:
		return nil, fmt.Errorf("account of %s: %w", user, err)
	}
	v, err := dat.Parse(src)
	if err != nil {
		return nil, fmt.Errorf("account of %s: %s: %w", user, f.file(user), err)
	}
	t, ok := v.(*dat.Table)
	if !ok {
		return nil, fmt.Errorf("account of %s: %s: not a table", user, f.file(user))
	}
	return t, nil
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	src, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(src) > maxFile {
		err = fmt.Errorf("%s: larger than %d bytes", path, maxFile)
	}
	return src, err
}

// ProsodyAccount is what opens an account as Prosody keeps it in its store "accounts".
func ProsodyAccount(t *dat.Table) (credential.Credentials, error) { return decodeAccount(t) }

// decodeAccount takes the password where there is one, as Prosody does, else the keys. Both absent is an account
// with which nobody can log in. Which hash the keys are of shows in their length alone.
func decodeAccount(t *dat.Table) (c credential.Credentials, err error) {
	disabled := t.Get("disabled") // since Prosody 13; all but nil and false is true in Lua
	c.Disabled = disabled != nil && disabled != false
	password, err := text(t, "password")
	if err != nil || password != "" {
		c.Password, c.HasPassword = password, err == nil
		return c, err
	}
	if t.Get("stored_key") == nil && t.Get("server_key") == nil {
		return c, nil
	}
	keys, err := decodeKeys(t)
	if err != nil {
		return c, err
	}
	c.SCRAM = &keys
	return c, nil
}

func decodeKeys(t *dat.Table) (k credential.SCRAM, err error) {
	stored, err1 := text(t, "stored_key")
	server, err2 := text(t, "server_key")
	salt, err3 := text(t, "salt")
	if err := errors.Join(err1, err2, err3); err != nil {
		return k, err
	}
	if k.StoredKey, err = hex.DecodeString(stored); err != nil {
		return k, fmt.Errorf("stored_key: %w", err)
	}
	if k.ServerKey, err = hex.DecodeString(server); err != nil {
		return k, fmt.Errorf("server_key: %w", err)
	}
	k.Hash, _ = credential.HashOfSize(len(k.StoredKey))
	if k.Hash == "" {
		return k, fmt.Errorf("stored_key: %d bytes are of no known hash", len(k.StoredKey))
	}
	k.Salt = []byte(salt)
	switch n := t.Get("iteration_count").(type) {
	case int64:
		k.Iterations = int(min(max(n, 0), math.MaxInt32))
	case float64:
		k.Iterations = int(min(max(n, 0), math.MaxInt32))
	}
	return k, k.Check()
}

// text is a field that is a string or absent.
func text(t *dat.Table, key string) (string, error) {
	switch v := t.Get(key).(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	default:
		return "", fmt.Errorf("%s is a %T, not a string", key, v)
	}
}

// encodeAccount writes credentials into an account and leaves alone what else is in it.
func encodeAccount(t *dat.Table, c credential.Credentials) {
	for _, key := range []string{"password", "stored_key", "server_key", "salt", "iteration_count"} {
		t.Set(key, nil)
	}
	if c.HasPassword {
		t.Set("password", c.Password)
	}
	if k := c.SCRAM; k != nil {
		t.Set("stored_key", hex.EncodeToString(k.StoredKey))
		t.Set("server_key", hex.EncodeToString(k.ServerKey))
		t.Set("salt", string(k.Salt))
		t.Set("iteration_count", int64(k.Iterations))
	}
}

func (f folder) add(user addr.Bare, c credential.Credentials) error {
	t := &dat.Table{}
	encodeAccount(t, c)
	if err := writeFile(f.file(user), dat.Append(nil, t)); err != nil {
		return fmt.Errorf("add %s: %w", user, err)
	}
	return nil
}

func (f folder) setPassword(user addr.Bare, c credential.Credentials) error {
	t, err := f.load(user)
	if err != nil {
		return err
	}
	return f.replace(user, t, c)
}

// hashPassword is setPassword as long as the file has this password as it is. It is false if it has not.
func (f folder) hashPassword(user addr.Bare, password string, c credential.Credentials) (bool, error) {
	t, err := f.load(user)
	if err != nil || t.Get("password") != password {
		return false, err
	}
	return true, f.replace(user, t, c)
}

// replace writes an account with another password.
func (f folder) replace(user addr.Bare, t *dat.Table, c credential.Credentials) error {
	encodeAccount(t, c)
	if t.Get("updated") != nil { // the time of the last change, since Prosody 13
		t.Set("updated", time.Now().Unix())
	}
	if err := writeFile(f.file(user), dat.Append(nil, t)); err != nil {
		return fmt.Errorf("set password of %s: %w", user, err)
	}
	return nil
}

// purge removes a user from every store of the host; from accounts first.
func (f folder) purge(user addr.Bare) error {
	if err := os.Remove(f.file(user)); err != nil {
		return err
	}
	if err := syncDir(f.accountsDir(user.Domain())); err != nil {
		return err
	}
	stores, err := os.ReadDir(f.hostDir(user.Domain()))
	errs := []error{err}
	for _, store := range stores {
		for _, ext := range []string{".dat", ".list", ".lidx"} {
			path := filepath.Join(f.hostDir(user.Domain()), store.Name(), EscapeName(user.Local())+ext)
			if err := os.Remove(path); err != nil && !isAbsent(err) && !errors.Is(err, syscall.ENOTDIR) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// list reads all accounts of a host.
func (f folder) list(domain string) ([]Account, error) {
	entries, err := os.ReadDir(f.accountsDir(domain))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list users of %s: %w", domain, err)
	}
	var list []Account
	for _, e := range entries {
		escaped, ok := strings.CutSuffix(e.Name(), ".dat")
		if !ok {
			continue
		}
		user, err := addr.NewBare(UnescapeName(escaped), domain)
		path := filepath.Join(f.accountsDir(domain), e.Name())
		if err != nil || f.file(user) != path {
			err = fmt.Errorf("%s: the file's name is not that of a user", path)
			list = append(list, Account{Place: Prosody, Kept: "none", Err: err})
			continue
		}
		c, err := f.credentials(user)
		list = append(list, account(user, Prosody, c, err))
	}
	return list, nil
}
