package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"rosterd/config"
	"rosterd/directory"
	"rosterd/engine/addr"
	"rosterd/passwords"
)

// ldapUsers is mod_auth_ldap.
func ldapUsers(h *config.Host) (passwords.Source, error) {
	servers, pos, _ := config.LDAPServer.Lookup(h)
	s := directory.Settings{StartTLS: config.LDAPTLS.Get(h), DN: config.LDAPRootDN.Get(h), Password: config.LDAPPassword.Get(h)}
	var err error
	if s.Servers, err = directory.ParseServers(servers); err != nil {
		return nil, &optionError{pos, config.LDAPServer.Name, err}
	}
	if s.DN != "" && s.Password == "" {
		_, pos, _ := config.LDAPRootDN.Lookup(h)
		return nil, &optionError{pos, config.LDAPRootDN.Name, errors.New("without ldap_password that would be nobody")}
	}
	base, pos, set := config.LDAPBase.Lookup(h)
	if !set {
		return nil, &optionError{pos, config.LDAPBase.Name, errors.New(`authentication = "ldap" needs it`)}
	}
	if err := directory.CheckDN(base); err != nil {
		return nil, &optionError{pos, config.LDAPBase.Name, err}
	}
	filter, err := userFilter(h)
	if err != nil {
		return nil, err
	}
	if s.TLS, err = ldapTLS(h); err != nil {
		return nil, err
	}
	return ldapPasswords{&directory.Users{
		Directory: directory.New(s), Base: base, Scope: directory.Scope(config.LDAPScope.Get(h)), Compare: config.LDAPMode.Get(h) == "getpasswd", Filter: filter,
	}}, nil
}

var filterWord = regexp.MustCompile(`\$[A-Za-z]+`)

// userFilter is ldap_filter. In older files "%s" is the user's name.
func userFilter(h *config.Host) (func(user string) string, error) {
	raw, pos, _ := config.LDAPFilter.Lookup(h)
	raw = strings.Replace(raw, "%s", "$user", 1)
	tidy, err := directory.Tidy(raw)
	if err != nil {
		return nil, &optionError{pos, config.LDAPFilter.Name, err}
	}
	if !slices.Contains(filterWord.FindAllString(tidy, -1), "$user") {
		return nil, &optionError{pos, config.LDAPFilter.Name, errors.New("it has no $user: everybody would be the same")}
	}
	realm := cmp.Or(config.Realm.Get(h), h.Name)
	return func(user string) string {
		return filterWord.ReplaceAllStringFunc(tidy, func(word string) string {
			switch word {
			case "$user":
				return directory.Escape(user)
			case "$host":
				return directory.Escape(realm)
			}
			return word
		})
	}, nil
}

// ldapTLS are the authorities of LDAP servers; nil: the system's.
func ldapTLS(h *config.Host) (*tls.Config, error) {
	file, pos, set := config.LDAPCA.Lookup(h)
	if !set {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, &optionError{pos, config.LDAPCA.Name, err}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, &optionError{pos, config.LDAPCA.Name, fmt.Errorf("%s holds no certificate", file)}
	}
	return &tls.Config{RootCAs: pool}, nil
}

// ldapDirectory is the one of the table ldap.
func ldapDirectory(h *config.Host) (*directory.Directory, error) {
	l, pos, set := config.LDAPTable.Lookup(h)
	if !set {
		return nil, &optionError{pos, config.LDAPTable.Name, errors.New("it has to be set: ldap = { hostname = …, user = { … } }")}
	}
	s := directory.Settings{StartTLS: l.UseTLS, DN: l.BindDN, Password: l.BindPassword}
	var err error
	if s.Servers, err = directory.ParseServers(l.Hostname); err != nil {
		return nil, &optionError{pos, config.LDAPTable.Name, fmt.Errorf("hostname: %w", err)}
	}
	if s.TLS, err = ldapTLS(h); err != nil {
		return nil, err
	}
	return directory.New(s), nil
}

// userQuery is user of the table ldap.
func userQuery(h *config.Host, scope directory.Scope) (q directory.Query, err error) {
	l, pos, _ := config.LDAPTable.Lookup(h)
	q = directory.Query{Base: l.UserBase, Scope: scope, Filter: "(" + l.UserName + "=*)"}
	if err := directory.CheckDN(l.UserBase); err != nil {
		return q, &optionError{pos, config.LDAPTable.Name, fmt.Errorf("user.basedn: %w", err)}
	}
	if l.UserFilter != "" {
		if q.Filter, err = directory.Tidy(l.UserFilter); err != nil {
			return q, &optionError{pos, config.LDAPTable.Name, fmt.Errorf("user.filter: %w", err)}
		}
	}
	if _, err := directory.Tidy(l.UserName + "=x"); err != nil {
		return q, &optionError{pos, config.LDAPTable.Name, fmt.Errorf("user.usernamefield: %w", err)}
	}
	return q, nil
}

// ldapTableUsers is mod_auth_ldap2.
func ldapTableUsers(h *config.Host) (passwords.Source, error) {
	users, err := tableUsers(h)
	if err != nil {
		return nil, err
	}
	return ldapPasswords{users}, nil
}

func tableUsers(h *config.Host) (*directory.Users, error) {
	d, err := ldapDirectory(h)
	if err != nil {
		return nil, err
	}
	q, err := userQuery(h, directory.Subtree)
	if err != nil {
		return nil, err
	}
	name := config.LDAPTable.Get(h).UserName
	return &directory.Users{Directory: d, Base: q.Base, Scope: q.Scope, Filter: func(user string) string {
		return directory.And(q.Filter, "("+name+"="+directory.Escape(user)+")")
	}}, nil
}

// ldapPasswords asks a directory.
type ldapPasswords struct{ users *directory.Users }

var _ passwords.Users = ldapPasswords{}

// CheckPassword asks for the entry of the user, and whether the password is its.
func (l ldapPasswords) CheckPassword(ctx context.Context, user addr.Bare, password string) error {
	err := l.users.CheckPassword(ctx, user.Local(), password)
	if errors.Is(err, directory.ErrRefused) {
		return fmt.Errorf("%w: %w", passwords.ErrRefused, err)
	}
	return err
}

// UserExists asks for the entry of the user.
func (l ldapPasswords) UserExists(ctx context.Context, user addr.Bare) (bool, error) {
	return l.users.Exists(ctx, user.Local())
}

// Close lets go of the connections.
func (l ldapPasswords) Close() error { return l.users.Directory.Close() }
