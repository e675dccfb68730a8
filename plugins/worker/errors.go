package worker

import (
	"context"
	"slices"
	"strings"
	"time"

	"rosterd/engine"
	"rosterd/plugins"
)

// An error travels as the tree that Unwrap makes of it, as far as somebody may look for something in there: so
// errors.Is and errors.As find on one side of the pipe what they find on the other.

// sentinels are known by their place here, on both sides: the child is of the same build as its parent.
var sentinels = []error{
	engine.ErrUnknownUser, engine.ErrDenied, plugins.ErrUnsupported, plugins.ErrLimit, plugins.ErrRefused, plugins.ErrInvalid,
	context.Canceled, context.DeadlineExceeded, engine.ErrNoItem,
}

// faultKinds may be named by a child; they become labels of metrics.
var faultKinds = []string{"trap", "deadline", "instructions", "memory", "protocol", "crash"}

const (
	errorText byte = 1 + iota
	errorSentinel
	errorTemporary
	errorPermanent
	errorFault
	errorOption
	errorVeto
)

// maxText bounds the text of an error.
const maxText = 8 << 10

// told is an error of the other side.
type told struct {
	text   string
	causes []error
}

func (e *told) Error() string   { return e.text }
func (e *told) Unwrap() []error { return e.causes }

func appendError(b []byte, err error) []byte { return appendNode(b, err, maxDepth) }

func appendNode(b []byte, err error, depth int) []byte {
	if k := slices.Index(sentinels, err); k >= 0 {
		return append(b, errorSentinel, byte(k))
	}
	if err == nil {
		return appendTold(b, "an error without a text", nil, depth)
	}
	if depth <= 0 {
		return appendTold(b, err.Error(), nil, depth)
	}
	switch e := err.(type) {
	case *engine.TemporaryError:
		return appendNode(appendInt(append(b, errorTemporary), int64(e.RetryAfter)), e.Err, depth-1)
	case *engine.PermanentError:
		return appendNode(append(b, errorPermanent), e.Err, depth-1)
	case *engine.FaultError:
		return appendNode(append(b, errorFault, byte(max(0, slices.Index(faultKinds, e.Kind)))), e.Err, depth-1)
	case *engine.VetoError:
		return appendText(append(b, errorVeto), e.Text)
	case *plugins.OptionError:
		return appendText(appendText(appendText(append(b, errorOption), e.Name), e.Pos), e.Reason)
	}
	return appendTold(b, err.Error(), causes(err), depth)
}

func appendTold(b []byte, text string, causes []error, depth int) []byte {
	b = appendText(append(b, errorText), cut(text, maxText))
	b = appendUint(b, uint64(len(causes)))
	for _, c := range causes {
		b = appendNode(b, c, depth-1)
	}
	return b
}

// causes are the errors in err that tell more than its text.
func causes(err error) (list []error) {
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		list = []error{e.Unwrap()}
	case interface{ Unwrap() []error }:
		list = slices.Clone(e.Unwrap())
	}
	return slices.DeleteFunc(list, func(err error) bool { return err == nil || !known(err) && len(causes(err)) == 0 })
}

func known(err error) bool {
	switch err.(type) {
	case *engine.TemporaryError, *engine.PermanentError, *engine.FaultError, *engine.VetoError, *plugins.OptionError:
		return true
	}
	return slices.Contains(sentinels, err)
}

func (d *decoder) error() error { return d.node(maxDepth + 2) }

func (d *decoder) node(depth int) error {
	if depth == 0 {
		d.fail()
	}
	switch d.byte() {
	case errorSentinel:
		if k := int(d.byte()); k < len(sentinels) {
			return sentinels[k]
		}
	case errorTemporary:
		after := time.Duration(d.int())
		return &engine.TemporaryError{RetryAfter: max(0, after), Err: d.node(depth - 1)}
	case errorPermanent:
		return &engine.PermanentError{Err: d.node(depth - 1)}
	case errorFault:
		if k := int(d.byte()); k < len(faultKinds) {
			return &engine.FaultError{Kind: faultKinds[k], Err: d.node(depth - 1)}
		}
	case errorOption:
		return &plugins.OptionError{Name: cut(d.text(), maxLine), Pos: cut(d.text(), maxLine), Reason: cut(d.text(), maxText)}
	case errorVeto:
		return plugins.Veto(d.text())
	case errorText:
		e := &told{text: cut(d.text(), maxText)}
		for range d.count(2) {
			e.causes = append(e.causes, d.node(depth-1))
		}
		return e
	}
	d.fail()
	return &told{text: "an error that cannot be read"}
}

// cut makes s valid and no longer than most bytes and a sign that it was.
func cut(s string, most int) string {
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
