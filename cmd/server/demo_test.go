package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// TestDemoLines: the browser sees what the terminal does, from the last lines on.
func TestDemoLines(t *testing.T) {
	view := newDemoView(io.Discard)
	for i := range demoLines + 50 {
		view.say("backend", "%d", i)
	}
	server := httptest.NewServer(http.HandlerFunc((&sampleBackend{view: view}).events))
	defer server.Close()
	req, err := http.NewRequestWithContext(testContext(t), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	equal(t, "type", res.Header.Get("Content-Type"), "text/event-stream")
	lines := bufio.NewScanner(res.Body)
	next := func() (text string) {
		for lines.Scan() && lines.Text() != "" {
			data, ok := strings.CutPrefix(lines.Text(), "data: ")
			if !ok {
				t.Errorf("a line of an event is %q", lines.Text())
			}
			text += data + "|"
		}
		return strings.TrimSuffix(text, "|")
	}
	for i := range demoLines {
		if got := next(); !strings.HasSuffix(got, fmt.Sprintf("  backend   %d", i+50)) {
			t.Fatalf("line %d is %q", i, got)
		}
	}
	view.say("push", "one\nmore")
	if got := next(); !strings.HasSuffix(got, "  push      one|more") {
		t.Errorf("then came %q", got)
	}
}

// TestDemoView: the log of the demo shows refreshes, and not what browsers load.
func TestDemoView(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(newDemoView(&out))
	log.Info("HTTP request", "path", "/files/dist/converse.min.js", "route", "files")
	log.Info("HTTP request", "path", "/favicon.ico")
	log.Info("HTTP request", "path", "/roster_admin/refresh", "route", "roster_admin")
	log.Info("logged in", "user", "alice@localhost", "route", "files")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, "/roster_admin/refresh") }) {
		t.Errorf("shown: %q", lines)
	}
}

// wantPage gets a page.
func wantPage(t *testing.T, address string) string {
	t.Helper()
	res, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", address, res.Status, err)
	}
	return string(text)
}
