package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

func scenarios() []scenario {
	return []scenario{
		{name: "message, batched", unit: "µs", mark: "≤ 1.5 × prototype", gomaxprocs: 1, shared: true,
			run: func(s *server) (int, error) { return route(s, scaled(20_000), 20) }},
		{name: "message, one in flight", unit: "µs", gomaxprocs: 1, shared: true,
			run: func(s *server) (int, error) { return route(s, scaled(1500), 1) }},
		{name: "message, batched, carbons", unit: "µs", gomaxprocs: 1, modules: []string{"carbons"},
			run: func(s *server) (int, error) { return route(s, scaled(20_000), 20, enableCarbons) }},
		{name: "message, batched, stream management", unit: "µs", gomaxprocs: 1, modules: []string{"smacks"},
			run: func(s *server) (int, error) { return route(s, scaled(20_000), 20, enableManagement) }},
		{name: "message, batched, archive", unit: "µs", gomaxprocs: 1, modules: []string{"mam"},
			run: func(s *server) (int, error) { return route(s, scaled(2000), 20) }},
		{name: "presence, fan-out 50, a delivery", unit: "µs", mark: "≤ 1.5 × prototype", gomaxprocs: 1, shared: true,
			run: func(s *server) (int, error) { return fanout(s, scaled(8000)) }},
		{name: "idle TCP session", unit: "KiB", mark: "≤ 6 KiB", gomaxprocs: 2, shared: true, memory: true,
			run: func(s *server) (int, error) { return idle(s, false) }},
		{name: "idle TCP session, roster and presence", unit: "KiB", gomaxprocs: 2, memory: true,
			run: func(s *server) (int, error) { return idle(s, true) }},
		{name: "idle TCP session, stream management and archive", unit: "KiB", gomaxprocs: 2, memory: true, modules: []string{"smacks", "mam"},
			run: func(s *server) (int, error) { return idle(s, false, enableManagement) }},
		{name: "login, 10 contacts", unit: "µs", gomaxprocs: 1, run: func(s *server) (int, error) { return logins(s, 10, scaled(1000)) }},
		{name: "login, 100 contacts", unit: "µs", gomaxprocs: 1, run: func(s *server) (int, error) { return logins(s, 100, scaled(1000)) }},
		{name: "login, 1000 contacts", unit: "µs", gomaxprocs: 1, run: func(s *server) (int, error) { return logins(s, 1000, scaled(200)) }},
		{name: "refresh, a user with 100 contacts, 1 change", unit: "µs", gomaxprocs: 1,
			run: func(s *server) (int, error) { return refresh(s, 100, scaled(10)) }},
	}
}

const body = "<body>A message as people write them, of sixty bytes or so.</body><active xmlns='http://jabber.org/protocol/chatstates'/>"

// What clients do after they have logged in.
func enableCarbons(c *client) error {
	return c.ask("<iq type='set' id='c1'><enable xmlns='urn:xmpp:carbons:2'/></iq>", "id='c1'")
}

// enableManagement has the client acknowledge what it takes.
func enableManagement(c *client) error {
	c.acks = true
	return c.ask("<enable xmlns='"+nsManagement+"' resume='true'/>", "<enabled")
}

const nsManagement = "urn:xmpp:sm:3"

// prepared logs users in and has each do what a scenario needs.
func prepared(s *server, users []string, setup []func(*client) error) ([]*client, error) {
	list, err := loginAll(s, users)
	for _, c := range list {
		for _, f := range setup {
			err = errors.Join(err, f(c))
		}
	}
	return list, err
}

// route sends n messages through each of 20 pairs, at most window of them on their way at a time.
func route(s *server, n, window int, setup ...func(*client) error) (int, error) {
	senders, err := prepared(s, names("s", 20), setup)
	defer func() { closeAll(senders) }()
	if err != nil {
		return 0, err
	}
	receivers, err := prepared(s, names("r", 20), setup)
	defer func() { closeAll(receivers) }()
	if err != nil {
		return 0, err
	}
	err = s.during(func() error {
		return each(len(senders), func(i int) error { return pump(senders[i], receivers[i], n, window) })
	})
	return n * len(senders), err
}

// pump keeps a window of messages under way.
func pump(from, to *client, n, window int) error {
	message := "<message to='" + to.user + "@" + domain + "/x' type='chat' id='m1'>" + body + "</message>"
	step := max(1, window/2)
	batch := []byte(strings.Repeat(message, step))
	free := make(chan struct{}, window/step)
	for range cap(free) {
		free <- struct{}{}
	}
	failed := make(chan error, 1)
	go func() {
		defer close(free)
		for range n / step {
			if err := errors.Join(to.await("</message>", step), to.acknowledge(step)); err != nil {
				failed <- err
				return
			}
			free <- struct{}{}
		}
		failed <- nil
	}()
	for range n / step {
		if _, ok := <-free; !ok {
			break
		}
		if _, err := from.Write(batch); err != nil {
			return err
		}
	}
	return <-failed
}

// each runs f for 0 … n-1 at once and joins the errors.
func each(n int, f func(i int) error) error {
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// fanout has one of 51 users send presence to the 50 others.
func fanout(s *server, n int) (int, error) {
	all := names("f", 51)
	if s.backend != nil {
		for _, u := range all {
			s.backend.set(u, contactsOf(u, all))
		}
	}
	list, err := loginAll(s, all)
	defer func() { closeAll(list) }()
	if err != nil {
		return 0, err
	}
	if s.backend != nil {
		for _, c := range list {
			if err := c.ask("<iq type='get' id='r1'><query xmlns='jabber:iq:roster'/></iq>", "</iq>"); err != nil {
				return 0, err
			}
		}
		// Everybody sees everybody, and has taken it in, before anything is measured.
		for _, c := range list {
			if _, err := c.Write([]byte("<presence><status>hello</status></presence>")); err != nil {
				return 0, err
			}
		}
		for _, c := range list {
			if err := c.ask("<iq type='get' id='p1' to='"+domain+"'><ping xmlns='urn:xmpp:ping'/></iq>", "id='p1'"); err != nil {
				return 0, err
			}
		}
	}
	const mark = "marked"
	presence := []byte("<presence><show>away</show><status>" + mark + "</status><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='http://example.org' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/></presence>")
	const window = 10
	err = s.during(func() error {
		for range n / window {
			if _, err := list[0].Write(bytes.Repeat(presence, window)); err != nil {
				return err
			}
			if err := each(50, func(i int) error { return list[i+1].await(mark, window) }); err != nil {
				return err
			}
		}
		return nil
	})
	return n / window * window * 50, err
}

func contactsOf(u string, all []string) []byte {
	doc := map[string]any{}
	for _, o := range all {
		if o != u {
			doc[o+"@"+domain] = map[string]any{"name": o, "groups": []string{"Friends"}}
		}
	}
	return encode(doc)
}

// strangers are n contacts who are never online.
func strangers(n int, renamed string) []byte {
	doc := map[string]any{}
	for i := range n {
		doc[fmt.Sprintf("contact%d@%s", i, domain)] = map[string]any{"name": fmt.Sprintf("Contact Number %d", i), "groups": []string{"Friends"}}
	}
	if renamed != "" {
		doc["contact0@"+domain] = map[string]any{"name": renamed}
	}
	return encode(doc)
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

const idleSessions = 3000

// idle binds many resources and looks at the memory before and after.
func idle(s *server, active bool, setup ...func(*client) error) (int, error) {
	const n = idleSessions
	warm, err := loginAll(s, names("s", 20))
	defer func() { closeAll(warm) }()
	if err != nil {
		return 0, err
	}
	before, err := s.settled()
	if err != nil {
		return 0, err
	}
	list, err := prepared(s, names("idle", n), setup)
	defer func() { closeAll(list) }()
	for i := 0; active && err == nil && i < len(list); i++ {
		err = list[i].ask("<iq type='get' id='r1'><query xmlns='jabber:iq:roster'/></iq><presence/>", "<presence")
	}
	if err != nil {
		return 0, err
	}
	after, err := s.settled()
	s.measured = after - before
	return n, err
}

// settled is the memory once it has stopped changing.
func (s *server) settled() (float64, error) {
	last, err := s.rss()
	if err != nil {
		return 0, err
	}
	for still := 0; still < 3; {
		time.Sleep(2 * time.Second)
		now, err := s.rss()
		if err != nil {
			return 0, err
		}
		if still++; now != last {
			last, still = now, 0
		}
	}
	return last, nil
}

// logins has n users log in, ask for their roster, send presence and leave.
func logins(s *server, contacts, n int) (int, error) {
	doc := strangers(contacts, "")
	for _, u := range names("idle", n) {
		s.backend.set(u, doc)
	}
	err := s.during(func() error {
		const lanes = 4
		return each(lanes, func(lane int) error {
			for i := lane; i < n; i += lanes {
				c, err := login(s, fmt.Sprintf("idle%d", i))
				if err != nil {
					return err
				}
				err = c.ask("<iq type='get' id='r1'><query xmlns='jabber:iq:roster'/></iq><presence/>", "</query></iq>")
				c.Write([]byte("</stream:stream>"))
				c.await("</stream:stream>", 1)
				c.Close()
				if err != nil {
					return err
				}
			}
			return nil
		})
	})
	return n, err
}

// refresh renames a contact of 50 users who are online, n times.
func refresh(s *server, contacts, n int) (int, error) {
	list, err := loginAll(s, names("f", 50))
	defer func() { closeAll(list) }()
	if err != nil {
		return 0, err
	}
	for _, c := range list {
		s.backend.set(c.user, strangers(contacts, ""))
		if err := c.ask("<iq type='get' id='r1'><query xmlns='jabber:iq:roster'/></iq><presence/>", "</iq>"); err != nil {
			return 0, err
		}
	}
	if err := post(s, list); err != nil { // the rosters that the logins found may have been empty
		return 0, err
	}
	err = s.during(func() error {
		for round := range n {
			for _, c := range list {
				s.backend.set(c.user, strangers(contacts, fmt.Sprintf("renamed%d", round)))
			}
			if err := post(s, list); err != nil {
				return err
			}
			if err := each(len(list), func(i int) error { return list[i].await(fmt.Sprintf("renamed%d'", round), 1) }); err != nil {
				return err
			}
		}
		return nil
	})
	return n * len(list), err
}

func post(s *server, list []*client) error {
	var who []string
	for _, c := range list {
		who = append(who, c.user)
	}
	res, err := http.Post("http://"+s.http+"/roster_admin/refresh", "application/json", bytes.NewReader(encode(who)))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || !bytes.Contains(b, []byte(`"errors":0`)) {
		return fmt.Errorf("refresh: %s %s %v", res.Status, b, err)
	}
	return nil
}
