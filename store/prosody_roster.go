package store

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"rosterd/engine/addr"
	"rosterd/engine/roster"
	"rosterd/store/dat"
)

// ProsodyContact is one contact of a roster in Prosody's data folder.
type ProsodyContact struct {
	JID    addr.Bare
	Item   *roster.Item // nil: he is not in the roster
	Asks   bool         // and waits for an answer
	Stanza []byte       // of Asks: his request
}

// maxRosterFile bounds what is read of a roster.
const maxRosterFile = 64 << 20

// maxRequest bounds a request that is taken over as it is; of a longer one its addresses are.
const maxRequest = 8 << 10

// ProsodyRoster reads a user's roster as Prosody's "internal" storage keeps it in a data_path, with the requests that
// wait for an answer. Who has none there has none. What is no contact is left out and named. The error names the file.
func ProsodyRoster(dataPath string, user addr.Bare) (contacts []ProsodyContact, bad []roster.BadItem, err error) {
	path := filepath.Join(folder(dataPath).hostDir(user.Domain()), "roster", EscapeName(user.Local())+".dat")
	src, err := readUpTo(path, maxRosterFile)
	if isAbsent(err) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("roster of %s: %w", user, err)
	}
	v, err := dat.Parse(src)
	if err != nil {
		return nil, nil, fmt.Errorf("roster of %s: %s: %w", user, path, err)
	}
	t, ok := v.(*dat.Table)
	if !ok {
		return nil, nil, fmt.Errorf("roster of %s: %s: not a table", user, path)
	}
	contacts, bad, err = ProsodyContacts(user, t)
	if err != nil {
		return nil, nil, fmt.Errorf("roster of %s: %s: %w", user, path, err)
	}
	return contacts, bad, nil
}

// ProsodyContacts reads the value of a user in Prosody's store "roster".
func ProsodyContacts(user addr.Bare, t *dat.Table) (contacts []ProsodyContact, bad []roster.BadItem, err error) {
	r := prosodyRoster{user: user, items: roster.NewBuilder(user, roster.Limits{})}
	r.read(t)
	list, bad, err := r.items.Roster()
	if err != nil {
		return nil, nil, err
	}
	return r.contacts(list), bad, nil
}

func readUpTo(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > most {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, most)
	}
	return os.ReadFile(path)
}

// prosodyRoster is one that is being read.
type prosodyRoster struct {
	user  addr.Bare
	items *roster.Builder
	asked []ProsodyContact
}

// read goes through the entries: contacts under their JIDs, under false what is kept beside them, and in files of old
// the requests under "pending".
func (r *prosodyRoster) read(t *dat.Table) {
	for _, f := range t.Fields {
		jid, _ := f.Key.(string)
		entry, ok := f.Value.(*dat.Table)
		switch {
		case f.Key == false && ok:
			if pending, ok := entry.Get("pending").(*dat.Table); ok {
				r.requests(pending)
			}
		case jid == "pending" && ok:
			r.requests(entry)
		case jid == "":
		case !ok:
			r.items.Bad(jid, "not a contact")
		case entry.Get("persist") == false: // of a shared group (mod_groups)
		default:
			r.contact(jid, entry)
		}
	}
}

func (r *prosodyRoster) contact(jid string, t *dat.Table) {
	if jid == r.user.String() {
		return // Prosody removes it when it loads the roster
	}
	var i roster.Item
	i.Name, _ = t.Get("name").(string)
	word, _ := t.Get("subscription").(string)
	var err error
	if i.Subscription, err = roster.ParseSubscription(word); err != nil {
		r.items.Bad(jid, err.Error())
		return
	}
	i.Ask = t.Get("ask") == "subscribe" && !i.Subscription.To()
	i.Approved = t.Get("approved") == "true"
	if groups, ok := t.Get("groups").(*dat.Table); ok {
		for _, g := range groups.Fields {
			if name, ok := g.Key.(string); ok && g.Value == true {
				i.Groups = append(i.Groups, name)
			}
		}
	}
	r.items.Add(jid, i)
}

func (r *prosodyRoster) requests(t *dat.Table) {
	for _, f := range t.Fields {
		jid, _ := f.Key.(string)
		from, err := addr.ParseBare(jid)
		if err != nil || from == r.user {
			r.items.Bad(jid, "not a valid JID of who asks")
			continue
		}
		stanza, _ := f.Value.(*dat.Table)
		r.asked = append(r.asked, ProsodyContact{JID: from, Asks: true, Stanza: request(from, r.user, stanza)})
	}
}

// contacts joins items and requests. Who is seen already asks for nothing.
func (r *prosodyRoster) contacts(list roster.Roster) (all []ProsodyContact) {
	slices.SortFunc(r.asked, func(a, b ProsodyContact) int { return a.JID.Compare(b.JID) }) // Lua keeps no order
	for i := range list.All() {
		all = append(all, ProsodyContact{JID: i.JID, Item: &i})
	}
	for _, a := range r.asked {
		k := slices.IndexFunc(all, func(c ProsodyContact) bool { return c.JID == a.JID })
		switch {
		case k < 0:
			all = append(all, a)
		case all[k].Item == nil || !all[k].Item.Subscription.From():
			all[k].Asks, all[k].Stanza = true, a.Stanza
		}
	}
	return all
}

// request is the stanza by which somebody asks. What he has said in it is kept (RFC 6121 §3.1.3), as far as Prosody has
// kept it: stanza may be nil.
func request(from, to addr.Bare, stanza *dat.Table) []byte {
	head := fmt.Appendf(nil, "<presence from='%s' to='%s' type='subscribe'", escapeXML(from.String()), escapeXML(to.String()))
	var children []byte
	if stanza != nil {
		children = appendChildren(nil, stanza, 0)
	}
	if len(children) == 0 || len(children) > maxRequest-len(head)-len("></presence>") {
		return append(head, "/>"...)
	}
	return slices.Concat(head, []byte(">"), children, []byte("</presence>"))
}

// appendChildren writes the elements and, below the first level, the texts in a stanza as Prosody keeps it.
func appendChildren(b []byte, t *dat.Table, depth int) []byte {
	for _, f := range t.Fields {
		if _, ok := f.Key.(int64); !ok || len(b) > maxRequest {
			continue
		}
		switch v := f.Value.(type) {
		case string:
			if depth > 0 {
				b = append(b, escapeXML(v)...)
			}
		case *dat.Table:
			if name, ok := v.Get("name").(string); ok && xmlName(name) {
				b = append(append(b, '<'), name...)
				b = appendAttributes(b, v)
				b = appendChildren(append(b, '>'), v, depth+1)
				b = append(append(append(b, "</"...), name...), '>')
			}
		}
	}
	return b
}

// appendAttributes leaves out those of other namespaces, whose prefixes Prosody has not kept.
func appendAttributes(b []byte, element *dat.Table) []byte {
	t, _ := element.Get("attr").(*dat.Table)
	if t == nil {
		return b
	}
	for _, f := range t.Fields {
		name, _ := f.Key.(string)
		value, ok := f.Value.(string)
		if ok && (xmlName(name) || name == "xml:lang") {
			b = fmt.Appendf(b, " %s='%s'", name, escapeXML(value))
		}
	}
	return b
}

// xmlName tells whether a name can stand for itself: of ASCII letters, digits and a few signs.
func xmlName(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case c|0x20 >= 'a' && c|0x20 <= 'z', c == '_':
		case i > 0 && (c >= '0' && c <= '9' || c == '-' || c == '.'):
		default:
			return false
		}
	}
	return name != ""
}

// escapeXML is a text as it may stand in XML; characters that may not are U+FFFD.
func escapeXML(s string) string {
	var b bytes.Buffer
	for _, r := range s {
		switch {
		case r < 0x20 && r != '\t' && r != '\n' && r != '\r', r == 0xFFFE, r == 0xFFFF:
			b.WriteRune(utf8.RuneError)
		default:
			b.WriteRune(r)
		}
	}
	return xmlEscapes.Replace(b.String())
}

var xmlEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&apos;", `"`, "&quot;", "\t", "&#9;", "\n", "&#10;", "\r", "&#13;")
