//go:build clients

// Package clients plays one story with XMPP clients of other people: in a terminal, in libraries, and in a browser.
// A user logs in, sees who is there, talks, and watches the backend change the contacts.
//
// The clients are Debian's and npm's packages, so the tests stand behind a build tag: make test-clients installs what
// they need. What is missing fails; nothing is skipped.
package clients

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"rosterd/cmd/server/converse"
)

// atMost bounds every wait. None that succeeds depends on it.
const atMost = 90 * time.Second

// rosterd is the program that is tested, built with the race detector.
var rosterd string

// dist is the folder that Converse.js is in.
var dist string

// programs are the clients and what drives them.
var programs = []string{"chromium", "go-sendxmpp", "mu-conference", "node", "npm", "profanity", python, "tmux"}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "rosterd-clients-")
	if err == nil {
		err = prepare(dir)
	}
	status := 1
	if err == nil {
		status = m.Run()
	} else {
		fmt.Fprintln(os.Stderr, err)
	}
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

func prepare(dir string) error {
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			return fmt.Errorf("%w: make test-clients installs it", err)
		}
	}
	if _, err := os.Stat("node_modules"); err != nil {
		return fmt.Errorf("npm's packages: %w: make test-clients installs them", err)
	}
	if err := os.MkdirAll(pictures, 0o755); err != nil {
		return err
	}
	var err error
	if dist, err = converse.Fetch(context.Background(), cache, func() { fmt.Println("npm fetches", converse.Name) }); err != nil {
		return err
	}
	// A race makes the program exit with 66. By default every program waits a second for one at its end.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=50"); err != nil {
		return err
	}
	rosterd = filepath.Join(dir, "rosterd")
	out, err := exec.Command("go", "build", "-race", "-o", rosterd, "../cmd/server").CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// cache is where the clients' screens are kept for people to look at, and what was fetched. It is not in the repository.
const (
	cache    = "../.cache"
	pictures = cache + "/clients"
)
