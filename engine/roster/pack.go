package roster

import "slices"

// pack gives the texts of items memory of their own, which holds nothing else: those that were read from a document are
// parts of it, and most of that is no text of theirs. Contacts with the same groups share them.
func pack(items []Item) {
	var p packer
	p.pass(items)
	if len(p.texts) == 0 {
		return
	}
	p = packer{all: string(p.texts), moves: true}
	p.pass(items)
}

// packer goes through items twice: first it collects their texts, then it moves them.
type packer struct {
	texts []byte
	all   string
	at    int // in all
	moves bool
	lists [4][]string // groups of contacts that came before
	next  int         // in lists
}

func (p *packer) pass(items []Item) {
	for k := range items {
		i := &items[k]
		jid, name, groups := p.text(i.JID.String()), p.text(i.Name), p.groups(i.Groups)
		if p.moves {
			i.JID, i.Name, i.Groups = i.JID.Moved(jid), name, groups
		}
	}
}

func (p *packer) text(s string) string {
	if !p.moves {
		p.texts = append(p.texts, s...)
		return s
	}
	from := p.at
	p.at += len(s)
	return p.all[from:p.at]
}

func (p *packer) groups(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	for _, known := range p.lists {
		if slices.Equal(known, list) {
			return known
		}
	}
	own := make([]string, len(list))
	for k, g := range list {
		own[k] = p.text(g)
	}
	p.lists[p.next] = own
	p.next = (p.next + 1) % len(p.lists)
	return own
}
