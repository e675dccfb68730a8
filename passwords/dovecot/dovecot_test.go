package dovecot_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"rosterd/engine/addr"
	"rosterd/passwords"
	"rosterd/passwords/dovecot"
)

func bare(t testing.TB, s string) addr.Bare {
	t.Helper()
	u, err := addr.ParseBare(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

const greeting = "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t7\nCUID\t1\nCOOKIE\tff\nDONE\n"

// peer is what speaks in Dovecot's place: a greeting, and for each request a line in which ID stands for its number.
func peer(t *testing.T, greeting string, reply func(n int, request string) string) (source *dovecot.Source, connections func() int) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	count := make(chan int, 1)
	count <- 0
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			count <- <-count + 1
			go converse(c, greeting, reply)
		}
	}()
	source = &dovecot.Source{Network: "tcp", Address: ln.Addr().String()}
	t.Cleanup(func() { source.Close(); ln.Close(); <-done })
	return source, func() int { n := <-count; count <- n; return n }
}

func converse(c net.Conn, greeting string, reply func(n int, request string) string) {
	defer c.Close()
	if _, err := io.WriteString(c, greeting); err != nil {
		return
	}
	in := bufio.NewScanner(c)
	for n := 0; in.Scan(); {
		f := strings.Split(in.Text(), "\t")
		if f[0] != "AUTH" {
			continue
		}
		n++
		text := reply(n, in.Text())
		if text == "" {
			return
		}
		if _, err := io.WriteString(c, strings.ReplaceAll(text, "ID", f[1])); err != nil {
			return
		}
	}
}

// TestReplies: only what says OK of the user lets him in.
func TestReplies(t *testing.T) {
	for _, tt := range []struct{ name, greeting, reply, want string }{
		{"yes", greeting, "OK\tID\tuser=juliet\n", ""},
		{"yes, with a domain of ours", greeting, "OK\tID\tuser=juliet@example.com\n", ""},
		{"yes, and more", greeting, "OK\tID\tuser=juliet\toriginal_user=j\tflag\n", ""},
		{"after something else", greeting, "MECH\tX\nFAIL\t9\tuser=juliet\nOK\tID\tuser=juliet\n", ""},
		{"of somebody else", greeting, "OK\tID\tuser=romeo\n", "refused"},
		{"of somebody else first", greeting, "OK\tID\tuser=romeo\tuser=juliet\n", "refused"},
		{"of another domain", greeting, "OK\tID\tuser=juliet@example.org\n", "refused"},
		{"of nobody", greeting, "OK\tID\n", "unknown"},
		{"no", greeting, "FAIL\tID\tuser=juliet\n", "refused"},
		{"disabled", greeting, "FAIL\tID\tuser=juliet\tuser_disabled\treason=gone\n", "refused"},
		{"a moment", greeting, "FAIL\tID\tuser=juliet\ttemp\n", "unknown"},
		{"a moment, newer", greeting, "FAIL\tID\tuser=juliet\tcode=temp_fail\n", "unknown"},
		{"a challenge", greeting, "CONT\tID\tYQ==\n", "unknown"},
		{"the end", greeting, "", "unknown"},
		{"half a line", greeting, "OK\tID", "unknown"},
		{"no end of the line", greeting, strings.Repeat("x", 100_000), "unknown"},
		{"another protocol", "220 mail.example ESMTP\n" + greeting, "OK\tID\tuser=juliet\n", ""}, // lines that are not known are passed over
		{"another version", strings.Replace(greeting, "\t1\t2", "\t2\t0", 1), "OK\tID\tuser=juliet\n", "unknown"},
		{"no version", strings.Replace(greeting, "VERSION\t1\t2\n", "", 1), "OK\tID\tuser=juliet\n", "unknown"},
		{"no PLAIN", strings.Replace(greeting, "PLAIN", "LOGIN", 1), "OK\tID\tuser=juliet\n", "unknown"},
		{"no end of the greeting", strings.Repeat("MECH\tX\n", 2000), "OK\tID\tuser=juliet\n", "unknown"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			source, _ := peer(t, tt.greeting, func(int, string) string {
				if tt.reply == "OK\tID" {
					return tt.reply + "\x00" // and nothing more
				}
				return tt.reply
			})
			ctx := t.Context()
			if tt.name == "half a line" {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 50*time.Millisecond)
				defer cancel()
			}
			err := source.CheckPassword(ctx, bare(t, "juliet@example.com"), "r0m30")
			switch refused := errors.Is(err, passwords.ErrRefused); {
			case tt.want == "" && err != nil, tt.want == "refused" && !refused, tt.want == "unknown" && (err == nil || refused):
				t.Errorf("%v, want %q", err, tt.want)
			case err != nil && strings.Contains(err.Error(), "r0m30"):
				t.Errorf("the error shows the password: %v", err)
			}
		})
	}
}

// TestRequest is what Dovecot is sent.
func TestRequest(t *testing.T) {
	said := make(chan string, 10)
	source, connections := peer(t, greeting, func(n int, request string) string {
		said <- request
		if n == 2 {
			return "" // the connection ends
		}
		return "OK\tID\tuser=juliet\n"
	})
	source.Service = "im\tx"
	for range 3 {
		if err := source.CheckPassword(t.Context(), bare(t, "juliet@example.com"), "r0m30"); err != nil {
			t.Fatal(err)
		}
	}
	want := "\tPLAIN\tservice=im\x01tx\tno-penalty\tnologin\tresp=" + base64.StdEncoding.EncodeToString([]byte("\x00juliet\x00r0m30"))
	for _, id := range []string{"1", "2", "1", "2", "1"} { // twice a connection that was kept has ended: asked again on another one
		if got := <-said; got != "AUTH\t"+id+want {
			t.Errorf("asked was %q, want %q", got, "AUTH\t"+id+want)
		}
	}
	if n := connections(); n != 3 {
		t.Errorf("%d connections", n)
	}
	for _, password := range []string{"a\x00juliet", strings.Repeat("x", 10_000)} {
		if err := source.CheckPassword(t.Context(), bare(t, "juliet@example.com"), password); !errors.Is(err, passwords.ErrRefused) {
			t.Errorf("%.10q: %v", password, err)
		}
	}
}

// TestSlow: who does not wait any more does not hold up the next one.
func TestSlow(t *testing.T) {
	asked := make(chan struct{})
	hold := make(chan struct{})
	source, _ := peer(t, greeting, func(n int, request string) string {
		asked <- struct{}{}
		<-hold
		return "OK\tID\tuser=juliet\n"
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if err := source.CheckPassword(ctx, bare(t, "juliet@example.com"), "r0m30"); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	close(hold)
	go func() { <-asked }()
	if err := source.CheckPassword(t.Context(), bare(t, "juliet@example.com"), "r0m30"); err != nil {
		t.Errorf("the next one: %v", err)
	}
}

// FuzzReply: whatever Dovecot says, juliet gets in only if she is named.
func FuzzReply(f *testing.F) {
	f.Add("OK\t1\tuser=juliet\n")
	f.Add("FAIL\t1\tuser=juliet\ttemp\treason=a\x01tb\n")
	f.Add("OK\t2\tuser=juliet\nCONT\t1\t\n")
	f.Fuzz(func(t *testing.T, text string) {
		err := dovecot.Judge(text, bare(t, "juliet@example.com"))
		if err == nil && !strings.Contains(strings.ToLower(text), "juliet") && !strings.Contains(text, "\x01") {
			if local, e := addr.PrepareLocal(strings.TrimPrefix(text, "OK\t1\tuser=")); e != nil || local != "juliet" {
				t.Errorf("let in by %q", text)
			}
		}
	})
}
