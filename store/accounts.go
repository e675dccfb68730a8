package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"rosterd/engine/addr"
	"rosterd/store/credential"
)

// Accounts are the users of all hosts, in a database and in Prosody's data folder: the package comment says which
// counts. The command line `rosterd user` and the SASL mechanisms both use it.
type Accounts struct {
	Store *Store
	Hosts map[string]Host // by prepared domain; there are no users elsewhere
}

// Host is how the accounts of a host are kept.
type Host struct {
	// DataPath is Prosody's data_path if the host's "accounts" are in its internal storage, else "".
	DataPath string
	// Postgres is the database of the accounts; nil: SQLite.
	Postgres *Postgres
	// Elsewhere are the databases but that of the accounts, and Store, in which something of a user may be stored.
	Elsewhere []Forgetter
	// StorePasswords keeps passwords as they are (authentication = "internal_plain"). Otherwise they are hashed.
	StorePasswords bool
	// Hash is that of new passwords (password_hash); "" means SHA-1.
	Hash credential.Hash
	// Iterations is the count of new passwords (default_iteration_count); 0 means credential.DefaultIterations.
	Iterations int
}

// Forgetter is where something of a user may be stored.
type Forgetter interface {
	// Forget removes all of it.
	Forget(ctx context.Context, user addr.Bare) error
}

var (
	_ Forgetter = (*Store)(nil)
	_ Forgetter = (*Postgres)(nil)
)

// database is where accounts are.
type database interface {
	Credentials(ctx context.Context, user addr.Bare) (credential.Credentials, error)
	AddUser(ctx context.Context, user addr.Bare, c credential.Credentials) error
	SetPassword(ctx context.Context, user addr.Bare, c credential.Credentials) error
	HashPassword(ctx context.Context, user addr.Bare, password string, c credential.Credentials) (bool, error)
	DeleteUser(ctx context.Context, user addr.Bare) error
	Users(ctx context.Context, host string) ([]Account, error)
}

// database is that of a host's accounts, and its name.
func (a *Accounts) database(h Host) (database, Place) {
	if h.Postgres != nil {
		return h.Postgres, PostgreSQL
	}
	return a.Store, SQLite
}

// Place is where an account is kept.
type Place string

// The places.
const (
	SQLite     Place = "sqlite"
	PostgreSQL Place = "postgresql"
	Prosody    Place = "prosody"
)

// Account is an account as a list shows it.
type Account struct {
	User     addr.Bare // zero if a file's name is no user's
	Place    Place
	Kept     string // what is kept of the password: "SCRAM-SHA-1" …, "password", "none"
	Disabled bool
	Shadowed bool  // the user is in the database too: this one does not count
	Err      error // why it cannot be used; it names the file
}

func account(user addr.Bare, place Place, c credential.Credentials, err error) Account {
	return Account{User: user, Place: place, Kept: c.String(), Disabled: c.Disabled, Err: err}
}

// Credentials finds a user in either place; credential.ErrNoUser if it is in none.
func (a *Accounts) Credentials(ctx context.Context, user addr.Bare) (credential.Credentials, error) {
	_, c, err := a.find(ctx, user)
	return c, err
}

// find tells where a user is.
func (a *Accounts) find(ctx context.Context, user addr.Bare) (Place, credential.Credentials, error) {
	host, err := a.host(user.Domain())
	if err != nil {
		return "", credential.Credentials{}, err
	}
	db, place := a.database(host)
	c, err := db.Credentials(ctx, user)
	if !errors.Is(err, credential.ErrNoUser) || host.DataPath == "" {
		return place, c, err
	}
	c, err = folder(host.DataPath).credentials(user)
	return Prosody, c, err
}

func (a *Accounts) host(domain string) (Host, error) {
	h, ok := a.Hosts[domain]
	if !ok {
		return h, fmt.Errorf("there is no host %q", domain)
	}
	return h, nil
}

// Add adds a user; ErrUserExists if there is one in either place, usable or not. It returns where the user is.
func (a *Accounts) Add(ctx context.Context, user addr.Bare, password string) (Place, error) {
	host, err := a.host(user.Domain())
	switch {
	case err != nil:
		return "", err
	case user.Local() == "":
		return "", fmt.Errorf("add %s: a user needs a localpart", user)
	}
	c, err := host.credentials(password, 0)
	if err != nil {
		return "", fmt.Errorf("add %s: %w", user, err)
	}
	place, err := a.placeOfNew(ctx, user, host)
	switch {
	case err != nil:
		return place, fmt.Errorf("add %s: %w", user, err)
	case place == Prosody:
		return place, folder(host.DataPath).add(user, c)
	default:
		db, _ := a.database(host)
		return place, db.AddUser(ctx, user, c)
	}
}

// placeOfNew is where a user is to be added; ErrUserExists, and where, if it is there already.
func (a *Accounts) placeOfNew(ctx context.Context, user addr.Bare, host Host) (Place, error) {
	db, place := a.database(host)
	if host.DataPath == "" {
		return place, nil // which sees for itself whether the name is taken
	}
	switch _, err := db.Credentials(ctx, user); {
	case err == nil:
		return place, ErrUserExists
	case !errors.Is(err, credential.ErrNoUser):
		return place, err
	}
	files := folder(host.DataPath)
	switch taken, err := files.has(user); {
	case err != nil:
		return Prosody, err
	case taken:
		return Prosody, ErrUserExists
	}
	if here, err := files.hasAccounts(user.Domain()); here || err != nil {
		return Prosody, err
	}
	return place, nil
}

// SetPassword gives a user another password, where the user is. It returns where that was.
func (a *Accounts) SetPassword(ctx context.Context, user addr.Bare, password string) (Place, error) {
	host, err := a.host(user.Domain())
	if err != nil {
		return "", err
	}
	place, old, err := a.find(ctx, user)
	if err != nil {
		return place, err
	}
	c, err := host.credentials(password, iterations(old))
	if err != nil {
		return place, fmt.Errorf("set password of %s: %w", user, err)
	}
	if place == Prosody {
		return place, folder(host.DataPath).setPassword(user, c)
	}
	db, _ := a.database(host)
	return place, db.SetPassword(ctx, user, c)
}

// Upgrade hashes a password that is kept as it is, where the user is. It returns where that was, and whether there was
// something to do. A password that somebody changes meanwhile is left alone.
func (a *Accounts) Upgrade(ctx context.Context, user addr.Bare) (place Place, done bool, err error) {
	host, err := a.host(user.Domain())
	if err != nil {
		return "", false, err
	}
	if host.StorePasswords {
		return "", false, fmt.Errorf("upgrade %s: passwords of %s are kept as they are", user, user.Domain())
	}
	place, old, err := a.find(ctx, user)
	if err != nil || !old.HasPassword {
		return place, false, err
	}
	c, err := host.credentials(old.Password, 0)
	if err != nil {
		return place, false, fmt.Errorf("upgrade %s: %w", user, err)
	}
	if place == Prosody {
		done, err = folder(host.DataPath).hashPassword(user, old.Password, c)
		return place, done, err
	}
	db, _ := a.database(host)
	done, err = db.HashPassword(ctx, user, old.Password, c)
	return place, done, err
}

func iterations(c credential.Credentials) int {
	if c.SCRAM == nil {
		return 0
	}
	return c.SCRAM.Iterations
}

// credentials are what this host keeps of a password. The count of iterations never goes down, as in Prosody.
func (h Host) credentials(password string, before int) (credential.Credentials, error) {
	prepared, err := credential.Prepare(password)
	if err != nil || h.StorePasswords {
		return credential.Credentials{Password: prepared, HasPassword: true}, err
	}
	hash, count := h.Hash, h.Iterations
	if hash == "" {
		hash = credential.SHA1
	}
	if count == 0 {
		count = credential.DefaultIterations
	}
	keys, err := credential.Derive(hash, prepared, credential.NewSalt(), max(count, before))
	return credential.Credentials{SCRAM: &keys}, err
}

// Delete deletes a user from both places, with the roster that was kept, what is in all stores and, as prosodyctl does,
// all that Prosody's folder has of that user. It returns where the user was. If it fails or is killed on the way, the
// user is as before, or has lost some of that and is still there: it can be tried again.
func (a *Accounts) Delete(ctx context.Context, user addr.Bare) (places []Place, err error) {
	host, err := a.host(user.Domain())
	if err != nil {
		return nil, err
	}
	if _, _, err := a.find(ctx, user); errors.Is(err, credential.ErrNoUser) {
		return nil, err // what a backend's user has stored stays
	}
	if err := a.forgetElsewhere(ctx, user, host); err != nil {
		return nil, err
	}
	if host.DataPath != "" { // before the database, or an old password there would count for a moment
		there, err := folder(host.DataPath).has(user)
		if there {
			places, err = append(places, Prosody), a.purge(ctx, user, host)
		}
		if err != nil {
			return places, fmt.Errorf("delete %s: %w", user, err)
		}
	}
	db, place := a.database(host)
	switch err := db.DeleteUser(ctx, user); {
	case err == nil:
		places = append([]Place{place}, places...)
	case !errors.Is(err, credential.ErrNoUser):
		return places, err
	}
	if len(places) == 0 {
		return nil, noUser(user)
	}
	return places, nil
}

// forgetElsewhere removes what is not in the database of the accounts. Without the account, nobody would ask for that
// again.
func (a *Accounts) forgetElsewhere(ctx context.Context, user addr.Bare, host Host) error {
	list := host.Elsewhere
	if host.Postgres != nil && a.Store != nil {
		list = append([]Forgetter{a.Store}, list...)
	}
	for _, place := range list {
		if err := place.Forget(ctx, user); err != nil {
			return err
		}
	}
	return nil
}

// Forget deletes what is stored of a user whose account is not ours, such as one that a backend knows.
func (a *Accounts) Forget(ctx context.Context, user addr.Bare) error {
	host, err := a.host(user.Domain())
	if err != nil {
		return err
	}
	if host.Postgres == nil {
		err = a.Store.Forget(ctx, user)
	} else {
		err = host.Postgres.Forget(ctx, user)
	}
	return errors.Join(err, a.forgetElsewhere(ctx, user, host))
}

// purge forgets what the database has first, for the same reason.
func (a *Accounts) purge(ctx context.Context, user addr.Bare, host Host) error {
	var db Forgetter = a.Store
	if host.Postgres != nil {
		db = host.Postgres
	}
	if err := db.Forget(ctx, user); err != nil {
		return err
	}
	return folder(host.DataPath).purge(user)
}

// Folder is where a host has accounts in files of Prosody's; "" if it has none there.
func (a *Accounts) Folder(domain string) (string, error) {
	host, err := a.host(domain)
	if err != nil || host.DataPath == "" {
		return "", err
	}
	files := folder(host.DataPath)
	if here, err := files.hasAccounts(domain); !here || err != nil {
		return "", err
	}
	return files.accountsDir(domain), nil
}

// List lists the accounts of a host in both places, by user. Those that cannot be used are among them, with Err.
func (a *Accounts) List(ctx context.Context, domain string) ([]Account, error) {
	host, err := a.host(domain)
	if err != nil {
		return nil, err
	}
	db, _ := a.database(host)
	list, err := db.Users(ctx, domain)
	if err != nil || host.DataPath == "" {
		return list, err
	}
	first := map[addr.Bare]bool{}
	for _, acc := range list {
		first[acc.User] = true
	}
	files, err := folder(host.DataPath).list(domain)
	if err != nil {
		return nil, err
	}
	for _, acc := range files {
		acc.Shadowed = first[acc.User]
		list = append(list, acc)
	}
	slices.SortStableFunc(list, func(a, b Account) int { return a.User.Compare(b.User) })
	return list, nil
}
