package main

import (
	"fmt"
	"strings"
	"testing"

	"rosterd/engine/enginetest"
	"rosterd/xmppcore/xmpptest"
)

// managing is open with stream management and client states.
func managing(template string, more ...string) string {
	return strings.Replace(open(template, more...), `"ping" }`, `"ping", "smacks", "csi_simple" }`, 1)
}

func (c *client) enabled() xmpptest.Element {
	c.t.Helper()
	c.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	e, err := c.Expect(c.ctx, "enabled", func(e xmpptest.Element) bool { return e.Is("urn:xmpp:sm:3", "enabled") })
	c.must(err)
	return e
}

// next are the ids of the messages that come next, or the names of what else comes.
func (c *client) next(n int) (list []string) {
	c.t.Helper()
	for range n {
		e, err := c.Next(c.ctx)
		c.must(err)
		if e.Name.Local == "message" {
			list = append(list, e.Attr("id"))
		} else {
			list = append(list, e.Name.Local)
		}
	}
	return list
}

// TestStreamManagementOptions: what the options of smacks and csi_simple promise happens.
func TestStreamManagementOptions(t *testing.T) {
	for _, tt := range []optionCase{
		{name: "unset", check: func(t *testing.T, s *program, _ *enginetest.Server) {
			c := s.login(t, "john@example.com/desk")
			if _, ok := c.Features.Find("urn:xmpp:sm:3", "sm"); !ok {
				t.Error("stream management is not offered")
			}
			if _, ok := c.Features.Find("urn:xmpp:csi:0", "csi"); !ok {
				t.Error("client states are not offered")
			}
			equal(t, "waits", c.enabled().Attr("max"), "600")
			c.send("<message id='1' to='%s'/>", c.JID)
			equal(t, "asked at once", strings.Join(c.next(2), " "), "1 r")
		}},
		{name: "smacks_hibernation_time", option: "smacks_hibernation_time = 90", check: func(t *testing.T, s *program, _ *enginetest.Server) {
			equal(t, "waits", s.login(t, "john@example.com/desk").enabled().Attr("max"), "90")
		}},
		{name: "smacks_hibernation_time 0", option: "smacks_hibernation_time = 0", check: func(t *testing.T, s *program, _ *enginetest.Server) {
			e := s.login(t, "john@example.com/desk").enabled()
			equal(t, "waits", e.Attr("max")+e.Attr("id")+e.Attr("resume"), "")
		}},
		{name: "smacks_max_unacked_stanzas", option: "smacks_max_unacked_stanzas = 2", check: func(t *testing.T, s *program, _ *enginetest.Server) {
			c := s.login(t, "john@example.com/desk")
			c.enabled()
			for i := range 3 {
				c.send("<message id='%d' to='%s'/>", i, c.JID)
				equal(t, "comes", strings.Join(c.next(1), ""), fmt.Sprint(i))
			}
			equal(t, "asked behind the third", strings.Join(c.next(1), ""), "r")
		}},
		{name: "smacks_max_inactive_unacked_stanzas", option: "smacks_max_inactive_unacked_stanzas = 2", check: func(t *testing.T, s *program, _ *enginetest.Server) {
			c := s.login(t, "john@example.com/desk")
			c.enabled()
			c.send("<inactive xmlns='urn:xmpp:csi:0'/>")
			for i := range 3 {
				c.send("<message id='%d' to='%s'><body/></message>", i, c.JID)
				equal(t, "comes", strings.Join(c.next(1), ""), fmt.Sprint(i))
			}
			equal(t, "asked behind the third", strings.Join(c.next(1), ""), "r")
		}},
		{name: "smacks_max_hibernated_sessions", option: "smacks_max_hibernated_sessions = 1", check: func(t *testing.T, s *program, _ *enginetest.Server) {
			var ids []string
			for _, resource := range []string{"1", "2"} {
				c := s.login(t, "john@example.com/"+resource)
				ids = append(ids, c.enabled().Attr("id"))
				c.must(c.Disconnect())
				s.logged(t, "connection lost, the session waits", "john@example.com/"+resource)
			}
			s.logged(t, "logged out", "john@example.com/1")
			c := s.authenticated(t, "john")
			c.send("<resume xmlns='urn:xmpp:sm:3' previd='%s' h='0'/>", ids[0])
			equal(t, "the first", strings.Join(c.next(1), ""), "failed")
			c.send("<resume xmlns='urn:xmpp:sm:3' previd='%s' h='0'/>", ids[1])
			equal(t, "the second", strings.Join(c.next(1), ""), "resumed")
		}},
		{name: "smacks_max_old_sessions 0", option: "smacks_max_hibernated_sessions = 1\n  smacks_max_old_sessions = 0", check: func(t *testing.T, s *program, _ *enginetest.Server) {
			forgotten(t, s, "")
		}},
		{name: "smacks_max_old_sessions", option: "smacks_max_hibernated_sessions = 1\n  smacks_max_old_sessions = 1", check: func(t *testing.T, s *program, _ *enginetest.Server) {
			forgotten(t, s, "1")
		}},
		{name: "csi_queue_size", option: "csi_queue_size = 2", check: func(t *testing.T, s *program, _ *enginetest.Server) {
			jane, john := away(t, s)
			jane.send("<message id='1' to='%s' type='headline'/><message id='2' to='%[1]s' type='headline'/>", john.JID)
			equal(t, "comes when there are two", strings.Join(john.next(2), " "), "1 2")
		}},
		{name: "csi_resume_inactive_delay", option: "csi_resume_inactive_delay = 3600", check: func(t *testing.T, s *program, _ *enginetest.Server) {
			jane, john := away(t, s)
			jane.send("<message id='1' to='%s' type='headline'/><message id='2' to='%[1]s'><body/></message>", john.JID)
			equal(t, "comes with the other", strings.Join(john.next(2), " "), "1 2")
			jane.send("<message id='3' to='%s' type='headline'/>", john.JID)
			equal(t, "does not wait", strings.Join(john.next(1), ""), "3")
		}},
		{name: "csi_important_payloads", option: `csi_important_payloads = { "{urn:x}y" }`, check: func(t *testing.T, s *program, _ *enginetest.Server) {
			jane, john := away(t, s)
			jane.send("<message id='1' to='%s'><y xmlns='urn:y'/></message><message id='2' to='%[1]s'><y xmlns='urn:x'/></message>", john.JID)
			equal(t, "comes with the other", strings.Join(john.next(2), " "), "1 2")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			backend := enginetest.Serve(t, nil)
			tt.check(t, newPlace(t, managing(backend.Template(), tt.option)).serve(t), backend)
		})
	}
}

// forgotten: of a session that gave way the client learns how much was handled, or not.
func forgotten(t *testing.T, s *program, handled string) {
	t.Helper()
	var first string
	for _, resource := range []string{"1", "2"} {
		c := s.login(t, "john@example.com/"+resource)
		if id := c.enabled().Attr("id"); first == "" {
			first = id
		}
		c.alive()
		c.must(c.Disconnect())
		s.logged(t, "connection lost, the session waits", "john@example.com/"+resource)
	}
	s.logged(t, "logged out", "john@example.com/1")
	c := s.authenticated(t, "john")
	c.send("<resume xmlns='urn:xmpp:sm:3' previd='%s' h='0'/>", first)
	e, err := c.Next(c.ctx)
	c.must(err)
	equal(t, "handled of the first", e.Name.Local+e.Attr("h"), "failed"+handled)
}

// away are two clients; at one nobody looks.
func away(t *testing.T, s *program) (jane, john *client) {
	t.Helper()
	jane, john = s.login(t, "jane@example.com/desk"), s.login(t, "john@example.com/phone")
	john.send("<inactive xmlns='urn:xmpp:csi:0'/>")
	john.send("<message id='0' to='%s'/>", jane.JID)
	equal(t, "handled", strings.Join(jane.next(1), ""), "0")
	return jane, john
}

// logged waits until something is said of a user.
func (s *program) logged(t *testing.T, message, user string) {
	t.Helper()
	_, err := s.log.wait(testContext(t), func(line string) bool {
		return strings.Contains(line, message) && strings.Contains(line, "user="+user+" ")
	})
	if err != nil {
		t.Fatalf("%s of %s: %v", message, user, err)
	}
}
