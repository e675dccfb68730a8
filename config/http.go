package config

import (
	"regexp"
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
