package roster

import (
	"slices"
	"strings"
)

// pack gives the texts of items memory of their own, which holds nothing else: those that were read from a document are
// parts of it, and most of that is no text of theirs. Contacts with the same groups share them.
func pack(items []Item) {
	var p packer
	size := 0
	for k := range items {
		size += len(items[k].JID.String()) + len(items[k].Name) + p.size(items[k].Groups)
	}
	p = packer{}
	p.texts.Grow(size)
	for k := range items {
		i := &items[k]
		i.JID, i.Name, i.Groups = i.JID.Moved(p.text(i.JID.String())), p.text(i.Name), p.groups(i.Groups)
	}
}

// packer goes through items twice: first it measures their texts, then it moves them.
type packer struct {
	texts strings.Builder
	lists [4][]string // groups of contacts that came before
	next  int         // in lists
}

// text is s in memory that all have in common.
func (p *packer) text(s string) string {
	from := p.texts.Len()
	p.texts.WriteString(s)
	return p.texts.String()[from:]
}

func (p *packer) groups(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	if known := p.known(list); known != nil {
		return known
	}
	own := make([]string, len(list))
	for k, g := range list {
		own[k] = p.text(g)
	}
	p.remember(own)
	return own
}

// size is what groups will take.
func (p *packer) size(list []string) (n int) {
	if len(list) == 0 || p.known(list) != nil {
		return 0
	}
	p.remember(list)
	for _, g := range list {
		n += len(g)
	}
	return n
}

func (p *packer) known(list []string) []string {
	for _, known := range p.lists {
		if slices.Equal(known, list) {
			return known
		}
	}
	return nil
}

func (p *packer) remember(list []string) {
	p.lists[p.next] = list
	p.next = (p.next + 1) % len(p.lists)
}
