package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// An acceptance is an entry of rosterd_accept or of --accept: whoever wrote it knows what check says, and starts the server
// all the same. What is accepted is still said, as a note.
type acceptance struct {
	code Code
	name string // of an option or module; "" is any
	host string // "" is any
	pos  Pos    // zero if it is of the command line
	used bool
}

var acceptanceForm = regexp.MustCompile(`^([A-Z]{3}[0-9]{3})(?:@(\S+))?$`)

// acceptanceItem reads an entry of rosterd_accept.
func acceptanceItem(r *reading, v Value) (string, bool) {
	s, ok := text(r, v)
	if !ok {
		return "", false
	}
	if !acceptanceForm.MatchString(s) {
		r.fail(v, "takes codes such as SEC002, or SEC002@firewall, not %s", v.describe())
		return "", false
	}
	return s, true
}

// CheckAcceptance says what is wrong with an entry of --accept.
func CheckAcceptance(s string) error {
	if !acceptanceForm.MatchString(s) {
		return fmt.Errorf("%q is no code such as SEC002, or SEC002@firewall", s)
	}
	return nil
}

// Accepting are the acceptances that the configuration was loaded with, beside its own.
func (c *Config) Accepting() []string { return c.accepting }

// acceptances are those of the files, in the order of the sections, and those of the command line.
func (c *Config) acceptances() (list []*acceptance) {
	read := func(s string, host string, pos Pos) {
		if m := acceptanceForm.FindStringSubmatch(s); m != nil {
			list = append(list, &acceptance{code: Code(m[1]), name: m[2], host: host, pos: pos})
		}
	}
	for _, s := range append([]*section{c.global.section}, c.sections...) {
		st := s.set[acceptOption.Name]
		if st == nil {
			continue
		}
		host := s.host
		if s.kind == KindGlobal {
			host = ""
		}
		for _, v := range (&reading{}).items(st.value) {
			if text, ok := v.text(); ok {
				read(text, host, v.pos)
			}
		}
	}
	for _, s := range c.accepting {
		read(s, "", Pos{})
	}
	return list
}

func (a *acceptance) covers(d Diag) bool {
	return a.code == d.Code && (a.name == "" || a.name == d.Name) && (a.host == "" || a.host == d.Host)
}

func (a *acceptance) String() string {
	s := string(a.code)
	if a.name != "" {
		s += "@" + a.name
	}
	return s
}

// by names where the acceptance is written.
func (a *acceptance) by() string {
	if a.pos.IsZero() {
		return "--accept"
	}
	return fmt.Sprintf("%s (%v)", acceptOption.Name, a.pos)
}

// accept makes notes of what is accepted. What cannot be is refused as before, and says why. An acceptance that has
// nothing to accept may be left over from something, or misspelt, and is itself warned of.
func (ck *checker) accept() {
	list := ck.acceptances()
	for i := range ck.diags {
		d := &ck.diags[i]
		if d.Severity == Note {
			continue
		}
		for _, a := range list {
			if !a.covers(*d) {
				continue
			}
			a.used = true
			if d.Severity == Refused && !d.Code.acceptable() {
				d.Message += fmt.Sprintf("; %s does not help, since %s", a.by(), unacceptable(d.Code))
			} else {
				d.Was, d.Severity, d.Accepted = d.Severity, Note, a.by()
			}
			break
		}
	}
	for _, a := range list {
		if !a.used && !ck.covered(a) {
			hint := ""
			if elsewhere := (acceptance{code: a.code, name: a.name}); a.host != "" && slices.ContainsFunc(ck.diags, func(d Diag) bool { return d.Severity != Note && elsewhere.covers(d) }) {
				hint = fmt.Sprintf("in the section of %q it counts for that alone: move it above the first VirtualHost", a.host)
			}
			ck.diags = append(ck.diags, Diag{Severity: Warn, Code: CodeAccepts, Pos: a.pos, Host: a.host, Name: acceptOption.Name, Hint: hint,
				Message: fmt.Sprintf("%s: there is nothing to accept by %v", strings.Fields(a.by())[0], a)})
		}
	}
}

// covered tells whether an acceptance has found all it could be for accepted by another one.
func (ck *checker) covered(a *acceptance) bool {
	for _, d := range ck.diags {
		if d.Accepted != "" && a.covers(d) {
			return true
		}
	}
	return false
}

// acceptable tells whether the server starts if a refusal of the code is accepted.
func (c Code) acceptable() bool { return c == CodeSecurity }

// unacceptable says why a refusal cannot be accepted.
func unacceptable(c Code) string {
	switch c {
	case CodeValue:
		return "what the value was to close would be open: correct it"
	case CodeUnknown:
		return "what was meant would not be done: correct the name"
	case CodeUnset:
		return "without the secret anybody could get in"
	case CodeStrangers:
		return "strangers would get in"
	case CodeAccounts:
		return "others would get in than those who should, or what users entrust to the server would be lost"
	}
	return "the server could not do its work"
}
