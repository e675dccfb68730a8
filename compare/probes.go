package compare

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"mellium.im/xmpp/stanza"
)

const (
	nsRoster = "jabber:iq:roster"
	nsMAM    = "urn:xmpp:mam:2"
	nsInfo   = "http://jabber.org/protocol/disco#info"
	nsItems  = "http://jabber.org/protocol/disco#items"
	nsPubsub = "http://jabber.org/protocol/pubsub"
)

// nobody is a user who is not there. A name like that is no one's.
const nobody = "nobody-5e1f0c4a"

// A probe is a question that changes nothing, and what of the answer is compared.
type probe struct {
	name string
	typ  stanza.IQType
	to   string // with HOST and USER
	text string
	read func(node) facts
}

// names and values are what is compared of an answer's payload: the elements, or what is in them, too.
func names(n node) facts { return n.outline("", false) }

func values(n node) facts { return n.outline("", true) }

// probes are asked in this order. What they would change they are sure to be refused, or is over with the session.
var probes = []probe{
	{"disco of the server", stanza.GetIQ, "HOST", query(nsInfo), discoFacts},
	{"items of the server", stanza.GetIQ, "HOST", query(nsItems), itemFacts},
	{"commands of the server", stanza.GetIQ, "HOST", `<query xmlns="` + nsItems + `" node="http://jabber.org/protocol/commands"/>`, itemFacts},
	{"disco of the account", stanza.GetIQ, "USER", query(nsInfo), discoFacts},
	{"nodes of the account", stanza.GetIQ, "USER", query(nsItems), itemFacts},
	{"roster", stanza.GetIQ, "", query(nsRoster), rosterFacts},
	{"roster with a version", stanza.GetIQ, "", `<query xmlns="` + nsRoster + `" ver=""/>`, rosterFacts},
	{"roster set", stanza.SetIQ, "", `<query xmlns="` + nsRoster + `"><item jid="` + nobody + `@HOST" subscription="remove"/></query>`, names},
	{"vCard", stanza.GetIQ, "", `<vCard xmlns="vcard-temp"/>`, values},
	{"vCard of a user who is not there", stanza.GetIQ, nobody + "@HOST", `<vCard xmlns="vcard-temp"/>`, values},
	{"private data: bookmarks", stanza.GetIQ, "", `<query xmlns="jabber:iq:private"><storage xmlns="storage:bookmarks"/></query>`, values},
	{"private data: notes", stanza.GetIQ, "", `<query xmlns="jabber:iq:private"><storage xmlns="storage:rosternotes"/></query>`, values},
	{"bookmarks", stanza.GetIQ, "USER", items("urn:xmpp:bookmarks:1"), publishedFacts},
	{"avatar", stanza.GetIQ, "USER", items("urn:xmpp:avatar:metadata"), publishedFacts},
	{"nickname", stanza.GetIQ, "USER", items("http://jabber.org/protocol/nick"), publishedFacts},
	{"vCard of the new form", stanza.GetIQ, "USER", items("urn:xmpp:vcard4"), publishedFacts},
	{"OMEMO devices", stanza.GetIQ, "USER", items("eu.siacs.conversations.axolotl.devicelist"), publishedFacts},
	{"blocklist", stanza.GetIQ, "", `<blocklist xmlns="urn:xmpp:blocking"/>`, values},
	{"archive preferences", stanza.GetIQ, "", `<prefs xmlns="` + nsMAM + `"/>`, values},
	{"archive form", stanza.GetIQ, "", query(nsMAM), names},
	{"carbons", stanza.SetIQ, "", `<enable xmlns="urn:xmpp:carbons:2"/>`, names},
	{"version", stanza.GetIQ, "HOST", query("jabber:iq:version"), versionFacts},
	{"time", stanza.GetIQ, "HOST", `<time xmlns="urn:xmpp:time"/>`, names},
	{"ping", stanza.GetIQ, "HOST", `<ping xmlns="urn:xmpp:ping"/>`, names},
	{"ping of the account", stanza.GetIQ, "USER", `<ping xmlns="urn:xmpp:ping"/>`, names},
	{"uptime", stanza.GetIQ, "HOST", query("jabber:iq:last"), names},
	{"last activity of the account", stanza.GetIQ, "USER", query("jabber:iq:last"), names},
	{"registration", stanza.GetIQ, "HOST", query("jabber:iq:register"), registerFacts},
	{"privacy lists", stanza.GetIQ, "", query("jabber:iq:privacy"), names},
	{"STUN and TURN", stanza.GetIQ, "HOST", `<services xmlns="urn:xmpp:extdisco:2"/>`, names},
	{"what is not known, of the server", stanza.GetIQ, "HOST", query("urn:x-nobody:knows"), names},
	{"what is not known, of the account", stanza.GetIQ, "USER", query("urn:x-nobody:knows"), names},
	{"a user who is not there", stanza.GetIQ, nobody + "@HOST", query(nsInfo), names},
	{"a client that is not there", stanza.GetIQ, "USER/" + nobody, query("jabber:iq:version"), names},
}

func query(ns string) string { return `<query xmlns="` + ns + `"/>` }

func items(node string) string {
	return `<pubsub xmlns="` + nsPubsub + `"><items node="` + node + `"/></pubsub>`
}

// ask asks everything, one thing after the other.
func (p *peer) ask(ctx context.Context) error {
	fill := strings.NewReplacer("HOST", p.user.Domainpart(), "USER", p.user.String())
	for _, q := range probes {
		answer, err := p.learn(ctx, q.name, q.typ, fill.Replace(q.to), fill.Replace(q.text), q.read)
		if err != nil {
			return err
		}
		if q.name == "version" {
			p.software = software(answer)
		}
	}
	if p.software == "" {
		p.software = p.calledBy("disco of the server")
	}
	p.mu.Lock()
	p.results = nil
	p.mu.Unlock()
	_, err := p.learn(ctx, "archive: the newest messages", stanza.SetIQ, "", newest, p.archive)
	return err
}

const newest = `<query xmlns="` + nsMAM + `"><set xmlns="http://jabber.org/protocol/rsm"><max>20</max><before/></set></query>`

// archive is what the archive has sent, which comes before the answer.
func (p *peer) archive(node) facts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.results)
}

// learn asks one thing. That there is no answer is an answer, too, and after the end of a stream there is another one.
func (p *peer) learn(ctx context.Context, name string, typ stanza.IQType, to, text string, of func(node) facts) (node, error) {
	answer, err := p.iq(ctx, typ, to, text)
	switch {
	case err == nil:
		p.add(name, read(answer, of)...)
	case errors.Is(err, errSilent):
		p.add(name, err.Error())
		err = nil
	case errors.Is(err, errClosed):
		p.add(name, err.Error())
		err = p.again(ctx)
	}
	if err != nil {
		return answer, fmt.Errorf("%s: %w", name, err)
	}
	return answer, nil
}

// read is what is compared of an answer.
func read(answer node, of func(node) facts) facts {
	if failed, ok := answer.failure(); ok {
		return facts{failed}
	}
	out := facts{"result"}
	for _, n := range answer.Nodes {
		out = append(out, of(n)...)
	}
	return out
}

// archived is a message of an archive, without what was said.
func archived(result node) string {
	f := result.child("forwarded")
	if f == nil {
		return "a result without a message"
	}
	stamp, m := "", f.child("message")
	if d := f.child("delay"); d != nil {
		stamp = d.attr("stamp")
		if t, err := time.Parse(time.RFC3339Nano, stamp); err == nil { // some say fractions of seconds, some do not
			stamp = t.UTC().Truncate(time.Second).Format(time.RFC3339)
		}
	}
	if m == nil {
		return stamp + " no message"
	}
	body := 0
	if b := m.child("body"); b != nil {
		body = len(b.Text)
	}
	bare := func(s string) string { s, _, _ = strings.Cut(s, "/"); return s }
	return fmt.Sprintf("%s %s from %s to %s, %d bytes", stamp, m.attr("type"), bare(m.attr("from")), bare(m.attr("to")), body)
}

// rosterFacts are the contacts of a roster or a push, and whether it has a version.
func rosterFacts(q node) (out facts) {
	for _, a := range q.Attrs {
		if a.Name.Local == "ver" {
			out = append(out, "a version")
		}
	}
	for _, i := range q.Nodes {
		if i.XMLName.Local != "item" {
			continue
		}
		var groups []string
		for _, g := range i.Nodes {
			groups = append(groups, fmt.Sprintf("%q", g.Text))
		}
		slices.Sort(groups)
		f := fmt.Sprintf("%s %s", i.attr("jid"), i.attr("subscription"))
		if name := i.attr("name"); name != "" {
			f += fmt.Sprintf(" named %q", name)
		}
		if len(groups) > 0 {
			f += " in " + strings.Join(groups, " ")
		}
		for _, more := range []string{"ask", "approved"} {
			if v := i.attr(more); v != "" {
				f += " " + more + "=" + v
			}
		}
		out = append(out, f)
	}
	return out
}

func discoFacts(q node) (out facts) {
	for _, n := range q.Nodes {
		switch n.XMLName.Local {
		case "identity":
			out = append(out, "identity "+n.attr("category")+"/"+n.attr("type"))
			if name := n.attr("name"); name != "" {
				out = append(out, fmt.Sprintf("identity %s/%s is named %q", n.attr("category"), n.attr("type"), name))
			}
		case "feature":
			out = append(out, n.attr("var"))
		case "x":
			out = append(out, formFacts(n)...)
		}
	}
	return out
}

// formFacts are the fields of a form with their values.
func formFacts(x node) (out facts) {
	for _, f := range x.Nodes {
		if f.XMLName.Local != "field" {
			continue
		}
		text, empty := "form field "+f.attr("var"), true
		for _, v := range f.Nodes {
			if v.XMLName.Local == "value" {
				text, empty = text+" "+short(v.Text), false
			}
		}
		if !empty { // which says as much as that there is none
			out = append(out, text)
		}
	}
	return out
}

func itemFacts(q node) (out facts) {
	for _, n := range q.Nodes {
		text := n.attr("jid")
		if at := n.attr("node"); at != "" {
			text += " node " + at
		}
		out = append(out, text)
	}
	return out
}

// publishedFacts are the items of a node.
func publishedFacts(pubsub node) (out facts) {
	for _, list := range pubsub.Nodes {
		for _, item := range list.Nodes {
			for _, n := range item.Nodes {
				for _, f := range n.outline("", true) {
					out = append(out, "item "+item.attr("id")+": "+f)
				}
			}
		}
	}
	return out
}

// registerFacts are what a form asks for; the text in it is the administrator's.
func registerFacts(q node) (out facts) {
	for _, n := range q.Nodes {
		out = append(out, "asks for "+n.XMLName.Local)
	}
	return out
}

// versionFacts: every server has a name of its own, and nobody expects it to be another's.
func versionFacts(q node) (out facts) {
	for _, n := range q.Nodes {
		if n.XMLName.Local != "os" {
			out = append(out, "says its "+n.XMLName.Local)
		}
	}
	return out
}

func software(answer node) string {
	q := answer.child("query")
	if q == nil {
		return ""
	}
	var words []string
	for _, name := range []string{"name", "version"} {
		if n := q.child(name); n != nil && n.Text != "" {
			words = append(words, strings.Join(strings.Fields(n.Text), " "))
		}
	}
	return strings.Join(words, " ")
}

// calledBy is the name of a server whose version is not told, from what it says of its identity.
func (s *seen) calledBy(probe string) string {
	for _, f := range s.by[probe] {
		name, ok := strings.CutPrefix(f, `identity server/im is named "`)
		if name = strings.TrimSuffix(name, `"`); ok && (name == prosody || name == rosterd) {
			return name
		}
	}
	return ""
}

// refresh tells both servers that the user's roster has changed, after something may have changed it, and compares what
// they answer and what they push.
func refresh(ctx context.Context, peers [2]*peer, o Options) error {
	if peers[0].target.Refresh == "" && peers[1].target.Refresh == "" {
		return nil
	}
	for _, p := range peers {
		// Who has not said that he is there may never be answered for. With that priority no messages come for him.
		if err := p.session.Send(ctx, payload("<presence><priority>-1</priority></presence>")); err != nil {
			return fmt.Errorf("%s: presence: %w", p.target.Address, err)
		}
		if err := p.settle(ctx); err != nil {
			return err
		}
		p.mu.Lock()
		p.pushes = nil
		p.mu.Unlock()
	}
	if o.Change != nil {
		if err := o.Change(ctx); err != nil {
			return fmt.Errorf("change of the roster: %w", err)
		}
	}
	for _, p := range peers {
		if p.target.Refresh == "" {
			continue
		}
		answer, err := p.refresh(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", p.target.Refresh, err)
		}
		p.add(refreshed, answer...)
		if err := p.settle(ctx); err != nil {
			return err
		}
		p.mu.Lock()
		p.add(pushes, p.pushes...)
		p.mu.Unlock()
		if _, err := p.learn(ctx, after, stanza.GetIQ, "", query(nsRoster), rosterFacts); err != nil {
			return fmt.Errorf("%s: %w", p.target.Address, err)
		}
	}
	return nil
}

// settle returns when everything has come that was on its way to us: whoever answers a ping has sent it.
func (p *peer) settle(ctx context.Context) error {
	if _, err := p.iq(ctx, stanza.GetIQ, p.user.Domainpart(), `<ping xmlns="urn:xmpp:ping"/>`); err != nil {
		return fmt.Errorf("%s: ping: no answer: %w", p.target.Address, err)
	}
	return nil
}

// refresh is one POST, as an application sends it.
func (p *peer) refresh(ctx context.Context) (facts, error) {
	ctx, cancel := context.WithTimeout(ctx, 4*p.timeout)
	defer cancel()
	names, err := json.Marshal([]string{p.user.Localpart()})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(p.target.Refresh, "/")+"/roster_admin/refresh", bytes.NewReader(names))
	if err != nil {
		return nil, err
	}
	req.Host = p.user.Domainpart()
	req.Header.Set("Content-Type", "application/json")
	if p.options.Token != "" {
		req.Header.Set("Authorization", "Bearer "+p.options.Token)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: p.options.trust(Target{Address: req.URL.Host}, p.user.Domainpart())}}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return facts{errSilent.Error()}, nil
	}
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	out := facts{fmt.Sprintf("status %d", resp.StatusCode)}
	var answer struct {
		Status, Message string
		Updated, Errors json.Number
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return append(out, "no JSON"), nil
	}
	return append(out, "status: "+answer.Status, "message: "+answer.Message, "updated: "+answer.Updated.String(), "errors: "+answer.Errors.String()), nil
}
