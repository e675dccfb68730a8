package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"rosterd/engine/addr"
	"rosterd/store/credential"
)

// Accounts are the users of all hosts, in SQLite and in Prosody's data folder: the package comment says which
// counts. The command line `rosterd user` and the SASL mechanisms both use it.
type Accounts struct {
	Store *Store
	Hosts map[string]Host // by prepared domain; there are no users elsewhere
}

// Host is how the accounts of a host are kept.
type Host struct {
	// DataPath is Prosody's data_path if the host's "accounts" are in its internal storage, else "".
	DataPath string
	// StorePasswords keeps passwords as they are (authentication = "internal_plain"). Otherwise they are hashed.
	StorePasswords bool
	// Hash is that of new passwords (password_hash); "" means SHA-1.
	Hash credential.Hash
	// Iterations is the count of new passwords (default_iteration_count); 0 means credential.DefaultIterations.
	Iterations int
}

// Place is where an account is kept.
type Place string

// The places.
const (
	SQLite  Place = "sqlite"
	Prosody Place = "prosody"
)

// Account is an account as a list shows it.
type Account struct {
	User     addr.Bare // zero if a file's name is no user's
	Place    Place
	Kept     string // what is kept of the password: "SCRAM-SHA-1" …, "password", "none"
	Disabled bool
	Shadowed bool  // the user is in SQLite too: this one does not count
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
	c, err := a.Store.Credentials(ctx, user)
	if !errors.Is(err, credential.ErrNoUser) || host.DataPath == "" {
		return SQLite, c, err
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
		return place, a.Store.AddUser(ctx, user, c)
	}
}

// placeOfNew is where a user is to be added; ErrUserExists, and where, if it is there already.
func (a *Accounts) placeOfNew(ctx context.Context, user addr.Bare, host Host) (Place, error) {
	if host.DataPath == "" {
		return SQLite, nil // which sees for itself whether the name is taken
	}
	switch _, err := a.Store.Credentials(ctx, user); {
	case err == nil:
		return SQLite, ErrUserExists
	case !errors.Is(err, credential.ErrNoUser):
		return SQLite, err
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
	return SQLite, nil
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
	return place, a.Store.SetPassword(ctx, user, c)
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

// Delete deletes a user from both places, with the roster that was kept and, as prosodyctl does, all that Prosody's
// folder has of that user. It returns where the user was. If it fails or is killed on the way, the user is as before or
// is still in the database, and it can be tried again.
func (a *Accounts) Delete(ctx context.Context, user addr.Bare) (places []Place, err error) {
	host, err := a.host(user.Domain())
	if err != nil {
		return nil, err
	}
	if host.DataPath != "" { // before the database, or an old password there would count for a moment
		there, err := folder(host.DataPath).has(user)
		if there {
			places, err = append(places, Prosody), a.purge(ctx, user, folder(host.DataPath))
		}
		if err != nil {
			return places, fmt.Errorf("delete %s: %w", user, err)
		}
	}
	switch err := a.Store.DeleteUser(ctx, user); {
	case err == nil:
		places = append([]Place{SQLite}, places...)
	case !errors.Is(err, credential.ErrNoUser):
		return places, err
	}
	if len(places) == 0 {
		return nil, noUser(user)
	}
	return places, nil
}

// purge forgets what the database has first: without the account, nobody would ask for that again.
func (a *Accounts) purge(ctx context.Context, user addr.Bare, files folder) error {
	if err := a.Store.forget(ctx, user); err != nil {
		return err
	}
	return files.purge(user)
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
	list, err := a.Store.Users(ctx, domain)
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
