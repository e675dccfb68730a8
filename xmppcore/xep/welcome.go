package xep

import (
	"regexp"

	"rosterd/engine/addr"
)

// Welcome is the content of the message that greets a user who has registered: $username and $host in the text stand
// for the user's.
func Welcome(text string, user addr.Bare) []byte {
	return body(variable.ReplaceAllStringFunc(text, func(name string) string {
		switch name {
		case "$username":
			return user.Local()
		case "$host":
			return user.Domain()
		}
		return name
	}))
}

var variable = regexp.MustCompile(`\$[0-9A-Za-z]+`)
