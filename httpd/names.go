package httpd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// element is one element of the array that a refresh posts.
type element struct {
	name string // where it is no string: the JSON text, cut short
	kind string // "" for a string, else what it is instead
}

// errTooManyNames is what decodeNames returns for more names than it may.
var errTooManyNames = errors.New("too many names")

// decodeNames reads a JSON array of at most most elements. Errors say what is
// wrong with the body, to whoever sent it.
func decodeNames(body []byte, most int) ([]element, error) {
	if !utf8.Valid(body) {
		return nil, errors.New("the body is not UTF-8 (RFC 8259 §8.1)")
	}
	body = bytes.TrimPrefix(body, []byte("\uFEFF")) // may be ignored, by the same paragraph
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, errors.New("the body is empty; a JSON array of usernames is wanted")
	}
	if err := checkJSON(body); err != nil {
		return nil, err
	}
	// gjson, because encoding/json takes ten times as long for what is valid.
	array := gjson.ParseBytes(body)
	if !array.IsArray() {
		return nil, fmt.Errorf("the body is a JSON %s; a JSON array of usernames is wanted", kindOf(array))
	}
	elements := make([]element, 0, min(bytes.Count(body, []byte{','})+1, most+1)) // a name may have commas, too
	array.ForEach(func(_, v gjson.Result) bool {
		if v.Type == gjson.String {
			elements = append(elements, element{name: v.Str})
		} else {
			elements = append(elements, element{name: clip(v.Raw, 64), kind: kindOf(v)})
		}
		return len(elements) <= most
	})
	if len(elements) > most {
		return nil, fmt.Errorf("%w: at most %d are taken in one request", errTooManyNames, most)
	}
	return elements, nil
}

func checkJSON(body []byte) error {
	if json.Valid(body) {
		return nil // and is not copied to find that out
	}
	var whole json.RawMessage
	err := json.Unmarshal(body, &whole)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("the body is not JSON: %w, at byte %d", err, syntax.Offset)
	}
	return err
}

func kindOf(v gjson.Result) string {
	switch {
	case v.IsObject():
		return "object"
	case v.IsArray():
		return "array"
	case v.IsBool():
		return "boolean"
	case v.Type == gjson.String:
		return "string"
	case v.Type == gjson.Null:
		return "null"
	}
	return "number"
}

// clip cuts s to at most n bytes, between two characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
