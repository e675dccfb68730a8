package prosody

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"rosterd/store/dat"
)

// maxJSON bounds how deep values nest.
const maxJSON = 200

// fromJSON reads a value as Prosody's util.json writes it. What Lua has and JSON has not stands beside the rest:
// "__array" are values under 1, 2, 3 …, "__hash" are keys that are no strings, each with its value behind it.
func fromJSON(src string) (dat.Value, error) {
	d := json.NewDecoder(strings.NewReader(src))
	d.UseNumber()
	v, err := jsonValue(d, 0)
	if err != nil {
		return nil, fmt.Errorf("JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("JSON: text after the value")
	}
	return v, nil
}

func jsonValue(d *json.Decoder, depth int) (dat.Value, error) {
	if depth > maxJSON {
		return nil, errors.New("nested too deep")
	}
	tok, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch tok := tok.(type) {
	case json.Delim:
		if tok == '{' {
			return jsonObject(d, depth)
		}
		list, err := jsonList(d, depth)
		t := &dat.Table{}
		appendList(t, list)
		return t, err
	case json.Number:
		return number(tok.String())
	case string, bool:
		return tok, nil
	}
	return nil, nil
}

func number(s string) (dat.Value, error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return nil, fmt.Errorf("%q is no number", s)
	}
	return f, nil
}

func jsonList(d *json.Decoder, depth int) (list []dat.Value, err error) {
	for d.More() {
		v, err := jsonValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err = d.Token()
	return list, err
}

func appendList(t *dat.Table, list []dat.Value) {
	n := int64(0)
	for _, v := range list {
		n++
		put(t, n, v)
	}
}

// put appends a field; whoever calls it knows that there is none of that key, or looks for it.
func put(t *dat.Table, key, value dat.Value) {
	if value != nil {
		t.Fields = append(t.Fields, dat.Field{Key: key, Value: value})
	}
}

func jsonObject(d *json.Decoder, depth int) (*dat.Table, error) {
	t := &dat.Table{}
	var array, hash []dat.Value
	seen := map[string]bool{}
	for d.More() {
		tok, err := d.Token()
		if err != nil {
			return nil, err
		}
		key, _ := tok.(string)
		if seen[key] {
			return nil, fmt.Errorf("a second value for %q", key)
		}
		seen[key] = true
		if key == "__array" || key == "__hash" {
			list, ok, err := special(d, depth)
			if err != nil {
				return nil, err
			}
			if !ok {
				return nil, fmt.Errorf("%s is no list", key)
			}
			if key == "__array" {
				array = list
			} else {
				hash = list
			}
			continue
		}
		v, err := jsonValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		put(t, key, v)
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	appendList(t, array)
	return t, pairs(t, hash)
}

// special reads the list that belongs to one of the two keys.
func special(d *json.Decoder, depth int) (list []dat.Value, ok bool, err error) {
	tok, err := d.Token()
	if err != nil || tok != json.Delim('[') {
		return nil, false, err
	}
	list, err = jsonList(d, depth+1)
	return list, true, err
}

// pairs puts keys with their values into a table.
func pairs(t *dat.Table, list []dat.Value) error {
	if len(list)%2 != 0 {
		return errors.New("__hash has a key without a value")
	}
	for i := 0; i < len(list); i += 2 {
		switch key := list[i].(type) {
		case bool, int64, string:
			if t.Get(key) == nil {
				put(t, key, list[i+1])
			}
		case float64:
			if n := int64(key); float64(n) == key && t.Get(n) == nil {
				put(t, n, list[i+1])
			}
		default:
			return fmt.Errorf("a %T as a key", key)
		}
	}
	return nil
}
