package migrate

import (
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"rosterd/store"
	"rosterd/store/credential"
	"rosterd/store/prosody"
)

// account takes the account. ok is false for who has none, neither there nor here: what is left of somebody who was
// deleted must not wait for the next one of that name.
func (o *one) account(ctx context.Context) (ok bool, err error) {
	const name = "accounts"
	if o.Foreign {
		return true, nil
	}
	i, err := o.to(ctx, name)
	if err != nil {
		return false, err
	}
	here, is, err := i.Account(ctx)
	if err != nil {
		return false, err
	}
	there, c := false, credential.Credentials{}
	if o.From[name] != nil {
		switch c, there, err = o.credentials(ctx); {
		case err != nil && o.bad(name, err):
			o.flush()
			return false, nil
		case err != nil:
			return false, err
		}
	}
	switch {
	case !there && !is:
		o.skip(name, errors.New("there is no such account: what else is stored of the user is left"))
		o.flush()
		return false, nil
	case !there || !o.takes(name):
		return true, nil
	}
	return true, o.mergeAccount(ctx, i, c, here, is)
}

func (o *one) credentials(ctx context.Context) (c credential.Credentials, ok bool, err error) {
	doc, err := o.From["accounts"].Table(ctx, o.Name, o.name, "accounts")
	if err != nil || doc.Table == nil {
		return c, false, err
	}
	if c, err = store.ProsodyAccount(doc.Table); err != nil {
		return c, false, &prosody.Error{Place: doc.Place, Reason: err.Error()}
	}
	return c, true, nil
}

func (o *one) mergeAccount(ctx context.Context, i *store.Import, c, here credential.Credentials, is bool) error {
	const name = "accounts"
	was, err := o.remembered(ctx, name)
	if err != nil {
		return err
	}
	counts, fresh, now := Counts{Users: 1}, o.accountPrint(c), o.accountPrint(here)
	switch {
	case !is:
		counts.New = 1
	case now == fresh:
		counts.Same = 1
	case was.Stamp == fresh:
		counts.Same = 1 // there; here the user has another password by now
	case was.Stamp != "" && now == was.Stamp:
		counts.Changed = 1
	default:
		counts.Kept = 1
		fresh = was.Stamp
	}
	if counts.New+counts.Changed > 0 {
		if err := i.SetAccount(ctx, c); err != nil {
			return err
		}
	}
	o.add(name, counts)
	if fresh == was.Stamp {
		return nil
	}
	return o.remember(ctx, name, taken{Stamp: fresh})
}

// accountPrint is another one for each of what an account can be. It opens nothing, and is no shorter way to find a
// password than SCRAM's keys are.
func (o *one) accountPrint(c credential.Credentials) string {
	parts := []string{fmt.Sprint(c.Disabled, c.HasPassword)}
	if c.HasPassword {
		key, err := pbkdf2.Key(sha256.New, c.Password, []byte(o.user.String()), credential.DefaultIterations, sha256.Size)
		if err != nil {
			panic(err) // the length is one that there is
		}
		parts = append(parts, string(key))
	}
	if k := c.SCRAM; k != nil {
		parts = append(parts, string(k.Hash), string(k.Salt), fmt.Sprint(k.Iterations), hex.EncodeToString(k.StoredKey), hex.EncodeToString(k.ServerKey))
	}
	return printOf([]byte(strings.Join(parts, "\x00")))
}
