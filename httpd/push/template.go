package push

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
)

// maxTemplate bounds a file of push_roster, in bytes.
const maxTemplate = 16 << 20

// template reads a file of push_roster: below the host's folder, whatever links lead out of it.
func (h *Host) template(name string) ([]roster.Item, error) {
	if h.Files == "" {
		return nil, refused(http.StatusBadRequest, "files are not read here: rosterd_push_files names no folder")
	}
	rel := strings.TrimPrefix(strings.TrimPrefix(name, h.Files), "/")
	root, err := os.OpenRoot(h.Files)
	if err != nil {
		return nil, fmt.Errorf("rosterd_push_files: %w", err)
	}
	defer root.Close()
	info, err := root.Stat(rel)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxTemplate {
		return nil, refused(http.StatusBadRequest, "there is no file %q of at most %d bytes in rosterd_push_files", clip(rel), maxTemplate)
	}
	f, err := root.Open(rel)
	if err != nil {
		return nil, refused(http.StatusBadRequest, "%q in rosterd_push_files cannot be read", clip(rel))
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxTemplate))
	if err != nil {
		return nil, fmt.Errorf("file of push_roster: %w", err)
	}
	tuples, err := parseTuples(string(text))
	if err != nil {
		return nil, refused(http.StatusBadRequest, "%s: %v", clip(rel), err)
	}
	items := make([]roster.Item, len(tuples))
	for n, t := range tuples {
		contact, err := addr.NewBare(t[0], t[1])
		if err != nil {
			return nil, refused(http.StatusBadRequest, "%s: contact %d: %v", clip(rel), n+1, err)
		}
		items[n] = roster.Item{JID: contact, Name: t[3], Groups: strings.Split(t[2], ";"), Subscription: roster.Both}
	}
	return items, nil
}

// pushRoster puts the contacts of a file into one roster.
func (c *call) pushRoster() (any, error) {
	h, user, err := c.user("user", "host")
	if err != nil {
		return nil, err
	}
	items, err := h.template(c.args["file"].text)
	if err != nil {
		return nil, err
	}
	return c.befriend(h, []addr.Bare{user}, items)
}

// pushRosterAll makes all who are in a file contacts of each other. All are users of hosts that are the caller's.
func (c *call) pushRosterAll() (any, error) {
	mine := c.hosts()
	if len(mine) == 0 {
		return nil, c.nobody()
	}
	first := mine[0]
	if i := slices.IndexFunc(mine, func(h *Host) bool { return h.Files != "" }); i > 0 {
		first = mine[i]
	}
	items, err := first.template(c.args["file"].text)
	if err != nil {
		return nil, err
	}
	users := make([]addr.Bare, len(items))
	for n, i := range items {
		if _, err := c.host(i.JID.Domain()); err != nil {
			return nil, err
		}
		if i.JID.Local() == "" {
			return nil, refused(http.StatusBadRequest, "contact %d: %s is no user", n+1, i.JID)
		}
		users[n] = i.JID
	}
	return c.befriend(first, users, items)
}

var errTuples = errors.New(`not a list of {"user", "server", "group", "nick"} that ends in a full stop`)

// parseTuples reads a list of tuples of four strings or binaries, as Erlang writes them.
func parseTuples(s string) (list [][4]string, err error) {
	p := erlang{rest: s}
	p.want("[")
	for p.err == nil && !p.next("]") {
		if len(list) > 0 {
			p.want(",")
		}
		var t [4]string
		p.want("{")
		for i := range t {
			if i > 0 {
				p.want(",")
			}
			t[i] = p.text()
		}
		p.want("}")
		list = append(list, t)
	}
	if p.want("."); p.err == nil && p.skip() != "" {
		p.err = errTuples
	}
	return list, p.err
}

// erlang reads terms.
type erlang struct {
	rest string
	err  error
}

// skip goes over spaces and comments.
func (p *erlang) skip() string {
	for {
		p.rest = strings.TrimLeft(p.rest, " \t\r\n")
		if !strings.HasPrefix(p.rest, "%") {
			return p.rest
		}
		_, p.rest, _ = strings.Cut(p.rest, "\n")
	}
}

func (p *erlang) next(token string) bool {
	rest, ok := strings.CutPrefix(p.skip(), token)
	if ok {
		p.rest = rest
	}
	return ok
}

func (p *erlang) want(token string) {
	if p.err == nil && !p.next(token) {
		p.err = errTuples
	}
}

// text is "…", <<"…">> or <<"…"/utf8>>.
func (p *erlang) text() string {
	binary := p.next("<<")
	p.want(`"`)
	var b strings.Builder
	for p.err == nil && !strings.HasPrefix(p.rest, `"`) {
		c, n := utf8.DecodeRuneInString(p.rest)
		if c == '\\' {
			c, n = utf8.DecodeRuneInString(p.rest[1:])
			p.rest = p.rest[1:]
			switch c {
			case '"', '\\', '\'':
			default:
				p.err = fmt.Errorf(`%w: \%c is not understood`, errTuples, c)
			}
		}
		if n == 0 || c == utf8.RuneError && n == 1 {
			p.err = errTuples
			break
		}
		b.WriteRune(c)
		p.rest = p.rest[n:]
	}
	p.want(`"`)
	if binary {
		if p.next("/") {
			p.want("utf8")
		}
		p.want(">>")
	}
	return b.String()
}
