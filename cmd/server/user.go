package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"golang.org/x/term"

	"rosterd/config"
	"rosterd/engine/addr"
	"rosterd/store"
	"rosterd/store/credential"
)

// user adds, changes, deletes, lists and upgrades accounts.
func user(ctx context.Context, args []string, c console) int {
	f := flags("user", c)
	file := f.String("config", "", "configuration `FILE`")
	rest, err := interleaved(f, args)
	if err != nil {
		return exitUsage
	}
	if err := userCommand(ctx, *file, rest, c); err != nil {
		fmt.Fprintln(c.err, "rosterd user:", err)
		if errors.Is(err, errUsage) {
			return exitUsage
		}
		return exitFailed
	}
	return exitOK
}

var errUsage = errors.New("usage: rosterd user add|passwd|delete USER@HOST, or rosterd user list|upgrade [HOST]")

func userCommand(ctx context.Context, file string, args []string, c console) error {
	if len(args) == 0 {
		return errUsage
	}
	do, ok := map[string]func(context.Context, *config.Config, userDB, []string, console) error{
		"add": addUser, "passwd": changePassword, "delete": deleteUser, "list": listUsers, "upgrade": upgradeUsers,
	}[args[0]]
	if !ok {
		return errUsage
	}
	path, err := findConfig(file)
	if err != nil {
		return err
	}
	cfg, err := config.Load(path, config.LoadOptions{Inspect: true})
	if err != nil {
		return err
	}
	for _, d := range config.Check(cfg) { // an unknown provider or storage must not end in an account somewhere else
		if d.Severity == config.Refused && d.Code != config.CodeSecurity { // the server may have been told to accept that by --accept
			return errors.New(d.String())
		}
	}
	open := openQuietly
	if args[0] == "list" {
		open = openToRead
	}
	db, err := open(cfg)
	if err != nil {
		return err
	}
	users, err := db.accounts(ctx, cfg)
	if err == nil {
		err = do(ctx, cfg, userDB{users, db}, args[1:], c)
	}
	return errors.Join(err, db.Close())
}

// userDB is where the accounts are, and what belongs to them.
type userDB struct {
	*store.Accounts
	db *databases
}

func oneUser(cfg *config.Config, args []string) (addr.Bare, error) {
	if len(args) != 1 {
		return addr.Bare{}, errUsage
	}
	u, err := addr.ParseBare(args[0])
	if err == nil && u.Local() == "" {
		err = fmt.Errorf("%q has no user before the @", args[0])
	}
	if err != nil {
		return u, err
	}
	return u, hasHost(cfg, u.Domain())
}

func addUser(ctx context.Context, cfg *config.Config, a userDB, args []string, c console) error {
	return withPassword(ctx, cfg, args, c, a.Add, "%s added (%s)\n")
}

func changePassword(ctx context.Context, cfg *config.Config, a userDB, args []string, c console) error {
	return withPassword(ctx, cfg, args, c, a.SetPassword, "password of %s changed (%s)\n")
}

// withPassword reads a password and does something with it for the one user that args name.
func withPassword(ctx context.Context, cfg *config.Config, args []string, c console,
	do func(context.Context, addr.Bare, string) (store.Place, error), done string) error {
	u, err := oneUser(cfg, args)
	if err != nil {
		return err
	}
	if where, ok := elsewhere(cfg.Host(u.Domain())); ok { // an account here would let nobody in
		return errors.New(where)
	}
	password, err := readPassword(c)
	if err != nil {
		return err
	}
	place, err := do(ctx, u, password)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, done, u, place)
	return nil
}

// elsewhere tells where the passwords of a host's users are, if that is not here.
func elsewhere(h *config.Host) (where string, ok bool) {
	if m, ok := h.Authenticator(); ok {
		return fmt.Sprintf("%vpasswords of %s are those that module %q knows (%s)", at(m.Pos), h.Name, m.Name, m.File), true
	}
	if name, pos, ok := h.OutsideProvider(); ok {
		return fmt.Sprintf("%vpasswords of %s are those that authentication = %q asks about", at(pos), h.Name, name), true
	}
	if h.Anonymous() {
		return fmt.Sprintf("users of %s are anonymous, they have no passwords", h.Name), true
	}
	return "", false
}

func deleteUser(ctx context.Context, cfg *config.Config, a userDB, args []string, c console) error {
	u, err := oneUser(cfg, args)
	if err != nil {
		return err
	}
	stores, err := a.db.stores(ctx, cfg)
	if err != nil {
		return err
	}
	contacts, err := newFarewell(ctx, cfg, stores, u)
	if err != nil {
		return err
	}
	places, err := a.Delete(ctx, u)
	_, foreign := elsewhere(cfg.Host(u.Domain()))
	if foreign && errors.Is(err, credential.ErrNoUser) { // but something may be stored
		err = a.Forget(ctx, u)
	}
	if err != nil {
		return err
	}
	err = tellDeleted(ctx, cfg, u)
	if again := a.Forget(ctx, u); again != nil { // what the streams that ended just now have left
		err = errors.Join(err, again)
	}
	changed, failed := contacts.say(ctx, editKept(cfg, stores))
	err = errors.Join(err, failed, tellServer(ctx, cfg, changed))
	if len(places) == 0 {
		fmt.Fprintf(c.out, "%s: what was stored is deleted; who can log in is for authentication = %q to say\n", u, cfg.Host(u.Domain()).AuthProvider())
		return err
	}
	names := make([]string, len(places))
	for i, p := range places {
		names[i] = string(p)
	}
	fmt.Fprintf(c.out, "%s deleted (%s)\n", u, strings.Join(names, ", "))
	return err
}

func listUsers(ctx context.Context, cfg *config.Config, a userDB, args []string, c console) error {
	if len(args) > 1 {
		return errUsage
	}
	hosts := args
	if len(hosts) == 0 {
		for _, h := range cfg.Hosts() {
			hosts = append(hosts, h.Name)
		}
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	var failed error
	for _, name := range hosts {
		if err := hasHost(cfg, name); err != nil {
			return err
		}
		list, err := a.List(ctx, name)
		failed = errors.Join(failed, err)
		_, others := elsewhere(cfg.Host(name))
		for _, u := range list {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", u.User, u.Place, u.Kept, remarks(u, others))
			failed = errors.Join(failed, u.Err)
		}
	}
	return errors.Join(w.Flush(), failed)
}

// upgradeUsers hashes the passwords that are kept as they are, of hosts that keep hashes of them.
func upgradeUsers(ctx context.Context, cfg *config.Config, a userDB, args []string, c console) error {
	hosts := args
	switch {
	case len(args) > 1:
		return errUsage
	case len(args) == 0:
		for _, h := range cfg.Hosts() {
			if h.AuthProvider() == "internal_hashed" {
				hosts = append(hosts, h.Name)
			}
		}
	}
	var failed error
	for _, name := range hosts {
		if err := hasHost(cfg, name); err != nil {
			return err
		}
		h := cfg.Host(name)
		if where, ok := elsewhere(h); ok {
			return errors.New(where)
		}
		if storesPasswords(h) {
			_, pos, _ := config.Authentication.Lookup(h)
			return fmt.Errorf("%vpasswords of %s are kept as they are: first write authentication = \"internal_hashed\"", at(pos), name)
		}
		failed = errors.Join(failed, upgradeHost(ctx, a, name, c))
	}
	return failed
}

func upgradeHost(ctx context.Context, a userDB, host string, c console) error {
	list, err := a.List(ctx, host)
	if err != nil {
		return err
	}
	done, already := 0, 0
	var failed error
	for _, u := range list {
		if u.Err != nil || u.User.IsZero() || u.Shadowed {
			failed = errors.Join(failed, u.Err)
			continue
		}
		switch _, did, err := a.Upgrade(ctx, u.User); {
		case err != nil:
			failed = errors.Join(failed, err)
		case did:
			done++
		default:
			already++
		}
	}
	fmt.Fprintf(c.out, "%s: %d passwords hashed, %d accounts left as they were\n", host, done, already)
	return failed
}

// remarks are what is to be said of an account, on a host where others may know the passwords.
func remarks(u store.Account, others bool) string {
	var list []string
	if others {
		list = append(list, "does not count: authentication is not internal")
	}
	if u.Disabled {
		list = append(list, "disabled")
	}
	if u.Shadowed {
		list = append(list, "does not count: the user is in the database too")
	}
	if u.Err != nil {
		list = append(list, "unusable")
	}
	return strings.Join(list, ", ")
}

// readPassword asks at a terminal, twice; else it reads one line.
func readPassword(c console) (string, error) {
	if f, ok := c.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return askPassword(f, c.err)
	}
	line, err := bufio.NewReader(io.LimitReader(c.in, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	return notEmpty(strings.TrimRight(line, "\r\n"))
}

func askPassword(f *os.File, w io.Writer) (string, error) {
	var typed [2]string
	for i, prompt := range []string{"Password: ", "Again: "} {
		fmt.Fprint(w, prompt)
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(w)
		if err != nil {
			return "", fmt.Errorf("reading the password: %w", err)
		}
		typed[i] = string(b)
	}
	if typed[0] != typed[1] {
		return "", errors.New("the passwords are not the same")
	}
	return notEmpty(typed[0])
}

func notEmpty(password string) (string, error) {
	if password == "" {
		return "", errors.New("an empty password")
	}
	return password, nil
}
