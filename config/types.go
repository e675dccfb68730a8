package config

import (
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"

	"rosterd/engine/addr"
)

// Readers of the smaller types that options have. The larger ones have files of their own.

// moduleNames reads modules_enabled and modules_disabled. A single name is not a list of one here:
// Prosody's loader would see an empty list.
func moduleNames(r *reading, v Value) ([]string, bool) {
	if v.Table() == nil {
		r.fail(v, "takes a list of modules, not %s: Prosody reads it as an empty one", v.describe())
		return nil, false
	}
	var names []string
	for _, e := range r.items(v) {
		name, ok := e.v.(string)
		if !ok {
			r.fail(e, "takes names of modules, not %s", e.describe())
			continue
		}
		names = append(names, name)
	}
	return names, true
}

var providerName = regexp.MustCompile(`^[a-z0-9_]+$`)

// authProvider reads authentication. That the provider is there is checked when the modules are known.
func authProvider(r *reading, v Value) (string, bool) {
	s, ok := text(r, v)
	if ok && (!providerName.MatchString(s) || strings.HasPrefix(s, "internal_") && s != "internal_hashed" && s != "internal_plain") {
		r.fail(v, "the provider %s is not available; these are: %s", v.describe(), providerNames())
		return "", false
	}
	return s, ok
}

var secretKey = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

// secrets reads a table of strings. What is wrong with one is said without its value.
func secrets(r *reading, v Value) (map[string]string, bool) {
	t := v.Table()
	if t == nil || len(t.List) > 0 {
		r.fail(v, "takes a table such as { crm_token = \"…\" }")
		return nil, false
	}
	list := map[string]string{}
	for _, f := range t.Fields {
		name := keyText(f.Key)
		value, isString := f.Value.v.(string)
		switch {
		case !secretKey.MatchString(name):
			r.fail(f.Value, "%q is no name: letters, digits, _, . and - are", name)
		case !isString:
			r.fail(f.Value, "the value of %s has to be a string", name)
		case value == "" || strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c == 0x7f }):
			r.fail(f.Value, "the value of %s is empty or has line breaks or control characters; FileLine reads a file without its newline", name)
		default:
			list[name] = value
		}
	}
	return list, true
}

// configPath reads a path that is relative to the directory of the configuration.
func configPath(r *reading, v Value) (string, bool) {
	s, ok := nonEmpty(r, v)
	if !ok {
		return "", false
	}
	return resolvePath(r.cfg.Dir, s), true
}

// dataPath reads a path that is relative to data_path.
func dataPath(r *reading, v Value) (string, bool) {
	s, ok := nonEmpty(r, v)
	if !ok {
		return "", false
	}
	return resolvePath(DataPath.Get(r.cfg.global), s), true
}

// prosodyData is where Debian's Prosody, and most others, keep their data.
const prosodyData = "/var/lib/prosody"

func defaultDataPath(h *Host) string {
	if dir, _ := h.cfg.lookup("PROSODY_DATADIR"); dir != "" {
		return resolvePath(h.cfg.Dir, dir)
	}
	return filepath.FromSlash(prosodyData)
}

func bareJID(r *reading, v Value) (addr.Bare, bool) {
	s, ok := text(r, v)
	if !ok {
		return addr.Bare{}, false
	}
	jid, err := addr.ParseBare(s)
	if err != nil {
		r.fail(v, "takes bare JIDs: %v", err)
		return addr.Bare{}, false
	}
	return jid, true
}

// adminJID is bareJID for a list of people who may do more: an entry that is no address gives nobody a right, in Prosody
// neither. Lists that are split from an environment variable have such entries.
func adminJID(r *reading, v Value) (addr.Bare, bool) {
	if s, isText := v.text(); isText {
		if _, err := addr.ParseBare(s); err != nil {
			r.warn(v, "takes bare JIDs: %v: the entry has no effect", err)
			return addr.Bare{}, false
		}
	}
	return bareJID(r, v)
}

func hostname(r *reading, v Value) (string, bool) {
	s, ok := nonEmpty(r, v)
	if !ok {
		return "", false
	}
	host, err := addr.PrepareDomain(s)
	if err != nil {
		r.fail(v, "takes a host name: %v", err)
		return "", false
	}
	return host, true
}

// network reads an address, or a network in CIDR form.
func network(r *reading, v Value) (netip.Prefix, bool) {
	s, ok := text(r, v)
	if !ok {
		return netip.Prefix{}, false
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		r.fail(v, "takes addresses and networks such as 10.0.0.0/8, not %s", v.describe())
		return netip.Prefix{}, false
	}
	return p.Masked(), true
}

func loopbacks() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("::1/128")}
}

// A DiscoItem is an entry of disco_items.
type DiscoItem struct {
	JID  addr.JID
	Name string
}

// discoItem reads { "jid", "name" }, or just "jid".
func discoItem(r *reading, v Value) (DiscoItem, bool) {
	parts := []Value{v}
	if t := v.Table(); t != nil {
		parts = t.List
	}
	if len(parts) == 0 || len(parts) > 2 {
		r.fail(v, "takes entries of the form { \"jid\", \"name\" }")
		return DiscoItem{}, false
	}
	s, ok := text(r, parts[0])
	if !ok {
		return DiscoItem{}, false
	}
	jid, err := addr.Parse(s)
	if err != nil {
		r.fail(parts[0], "takes JIDs: %v", err)
		return DiscoItem{}, false
	}
	item := DiscoItem{JID: jid}
	if len(parts) == 2 {
		if item.Name, ok = text(r, parts[1]); !ok {
			return DiscoItem{}, false
		}
	}
	return item, true
}

// A Header is a header line of a request.
type Header struct{ Name, Value string }

// httpToken is the form of a header name (RFC 9110 §5.6.2).
var httpToken = regexp.MustCompile("^[-!#$%&'*+.^_`|~0-9A-Za-z]+$")

// framing are the headers that belong to the connection and not to its user (RFC 9110 §7.6.1).
var framing = map[string]bool{
	"content-length": true, "transfer-encoding": true, "connection": true,
	"upgrade": true, "te": true, "trailer": true, "keep-alive": true,
}

// headers reads a table of header name → value.
func headers(r *reading, v Value) ([]Header, bool) {
	t := v.Table()
	if t == nil || len(t.List) > 0 {
		r.fail(v, "takes a table such as { Authorization = \"Bearer …\" }")
		return nil, false
	}
	if len(t.Fields) == 0 {
		r.warn(v, "is empty, no header is sent")
	}
	var list []Header
	for _, f := range t.Fields {
		name := keyText(f.Key)
		value, isString := f.Value.v.(string)
		if !isString {
			r.fail(f.Value, "the value of the header %s has to be a string", name)
			continue
		}
		switch {
		case !httpToken.MatchString(name):
			r.fail(f.Value, "%q is no name of a header", name)
		case framing[strings.ToLower(name)]:
			r.fail(f.Value, "the header %s is not for you to set", name)
		case strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }):
			r.fail(f.Value, "the value of the header %s has line breaks or control characters; FileLine reads a file without its newline", name)
		default:
			list = append(list, Header{Name: name, Value: value})
		}
	}
	return list, true
}

// token reads a secret that travels in a header (RFC 6750 §2.1). The newline at the end of a file
// does not belong to it.
func token(r *reading, v Value) (string, bool) {
	s, ok := text(r, v)
	if !ok {
		return "", false
	}
	s = strings.Trim(s, " \t\r\n")
	if s == "" {
		r.fail(v, "is empty")
		return "", false
	}
	if strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		r.fail(v, "has characters that cannot stand in a header")
		return "", false
	}
	return s, true
}

// secret reads a key. The newline at the end of a file does not belong to it.
func secret(r *reading, v Value) (string, bool) {
	s, ok := text(r, v)
	if !ok {
		return "", false
	}
	if s = strings.TrimRight(s, "\r\n"); len(s) < 16 {
		r.fail(v, "is too short: a secret has 16 characters or more")
		return "", false
	}
	return s, true
}
