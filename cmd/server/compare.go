package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"rosterd/compare"
	"rosterd/config"
)

const compareUsage = "usage: rosterd check --compare SERVER [--compare SERVER] --as USER@HOST [--password-file FILE] [--config FILE]"

// comparing tells whether check was asked to compare servers.
func comparing(args []string) bool {
	return slices.ContainsFunc(args, func(a string) bool {
		name, _, _ := strings.Cut(strings.TrimPrefix(a, "-"), "=")
		return name == "-compare" || name == "compare" && strings.HasPrefix(a, "-")
	})
}

// several is a flag that may be given more than once.
type several []string

func (s *several) String() string { return strings.Join(*s, " ") }

func (s *several) Set(v string) error { *s = append(*s, v); return nil }

// compareServers logs in at two servers as one user and says where they differ. Exit status: 0 if every difference is
// expected, 1 if not, 2 if one of them cannot be asked.
func compareServers(ctx context.Context, args []string, c console) int {
	f := flags("check --compare", c)
	var servers, refresh several
	f.Var(&servers, "compare", "`SERVER` to log in at: HOST:PORT, or xmpps://HOST:PORT for direct TLS. Given twice, both are compared; given once, it is compared with the server of the configuration")
	f.Var(&refresh, "refresh", "`URL` of the HTTP server of each, in the same order: the roster is refreshed, and pushes are compared")
	file := f.String("config", "", "configuration `FILE` of the second server, if --compare names only one")
	as := f.String("as", "", "test user, `USER@HOST`, who has an account at both")
	passwordFile := f.String("password-file", "", "`FILE` with the password in its first line; asked for if there is none")
	change := f.String("change", "", "shell `COMMAND` that changes the user's contacts, run before the refresh")
	tokenFile := f.String("refresh-token-file", "", "`FILE` with the bearer token of a refresh in its first line (rosterd_refresh_token)")
	insecure := f.Bool("insecure", false, "take any certificate, also from servers that are not on this machine")
	asJSON := f.Bool("json", false, "print JSON")
	timeout := f.Duration("timeout", 10*time.Second, "`TIME` for each answer")
	rest, err := interleaved(f, args)
	if err != nil {
		return exitUsage
	}
	fail := func(err error) int {
		fmt.Fprintln(c.err, "rosterd check --compare:", err)
		return exitUsage
	}
	switch {
	case len(rest) > 0 || len(servers) == 0 || len(servers) > 2 || *as == "":
		return fail(errors.New(compareUsage))
	case len(refresh) != 0 && len(refresh) != 2:
		return fail(errors.New("--refresh is given once for each of the two servers, or not at all"))
	case *change != "" && len(refresh) == 0:
		return fail(errors.New("--change needs --refresh, by which the servers learn of it"))
	}
	targets, err := targetsOf(servers, refresh, *file)
	if err != nil {
		return fail(err)
	}
	password, err := passwordFrom(*passwordFile, c)
	if err != nil {
		return fail(err)
	}
	o := compare.Options{User: *as, Password: password, Insecure: *insecure, Timeout: *timeout}
	if *tokenFile != "" {
		if o.Token, err = firstLine(*tokenFile); err != nil {
			return fail(err)
		}
	}
	if *change != "" {
		o.Change = shell(*change)
	}
	report, err := compare.Compare(ctx, targets[0], targets[1], o)
	if err != nil {
		return fail(err)
	}
	if *asJSON {
		out := json.NewEncoder(c.out)
		out.SetIndent("", "  ")
		if err := out.Encode(report); err != nil {
			return fail(err)
		}
	} else {
		report.Write(c.out)
	}
	if report.Unexpected() > 0 {
		return exitFailed
	}
	return exitOK
}

// targetsOf are the two servers.
func targetsOf(servers, refresh []string, file string) (targets [2]compare.Target, err error) {
	for i, s := range servers {
		if targets[i], err = compare.ParseTarget(s); err != nil {
			return targets, err
		}
	}
	if len(servers) == 1 {
		if targets[1], err = configured(file); err != nil {
			return targets, err
		}
	}
	for i, url := range refresh {
		targets[i].Refresh = url
	}
	return targets, nil
}

// configured is where the server of a configuration listens for clients.
func configured(file string) (compare.Target, error) {
	path, err := findConfig(file)
	if err != nil {
		return compare.Target{}, err
	}
	cfg, err := config.Load(path, config.LoadOptions{Inspect: true})
	if err != nil {
		return compare.Target{}, err
	}
	for _, service := range []string{"c2s", "c2s_direct_tls"} {
		for _, l := range cfg.Listeners(service) {
			host, port, err := net.SplitHostPort(l.Address)
			return compare.Target{Address: net.JoinHostPort(reachable(host), port), Direct: service == "c2s_direct_tls"}, err
		}
	}
	return compare.Target{}, fmt.Errorf("%s: no port for clients", path)
}

// passwordFrom is the first line of a file, or what somebody types. It is known to the servers, so it is typed once.
func passwordFrom(file string, c console) (string, error) {
	if file != "" {
		return firstLine(file)
	}
	if f, ok := c.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(c.err, "Password: ")
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(c.err)
		if err != nil {
			return "", fmt.Errorf("reading the password: %w", err)
		}
		return notEmpty(string(b))
	}
	return readPassword(c)
}

// firstLine is what stands in the first line of a file, which must not be empty.
func firstLine(file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	if line = bytes.TrimSuffix(line, []byte("\r")); len(line) == 0 {
		return "", fmt.Errorf("%s: its first line is empty", file)
	}
	return string(line), nil
}

// shell runs a command of the person who runs us.
func shell(command string) func(context.Context) error {
	return func(ctx context.Context) error {
		cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", command, err, bytes.TrimSpace(out))
		}
		return nil
	}
}
