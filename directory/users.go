package directory

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"regexp"

	"github.com/go-ldap/ldap/v3"
)

// Users are the entries of people who log in.
type Users struct {
	Directory *Directory
	Base      string
	Scope     Scope
	Filter    func(name string) string // for the one of a name, which is escaped in it
	// Compare says that the password is in the entry, as it is, and is compared. Else it is the server that checks it.
	Compare bool
}

const userPassword = "userPassword"

// CheckPassword tells whether a password is that of a name. An error that wraps ErrRefused says that it is not, any other
// that it is not known.
func (u *Users) CheckPassword(ctx context.Context, name, password string) error {
	if password == "" { // who binds without a password is nobody, and servers may say that this has succeeded (RFC 4513 §5.1.2)
		return fmt.Errorf("%w: no password", ErrRefused)
	}
	attribute := "1.1" // none (RFC 4511 §4.5.1.8)
	if u.Compare {
		attribute = userPassword
	}
	e, err := u.find(ctx, name, attribute)
	switch {
	case err != nil:
		return err
	case u.Compare:
		return compare(e, password)
	}
	return u.Directory.bind(ctx, e.DN, password)
}

// Exists tells whether there is somebody of a name.
func (u *Users) Exists(ctx context.Context, name string) (bool, error) {
	_, err := u.find(ctx, name, "1.1")
	if errors.Is(err, ErrRefused) {
		return false, nil
	}
	return err == nil, err
}

// Entry is that of a name, with some attributes. The error wraps ErrRefused if there is none.
func (u *Users) Entry(ctx context.Context, name string, attributes ...string) (Entry, error) {
	return u.find(ctx, name, attributes...)
}

func (u *Users) find(ctx context.Context, name string, attributes ...string) (Entry, error) {
	list, err := u.Directory.Search(ctx, Query{Base: u.Base, Scope: u.Scope, Filter: u.Filter(name), Attributes: attributes, Most: 1})
	switch {
	case err != nil:
		return Entry{}, err
	case len(list) == 0:
		return Entry{}, fmt.Errorf("%w: nobody below %q is %s", ErrRefused, u.Base, u.Filter(name))
	case list[0].DN == "": // to bind as that would be to bind as nobody
		return Entry{}, fmt.Errorf("the entry for %s has no name", u.Filter(name))
	}
	return list[0], nil
}

// hashed is how a password is kept that is not kept as it is (RFC 2307 §5.3).
var hashed = regexp.MustCompile(`^\{[A-Za-z0-9-]+\}`)

func compare(e Entry, password string) error {
	list := e.Values(userPassword)
	for _, v := range list {
		if hashed.MatchString(v) {
			return fmt.Errorf("%s: userPassword is a hash, which only the server can check", e.DN)
		}
		if subtle.ConstantTimeCompare([]byte(v), []byte(password)) == 1 {
			return nil
		}
	}
	if len(list) == 0 {
		return fmt.Errorf("%s: userPassword cannot be read, or is not there", e.DN)
	}
	return ErrRefused
}

// bind asks the server whether a password is that of an entry.
func (d *Directory) bind(ctx context.Context, dn, password string) error {
	return d.with(ctx, binding, maxOne, func(c *conn) error {
		err := c.Bind(dn, password)
		if refuses(err) {
			return fmt.Errorf("%w: bind as %q: %w", ErrRefused, dn, err)
		}
		if err != nil {
			return fmt.Errorf("bind as %q: %w", dn, err)
		}
		return nil
	})
}

// refuses tells whether a server says that a password is wrong, that there is none, or that nobody is there any more. With
// constraintViolation some say that an account is locked, with unwillingToPerform that it is disabled. What else they say,
// such as that they are busy or that TLS is needed, is not about the user.
func refuses(err error) bool {
	return ldap.IsErrorAnyOf(err, ldap.LDAPResultInvalidCredentials, ldap.LDAPResultInappropriateAuthentication, ldap.LDAPResultNoSuchObject,
		ldap.LDAPResultConstraintViolation, ldap.LDAPResultUnwillingToPerform)
}
