package main

import (
	"crypto/x509"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"time"

	"rosterd/config"
	"rosterd/httpd"
	"rosterd/plugins"
	"rosterd/xmppcore/bosh"
	"rosterd/xmppcore/websocket"
)

// webHosts is what the VirtualHosts of a plan serve over HTTP.
func (d *daemon) webHosts(p *plan) (list []httpd.Host, err error) {
	api := d.pushAPI(p)
	for _, h := range p.cfg.Hosts() {
		host := httpd.Host{Name: h.Name, HTTPHost: config.HTTPHost.Get(h)}
		for _, m := range h.HTTPModules() {
			switch m.Name {
			case "roster_admin":
				host.Refresh = d.refreshAPI(p, h, m.Path)
			case "websocket":
				host.Mounts = append(host.Mounts, mount(h, m, d.webSocket(p, h)))
				host.AltConnect.WebSocket, err = p.externalURL(h, m.Path, true)
			case "bosh":
				host.Mounts = append(host.Mounts, mount(h, m, d.bosh.Handler(h.Name)))
				host.AltConnect.BOSH, err = p.externalURL(h, m.Path, false)
			case "ejabberd_api", "openfire_api":
				host.Mounts = append(host.Mounts, pushMount(h, m, api))
			case "files":
				files := httpd.Files{Dir: config.HTTPFilesDir.Get(h), Index: config.HTTPIndexFiles.Get(h), Listing: config.HTTPDirListing.Get(h)}
				host.Mounts = append(host.Mounts, mount(h, m, files))
			}
			if err != nil {
				return nil, err
			}
		}
		for _, name := range slices.Sorted(maps.Keys(p.plugins[h.Name].modules)) {
			script := p.plugins[h.Name].modules[name]
			if app, path, ok := routesOf(h, name, script); ok {
				log := part(d.log, "plugins").With("plugin", name, "host", h.Name)
				host.Mounts = append(host.Mounts, mount(h, config.HTTPModule{Name: app, Path: path}, plugins.Routes(script, log)))
			}
		}
		list = append(list, host)
	}
	return list, nil
}

// mount serves a module. In the streams of those that are shared the client says which host it means (RFC 7395 §3.4,
// XEP-0206).
func mount(h *config.Host, m config.HTTPModule, handler http.Handler) httpd.Mount {
	return httpd.Mount{Name: m.Name, Path: m.Path, Handler: handler, CORS: httpd.CORS(h.CORS(m.Name)), Shared: m.Shared}
}

// webSocket serves the streams of web clients that can open one.
func (d *daemon) webSocket(p *plan, h *config.Host) *websocket.Handler {
	g := p.cfg.Global()
	return &websocket.Handler{
		Serve: d.xmpp.ServeCarrier, Limits: d.xmpp.Limits, Host: h.Name, Ping: config.WebSocketPing.Get(g),
		Secure: config.ConsiderWebSocketSecure.Get(g), Origin: httpd.CORS(h.CORS("websocket")).Allows,
	}
}

func boshSettings(cfg *config.Config) bosh.Settings {
	g := cfg.Global()
	s := bosh.Settings{
		Inactivity: config.BOSHMaxInactivity.Get(g), Polling: config.BOSHMaxPolling.Get(g), Wait: config.BOSHMaxWait.Get(g),
		Secure: config.ConsiderBOSHSecure.Get(g),
	}
	if s.Polling == 0 {
		s.Polling = -1 // as often as they like
	}
	return s
}

func (d *daemon) refreshAPI(p *plan, h *config.Host, path string) *httpd.Refresh {
	g := p.cfg.Global()
	return &httpd.Refresh{
		Refresher: refresher{d.eng, d}, Path: path, Timeout: config.RefreshTimeout.Get(h),
		MaxBytes: int64(config.RefreshBody.Get(g)), MaxNames: config.RefreshNames.Get(g),
		Observe: func(names, errors int, took time.Duration) { d.metrics.Refreshed(h.Name, names, errors, took) },
		Token:   config.RefreshToken.Get(h), Secret: config.RefreshHMACSecret.Get(h), ClientCAs: p.clientCAs[h.Name],
	}
}

// externalURL is where clients outside reach a path.
func (p *plan) externalURL(h *config.Host, path string, socket bool) (string, error) {
	https, plain := 0, 0
	if ports := config.HTTPSPorts.Get(p.cfg.Global()); len(ports) > 0 && p.certs.https != nil {
		https = ports[0]
	}
	if ports := config.HTTPPorts.Get(p.cfg.Global()); len(ports) > 0 {
		plain = ports[0]
	}
	return httpd.ExternalURL(config.HTTPExternalURL.Get(h), config.HTTPHost.Get(h), https, plain, path, h.Name, socket)
}

// openFiles reads the authorities of client certificates, and sees whether what is to be served is there.
func (p *plan) openFiles() (err error) {
	p.clientCAs = make(map[string]*x509.CertPool)
	for _, h := range p.cfg.Hosts() {
		if p.clientCAs[h.Name], err = clientCAs(h); err != nil {
			_, pos, _ := config.RefreshClientCA.Lookup(h)
			return fmt.Errorf("%vrosterd_refresh_client_ca: %w", at(pos), err)
		}
	}
	return nil
}

func clientCAs(h *config.Host) (*x509.CertPool, error) {
	file, _, set := config.RefreshClientCA.Lookup(h)
	if !set {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool, err := httpd.ParseClientCAs(pem)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return pool, nil
}

// tryFiles looks for what the web server needs. Without the authorities nobody could be told from anybody: that is
// refused. A directory may come later.
func tryFiles(cfg *config.Config) (found []config.Diag) {
	for _, h := range cfg.Hosts() {
		if _, err := clientCAs(h); err != nil {
			_, pos, _ := config.RefreshClientCA.Lookup(h)
			found = append(found, config.Diag{
				Severity: config.Refused, Code: config.CodeValue, Pos: pos, Host: h.Name, Name: "rosterd_refresh_client_ca",
				Message: fmt.Sprintf("rosterd_refresh_client_ca: %v", err),
			})
		}
		dir, pos, set := config.HTTPFilesDir.Lookup(h)
		if !set || !h.Has("http_files") {
			continue
		}
		if err := (httpd.Files{Dir: dir}).Check(); err != nil {
			found = append(found, config.Diag{
				Severity: config.Warn, Code: config.CodeValueOdd, Pos: pos, Host: h.Name, Name: "http_files_dir",
				Message: fmt.Sprintf("http_files_dir: %v", err),
			})
		}
	}
	return found
}

// metricsFrom are the networks that may read /metrics.
func metricsFrom(cfg *config.Config) []netip.Prefix {
	list := slices.Clone(config.MetricsAllowIPs.Get(cfg.Global()))
	if p := config.MetricsAllowCIDR.Get(cfg.Global()); p.IsValid() {
		list = append(list, p)
	}
	return list
}
