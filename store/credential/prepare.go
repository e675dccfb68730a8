package credential

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/xdg-go/stringprep"
	"golang.org/x/text/unicode/bidi"
	"golang.org/x/text/unicode/norm"
)

// Prepare applies SASLprep (RFC 4013) to a password, as a query (RFC 3454 §7): characters that Unicode 3.2
// did not know, emoji for one, are let through as they are. The library's profile refuses them; Prosody,
// and so the accounts that people bring along, does not.
func Prepare(password string) (string, error) {
	switch {
	case password == "":
		return "", fmt.Errorf("%w: empty", ErrPassword)
	case printableASCII(password):
		return password, nil
	case !utf8.ValidString(password):
		return "", fmt.Errorf("%w: not UTF-8", ErrPassword)
	}
	mapped, err := mapping.Prepare(password)
	if err != nil {
		return "", fmt.Errorf("%w: character not allowed", ErrPassword)
	}
	prepared := normalize(mapped)
	// The library's errors name the offending character. It is part of a password: it stays here.
	if _, err := prohibition.Prepare(prepared); err != nil {
		return "", fmt.Errorf("%w: character not allowed (RFC 4013 §2.3)", ErrPassword)
	}
	switch {
	case prepared == "":
		return "", fmt.Errorf("%w: empty", ErrPassword)
	case !oneDirection(prepared):
		return "", fmt.Errorf("%w: mixes directions of writing (RFC 4013 §2.4)", ErrPassword)
	}
	return prepared, nil
}

func printableASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// mapping is RFC 4013 §2.1. U+200B stands in both of its tables; ICU, which Prosody asks, makes it a space.
// U+1806 is of table B.1 too; the library's copy has left it out.
var mapping = stringprep.Profile{Mappings: []stringprep.Mapping{spaces(), stringprep.TableB1}}

func spaces() stringprep.Mapping {
	m := stringprep.Mapping{0x1806: nil}
	for _, r := range stringprep.TableC1_2 {
		for c := r[0]; c <= r[1]; c++ {
			m[c] = []rune{' '}
		}
	}
	return m
}

// prohibition is RFC 4013 §2.3.
var prohibition = stringprep.Profile{
	Prohibits: []stringprep.Set{
		stringprep.TableC1_2, stringprep.TableC2_1, stringprep.TableC2_2, stringprep.TableC3, stringprep.TableC4,
		stringprep.TableC5, stringprep.TableC6, stringprep.TableC7, stringprep.TableC8, stringprep.TableC9,
	},
}

// oneDirection is RFC 4013 §2.4: text written from right to left starts and ends with such a letter, and has
// none of the other direction. The classes are those of today's Unicode; the library's are those of 3.2.
func oneDirection(s string) bool {
	var left, right bool
	var first, last bidi.Class
	for i, r := range s {
		p, _ := bidi.LookupRune(r)
		last = p.Class()
		if i == 0 {
			first = last
		}
		left = left || last == bidi.L
		right = right || rightToLeft(last)
	}
	return !right || !left && rightToLeft(first) && rightToLeft(last)
}

func rightToLeft(c bidi.Class) bool { return c == bidi.R || c == bidi.AL }

// normalize applies NFKC to the runs of characters that Unicode 3.2 knew (RFC 4013 §2.2, RFC 3454 §7). Later
// versions have compatibility forms for some of the others: a stored password must not change with them.
func normalize(s string) string {
	var b strings.Builder
	for s != "" {
		known := prefix(s, false)
		b.WriteString(norm.NFKC.String(s[:known]))
		s = s[known:]
		unknown := prefix(s, true)
		b.WriteString(s[:unknown])
		s = s[unknown:]
	}
	return b.String()
}

// prefix is the length of the first run of s whose characters are, or are not, unassigned in Unicode 3.2.
func prefix(s string, unassigned bool) int {
	n := strings.IndexFunc(s, func(r rune) bool { return stringprep.TableA1.Contains(r) != unassigned })
	if n < 0 {
		return len(s)
	}
	return n
}
