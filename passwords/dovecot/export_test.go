package dovecot

import (
	"strings"

	"rosterd/engine/addr"
)

// Judge is what a Source makes of lines that answer its first request.
func Judge(text string, user addr.Bare) error {
	for line := range strings.SplitSeq(text, "\n") {
		if r, ok := parseReply(strings.Split(line, "\t"), 1); ok {
			return (&Source{}).verdict(user, r)
		}
	}
	return refused("nothing was said")
}
