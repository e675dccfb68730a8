package config

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// pathTable reads http_paths: module → path.
func pathTable(r *reading, v Value) (map[string]string, bool) {
	t := v.Table()
	if t == nil || len(t.List) > 0 {
		r.fail(v, "takes a table such as { roster_admin = \"/rosters\" }")
		return nil, false
	}
	paths := map[string]string{}
	for _, f := range t.Fields {
		if s, ok := text(r, f.Value); ok {
			paths[keyText(f.Key)] = s
		}
	}
	return paths, true
}

var pathVariable = regexp.MustCompile(`\$([0-9A-Za-z]+)`)

// HTTPPath returns the path under which an HTTP module, such as "roster_admin", serves this host:
// the host's http_paths, else the global ones, else fallback. $host stands for the host's name. The
// result starts with a slash and, but for "/" itself, does not end in one.
func (h *Host) HTTPPath(module, fallback string) string {
	path, ok := httpPaths.Get(h)[module]
	if !ok {
		path, ok = httpPaths.Get(h.cfg.global)[module]
	}
	if !ok {
		path = fallback
	}
	path = pathVariable.ReplaceAllStringFunc(path, func(v string) string {
		if v == "$host" {
			return h.Name
		}
		return v
	})
	return "/" + strings.Trim(path, "/")
}

// A HTTPModule is something that a host serves over HTTP.
type HTTPModule struct {
	Name   string // as in http_paths
	Path   string
	Shared bool // it serves all hosts alike, so those that share an http_host may share the path
}

// HTTPModules are what the host serves, and where. Nobody has to be told of changes by who edits his roster here.
func (h *Host) HTTPModules() (list []HTTPModule) {
	if h.TakesNotices() {
		list = append(list, HTTPModule{Name: "roster_admin", Path: h.HTTPPath("roster_admin", "/roster_admin")})
	}
	if h.Has("websocket") {
		list = append(list, HTTPModule{"websocket", h.HTTPPath("websocket", "/xmpp-websocket"), true})
	}
	if h.Has("bosh") {
		list = append(list, HTTPModule{"bosh", h.HTTPPath("bosh", "/http-bind"), true})
	}
	if h.Has("http_files") && HTTPFilesDir.Get(h) != "" {
		list = append(list, HTTPModule{Name: "files", Path: h.HTTPPath("files", "/files")})
	}
	return append(list, h.PushHTTPModules()...)
}

// httpURL reads the URL of a web server, without what follows the path. It ends in a slash.
func httpURL(r *reading, v Value) (string, bool) {
	s, ok := nonEmpty(r, v)
	if !ok {
		return "", false
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		r.fail(v, "is no URL: %s", urlFault(err))
		return "", false
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		r.fail(v, "takes a URL such as https://example.com/, not %s", v.describe())
		return "", false
	}
	return strings.TrimSuffix(s, "/") + "/", true
}

// A CORS says which pages of other origins may use what is served to a path (the Fetch standard's CORS protocol).
type CORS struct {
	Enabled     bool
	Origins     []string // scheme://host[:port]; "*" is all of them
	Methods     []string // besides those that the path has anyway
	Headers     []string
	Credentials bool
}

// cors is what one option says of it; what is nil, it does not say.
type cors struct {
	enabled, credentials      *bool
	origins, methods, headers []string
}

// over lays what c says over what is below it.
func (c cors) over(below CORS) CORS {
	if c.enabled != nil {
		below.Enabled = *c.enabled
	}
	if c.credentials != nil {
		below.Credentials = *c.credentials
	}
	if c.origins != nil {
		below.Origins = c.origins
	}
	if c.methods != nil {
		below.Methods = c.methods
	}
	if c.headers != nil {
		below.Headers = c.headers
	}
	return below
}

// CORS is what counts for an HTTP module of the host. WebSocket and BOSH are open to all origins unless told
// otherwise, as in Prosody: a page gets nothing there without a password. Everything else is closed.
func (h *Host) CORS(module string) CORS {
	open := module == "websocket" || module == "bosh"
	c := CORS{Enabled: open, Origins: []string{"*"}}
	switch module {
	case "websocket":
		c = crossDomainWebSocket.Get(h).over(c)
	case "bosh":
		c = crossDomainBOSH.Get(h).over(c)
	}
	return corsOverride.Get(h)[module].over(c)
}

// crossDomain reads cross_domain_websocket and cross_domain_bosh.
func crossDomain(r *reading, v Value) (c cors, ok bool) {
	if text, isString := v.v.(string); v.Table() != nil || isString && (text == "*" || strings.Contains(text, ":")) {
		yes := true
		c.origins = originsOf(r, v, r.warn) // domains and the like never matched the origin of a page, in Prosody neither
		c.enabled = &yes
		return c, true
	}
	on, ok := boolean(r, v)
	c.enabled = &on
	return c, ok
}

// corsTable reads http_cors_override.
func corsTable(r *reading, v Value) (map[string]cors, bool) {
	t := v.Table()
	if t == nil || len(t.List) > 0 {
		r.fail(v, "takes a table such as { bosh = { enabled = true } }")
		return nil, false
	}
	list := map[string]cors{}
	for _, f := range t.Fields {
		entry := f.Value.Table()
		if entry == nil || len(entry.List) > 0 {
			r.fail(f.Value, "%s takes a table such as { enabled = true }", keyText(f.Key))
			continue
		}
		list[keyText(f.Key)] = corsEntry(r, entry)
	}
	return list, true
}

func corsEntry(r *reading, t *Table) (c cors) {
	for _, f := range t.Fields {
		var on bool
		switch key := keyText(f.Key); key {
		case "enabled":
			on, _ = boolean(r, f.Value)
			c.enabled = &on
		case "credentials":
			on, _ = boolean(r, f.Value)
			c.credentials = &on
		case "origins":
			c.origins = originsOf(r, f.Value, r.fail)
		case "methods":
			c.methods, _ = listOf(nonEmpty)(r, f.Value)
		case "headers":
			c.headers = corsHeaders(r, f.Value)
		default:
			r.fail(f.Value, "%s is not known: enabled, credentials, origins, methods and headers are", key)
		}
	}
	return c
}

// originsOf reads a list of origins (RFC 6454 §6.2), or "*", and complains of what is none.
func originsOf(r *reading, v Value, complain func(v Value, format string, args ...any)) []string {
	given, _ := listOf(nonEmpty)(r, v)
	list := []string{}
	for _, o := range given {
		u, err := url.Parse(o)
		switch {
		case o == "*":
			list = append(list, o)
		case err != nil, u.Scheme == "", u.Host == "", strings.Trim(u.Path, "/") != "", u.RawQuery != "", u.Fragment != "", u.User != nil:
			complain(v, "takes origins such as https://example.com, not %q", o)
		default:
			list = append(list, strings.ToLower(u.Scheme+"://"+u.Host))
		}
	}
	return slices.Compact(list)
}

// corsHeaders reads Prosody's form, { ["X-Name"] = true }, or a list.
func corsHeaders(r *reading, v Value) []string {
	t := v.Table()
	if t == nil || len(t.Fields) == 0 {
		list, _ := listOf(nonEmpty)(r, v)
		return list
	}
	list := []string{}
	for _, f := range t.Fields {
		if on, _ := boolean(r, f.Value); on {
			list = append(list, keyText(f.Key))
		}
	}
	return list
}
