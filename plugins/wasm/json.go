package wasm

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"rosterd/engine/roster"
	"rosterd/plugins"
)

// Bounds of a request: of its JSON, which may have six bytes for one, and of its body.
const maxRequestText, maxRequestBody = 512 << 10, 256 << 10

// object reads the fields of a JSON object, each at most once.
func object(what string, text []byte, field func(name string, v gjson.Result) error) error {
	if len(bytes.TrimSpace(text)) == 0 {
		return fmt.Errorf("%s is empty", what)
	}
	if err := roster.CheckJSON(text); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	top := gjson.ParseBytes(text)
	if !top.IsObject() {
		return fmt.Errorf("%s is no JSON object", what)
	}
	var err error
	var seen []string
	top.ForEach(func(key, v gjson.Result) bool {
		name := key.String()
		if slices.Contains(seen, name) {
			err = fmt.Errorf("%s has %q twice", what, brief(name))
			return false
		}
		seen = append(seen, name)
		if err = field(name, v); err != nil {
			err = fmt.Errorf("%s: %w", what, err)
		}
		return err == nil
	})
	return err
}

// readRequest reads the JSON of http_request.
func readRequest(text []byte) (r plugins.HTTPRequest, err error) {
	err = object("the request", text, func(name string, v gjson.Result) error { return requestField(&r, name, v) })
	if err == nil && r.URL == "" {
		err = errors.New("the request has no url")
	}
	return r, err
}

func requestField(r *plugins.HTTPRequest, name string, v gjson.Result) (err error) {
	switch name {
	case "method":
		r.Method, err = stringOf(name, v)
	case "url":
		r.URL, err = stringOf(name, v)
	case "rev":
		r.Revision, err = stringOf(name, v)
	case "headers":
		r.Header, err = headerOf(v)
	case "timeout_ms":
		var ms int64
		ms, err = integerOf(name, v, int64(time.Hour/time.Millisecond))
		r.Timeout = time.Duration(ms) * time.Millisecond
	case "redirects":
		var n int64
		n, err = integerOf(name, v, plugins.MaxRedirects)
		r.Redirects = int(n)
	default:
		err = fmt.Errorf("a field %q is not known", brief(name))
	}
	return err
}

func stringOf(name string, v gjson.Result) (string, error) {
	if v.Type != gjson.String {
		return "", fmt.Errorf("%s is no string", name)
	}
	return v.String(), nil
}

func integerOf(name string, v gjson.Result, most int64) (int64, error) {
	if v.Type != gjson.Number || v.Num != math.Trunc(v.Num) || v.Num < 0 || v.Num > float64(most) {
		return 0, fmt.Errorf("%s is no integer from 0 to %d", name, most)
	}
	return int64(v.Num), nil
}

func headerOf(v gjson.Result) (h http.Header, err error) {
	if !v.IsObject() {
		return nil, errors.New("headers is no object")
	}
	h = http.Header{}
	v.ForEach(func(key, v gjson.Result) bool {
		var s string
		s, err = stringOf("header field "+brief(key.String()), v)
		h.Set(key.String(), s)
		return err == nil
	})
	return h, err
}

// decodeJSON reads the contacts that a module writes as JSON into b. A wrong shape is the module's mistake, since half a
// roster looks like contacts removed; a JID that cannot be one costs that contact alone.
func decodeJSON(b *roster.Builder, out []byte) (d document, err error) {
	items := false
	err = object("the output", out, func(name string, v gjson.Result) (err error) {
		switch name {
		case "items":
			items = true
			return addItems(b, v)
		case "rev":
			d.rev, err = stringOf(name, v)
		case "max_age":
			if v.Type != gjson.Number || !(v.Num >= 0 && v.Num <= maxAge.Seconds()) {
				return errors.New("max_age is no number of seconds up to a year")
			}
			d.maxAge = time.Duration(v.Num * float64(time.Second))
		case "unchanged":
			if !v.IsBool() {
				return errors.New("unchanged is neither true nor false")
			}
			d.unchanged = v.Bool()
		default:
			return fmt.Errorf("a field %q is not known", brief(name))
		}
		return err
	})
	switch {
	case err != nil:
		return d, wrong("%v", err)
	case items && d.unchanged:
		return d, wrong("the output is unchanged and has items")
	case !items && !d.unchanged:
		return d, wrong("the output has neither items nor unchanged")
	}
	return d, nil
}

func addItems(b *roster.Builder, list gjson.Result) (err error) {
	if !list.IsArray() {
		return errors.New("items is no array")
	}
	n := 0
	list.ForEach(func(_, v gjson.Result) bool {
		var jid gjson.Result
		var i roster.Item
		if !v.IsObject() {
			err = fmt.Errorf("items[%d] is no object", n)
		} else if jid = v.Get("jid"); jid.Type != gjson.String {
			err = fmt.Errorf("items[%d] has no jid", n)
		} else if i, err = roster.DecodeItem(v); err != nil {
			err = fmt.Errorf("items[%d]: %w", n, err)
		} else {
			b.Add(jid.String(), i)
		}
		n++
		return err == nil
	})
	return err
}

// appendHeader writes a header as modules see it.
func appendHeader(b []byte, h http.Header) []byte {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	b = append(b, '{')
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = gjson.AppendJSONString(b, strings.ToLower(name))
		b = gjson.AppendJSONString(append(b, ':'), strings.Join(h[name], ", "))
	}
	return append(b, '}')
}
