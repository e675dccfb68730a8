package wasm

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

func inputLen(c *call, _ args) uint64 { return count(len(c.input)) }

func inputRead(c *call, a args) uint64 { return part(c, a, 0, c.input) }

func outputWrite(c *call, a args) uint64 {
	b := c.view(a.u32(0), a.u32(1))
	if most := c.plugin.limits.Answer; int64(len(c.output)+len(b)) > most {
		return c.failsf(codeLimit, "an output of more than %d bytes", most)
	}
	c.output = append(c.output, b...)
	return count(0)
}

// fail keeps what the module is about to return and why.
func fail(c *call, a args) uint64 {
	text := c.view(a.u32(2), a.u32(3))
	c.failed = failure{code: int32(a.u32(0)), after: time.Duration(a.u32(1)) * time.Second, text: brief(string(text[:min(len(text), maxLine+1)]))}
	return 0
}

func errorText(c *call, a args) uint64 {
	if c.lastErr == nil {
		c.view(a.u32(0), a.u32(1))
		return count(int(codeAbsent))
	}
	return give(c, a, 0, c.lastErr.Error())
}

// configGet gives an option.
func configGet(c *call, a args) uint64 {
	value, code, err := c.option(c.text(a, 0))
	if err != nil {
		c.view(a.u32(2), a.u32(3))
		return c.fails(code, err)
	}
	return give(c, a, 2, value)
}

// option is text as it is, numbers and booleans as text, and lists and tables as JSON; or why there is none, with the code
// that modules are told.
func (c *call) option(name string) (value string, code int32, err error) {
	opts := c.plugin.opts
	if name == "" {
		return "", codeAbsent, errors.New("config_get: the name of the option is empty")
	}
	if !c.plugin.tag.read(name) {
		return "", codeLimit, fmt.Errorf("more than %d options, or one whose name has more than %d bytes", maxOptions, maxOption)
	}
	if err := opts.Refused(name); err != nil {
		return "", codeRefused, err
	}
	v, ok := opts.Get(name)
	if !ok {
		return "", codeAbsent, fmt.Errorf("option %s is not set", brief(name))
	}
	switch v.(type) {
	case []any, map[string]any:
		var b strings.Builder
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			return "", codeArgument, opts.Wrong(name, "%v", err)
		}
		return strings.TrimSuffix(b.String(), "\n"), 0, nil
	}
	if value, _, err = opts.String(name); err != nil {
		return "", codeArgument, err
	}
	return value, 0, nil
}

var levels = []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}

func logLine(c *call, a args) uint64 {
	line := c.view(a.u32(1), a.u32(2))
	c.log(levels[min(int(a.u32(0)), len(levels)-1)], string(line[:min(len(line), maxLine+1)]))
	return 0
}

func nowMS(c *call, _ args) uint64 { return uint64(c.plugin.svc.Now().UnixMilli()) }

func random(c *call, a args) uint64 {
	for b := range slices.Chunk(c.view(a.u32(0), a.u32(1)), 64<<10) {
		c.weigh(16 * len(b)) // it takes longer than a copy
		c.plugin.svc.Random(b)
	}
	return count(0)
}

// appendInput writes what a call is asked, into room that the instance keeps.
func (in *instance) appendInput(c *call) []byte {
	b := append(in.input[:0], `{"op":"`...)
	b = append(append(b, c.op.String()...), '"')
	field := func(name, value string) {
		b = append(append(append(b, `,"`...), name...), `":`...)
		b = gjson.AppendJSONString(b, value)
	}
	switch c.op {
	case opInit:
		field("module", in.plugin.name)
		field("host", in.plugin.host)
	case opTransform, opFetch, opAuth, opEdit, opCard:
		field("user", c.user.User.String())
		field("local", c.user.User.Local())
		field("host", c.user.User.Domain())
	}
	b = append(c.appendMore(b), '}')
	in.input = b
	return b
}
