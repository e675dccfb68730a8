package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// isolatedFile is a configuration in a folder of its own. The program that checks it is this test.
func isolatedFile(t *testing.T, src string) string {
	t.Helper()
	t.Setenv("ROSTERD_TEST_PROGRAM", "1")
	path := filepath.Join(t.TempDir(), "prosody.cfg.lua")
	if err := os.WriteFile(path, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A process of its own says what this one would say, word for word and with the same status.
func TestCheckIsolated(t *testing.T) {
	for option, src := range map[string]string{
		"--json":   "modules_enabled = { 'roster'; 'saslauth'; 'muc' }\nauthentication = 'internal_plain'\nVirtualHost 'h.example'\n",
		"":         "a = {\n'x'\nVirtualHost 'y'",
		"--strict": "print('\\27[2J')\nVirtualHost 'h.example'",
	} {
		t.Run("check "+option, func(t *testing.T) {
			path := isolatedFile(t, src)
			args := append([]string{"check", "--config", path}, strings.Fields(option)...)
			var plain, apart [2]bytes.Buffer
			want := run(t.Context(), args, console{out: &plain[0], err: &plain[1]})
			got := run(t.Context(), append(args, "--isolate=true"), console{out: &apart[0], err: &apart[1]})
			if got != want || apart[0].String() != plain[0].String() || apart[1].String() != plain[1].String() {
				t.Errorf("status %d, want %d\n%s%s\nwant\n%s%s", got, want, &apart[0], &apart[1], &plain[0], &plain[1])
			}
		})
	}
}

// What takes too much ends, and is refused.
func TestCheckIsolatedLimits(t *testing.T) {
	path := isolatedFile(t, "VirtualHost 'h.example'\na = {"+strings.Repeat("{},", 300_000)+"}") // a syntax tree of more than the heap begins with
	for name, c := range map[string]struct {
		limits isolation
		want   string
	}{
		"memory": {isolation{memory: 0, cpu: 20, time: time.Minute}, "it took more than 0 MiB of memory or 20 s of processor time"},
		"time":   {isolation{memory: 512 << 20, cpu: 20, time: time.Nanosecond}, "it took longer than 1ns"},
	} {
		t.Run(name, func(t *testing.T) {
			was := checkIsolation
			checkIsolation = c.limits
			defer func() { checkIsolation = was }()
			var out, errs bytes.Buffer
			if status := run(t.Context(), []string{"check", "--isolate", path}, console{out: &out, err: &errs}); status != exitUsage || !strings.Contains(errs.String(), c.want) {
				t.Errorf("status %d, said %s%s, want %q", status, &out, &errs, c.want)
			}
			out.Reset()
			run(t.Context(), []string{"check", "--isolate", "--json", path}, console{out: &out, err: &errs})
			var r checkReport
			if err := json.Unmarshal(out.Bytes(), &r); err != nil || len(r.Diags) != 1 || r.Status != exitUsage || !strings.Contains(r.Diags[0].Message, c.want) {
				t.Errorf("as JSON it is %s (%v)", &out, err)
			}
		})
	}
}

// A process that cannot limit itself says so, and not that something took too much.
func TestCheckIsolatedUnlimited(t *testing.T) {
	t.Setenv("ROSTERD_TEST_PROGRAM", "1")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, runErr := exec.CommandContext(t.Context(), program, isolatedWord, "nonsense", "20", "any.cfg.lua").Output()
	if _, err := checkIsolation.read(out, runErr); err == nil || !strings.Contains(err.Error(), "nonsense") || strings.Contains(err.Error(), "it took") {
		t.Errorf("said %v (%s, %v)", err, out, runErr)
	}
}
