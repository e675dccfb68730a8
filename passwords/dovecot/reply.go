package dovecot

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// reply is what Dovecot says to a request: OK, FAIL or CONT, and parameters.
type reply struct {
	command string
	params  map[string]string // those without a value have ""
}

// parseReply reads a line in fields; ok is false if it is not about that request.
func parseReply(fields []string, request uint32) (r reply, ok bool) {
	if len(fields) < 2 || !slices.Contains([]string{"OK", "FAIL", "CONT"}, fields[0]) {
		return reply{}, false
	}
	if n, err := strconv.ParseUint(fields[1], 10, 32); err != nil || uint32(n) != request {
		return reply{}, false
	}
	r = reply{command: fields[0], params: make(map[string]string)}
	for _, f := range fields[2:] {
		key, value, _ := strings.Cut(f, "=")
		if _, again := r.params[key]; !again {
			r.params[key] = tabUnescape(value)
		}
	}
	return r, true
}

func (r *reply) has(name string) bool {
	_, ok := r.params[name]
	return ok
}

// reason is why a login has failed, for the log.
func (r *reply) reason() string {
	for _, flag := range []string{"user_disabled", "pass_expired", "authz"} {
		if r.has(flag) || r.params["code"] == flag {
			return "Dovecot says " + flag
		}
	}
	if why := r.params["reason"]; why != "" {
		return "Dovecot says " + shown(why)
	}
	return "Dovecot says no"
}

// shown is what somebody else has written, for the log.
func shown(s string) string {
	const most = 100
	if s == "" {
		return "no more than that"
	}
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return fmt.Sprintf("%q", s)
}

// Tabs, line ends and the like are written with \001 before them.
var (
	tabEscaper   = strings.NewReplacer("\x01", "\x011", "\t", "\x01t", "\n", "\x01n", "\r", "\x01r", "\x00", "\x010")
	tabUnescaper = strings.NewReplacer("\x011", "\x01", "\x01t", "\t", "\x01n", "\n", "\x01l", "\n", "\x01r", "\r", "\x010", "\x00")
)

func tabEscape(s string) string   { return tabEscaper.Replace(s) }
func tabUnescape(s string) string { return tabUnescaper.Replace(s) }
