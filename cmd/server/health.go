package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"rosterd/config"
)

// healthTimeout bounds how long health waits for an answer.
const healthTimeout = 5 * time.Second

// health asks the server on this machine how it is: what a container runs to know.
func health(ctx context.Context, args []string, c console) int {
	f := flags("health", c)
	file := f.String("config", "", "configuration `FILE`")
	rest, err := interleaved(f, args)
	if err != nil {
		return exitUsage
	}
	if len(rest) > 0 {
		fmt.Fprintf(c.err, "rosterd health: unexpected argument %q\n", rest[0])
		return exitUsage
	}
	if err := askHealth(ctx, *file); err != nil {
		fmt.Fprintln(c.err, "rosterd health:", err)
		return exitFailed
	}
	return exitOK
}

func askHealth(ctx context.Context, file string) error {
	path, err := findConfig(file)
	if err != nil {
		return err
	}
	cfg, err := config.Load(path, config.LoadOptions{Inspect: true})
	if err != nil {
		return err
	}
	url, err := healthURL(cfg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := healthClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1000))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, res.Status, body)
	}
	return err
}

// healthClient asks this machine and nobody in between. Whose certificate it has makes no difference there.
var healthClient = &http.Client{Transport: &http.Transport{
	DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
}}

// healthURL is on the first address of HTTP, else of HTTPS.
func healthURL(cfg *config.Config) (string, error) {
	scheme, list := "http", cfg.Listeners("http")
	if len(list) == 0 {
		scheme, list = "https", cfg.Listeners("https")
	}
	if len(list) == 0 {
		return "", errors.New("there is no HTTP to ask: http_ports and https_ports are empty")
	}
	host, port, err := net.SplitHostPort(list[0].Address)
	if err != nil {
		return "", err
	}
	return scheme + "://" + net.JoinHostPort(reachable(host), port) + "/healthz", nil
}

// reachable is where one reaches who listens on an address: loopback for all of them.
func reachable(host string) string {
	a, err := netip.ParseAddr(host)
	switch {
	case err != nil || !a.IsUnspecified():
		return host
	case a.Is4():
		return "127.0.0.1"
	default:
		return "::1"
	}
}
