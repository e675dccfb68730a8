package lua

import (
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	glua "github.com/yuin/gopher-lua"

	"rosterd/plugins/lua/vm"
)

// Functions whose work grows with their arguments take it from the budget of the call, and end with it.
func TestNativesAreCharged(t *testing.T) {
	const steps = 200_000
	text := strings.Repeat("x", 100_000)
	part := strings.Repeat("x", maxPrepared)
	document := "<a>" + strings.Repeat("<b>c</b>", 1000) + "</a>"
	for _, tt := range []struct {
		name  string
		f     native
		args  []glua.LValue
		calls int // at most
	}{
		{"pbkdf2", pbkdf2(sha256.New), []glua.LValue{glua.LString("p"), glua.LString("s"), glua.LNumber(1 << 40)}, 1},
		{"hash", digest(sha256.New), []glua.LValue{glua.LString(text)}, 20},
		{"short hash", digest(sha256.New), []glua.LValue{glua.LString("")}, steps / 10},
		{"hmac", mac(sha256.New), []glua.LValue{glua.LString(text), glua.LString(text)}, 10},
		{"equals", hashEquals, []glua.LValue{glua.LString(text), glua.LString(text)}, 50},
		{"nodeprep", prep(nodeprep), []glua.LValue{glua.LString(part)}, 20},
		{"idna", toASCII, []glua.LValue{glua.LString(part)}, 25},
		{"base64", base64Encode, []glua.LValue{glua.LString(text)}, 100},
		{"from base64", base64Decode, []glua.LValue{glua.LString(text)}, 20},
		{"hex", hexEncode, []glua.LValue{glua.LString(text)}, 50},
		{"from hex", hexDecode, []glua.LValue{glua.LString(text)}, 10},
		{"percent", urlEncode, []glua.LValue{glua.LString(text)}, 10},
		{"form", formDecode, []glua.LValue{glua.LString("a=b&" + text)}, 10},
		{"escape", jidEscape, []glua.LValue{glua.LString(text)}, 3},
		{"datetime", parseTime, []glua.LValue{glua.LString("2006-01-02T15:04:05Z")}, steps / 40},
		{"XML", func(_ *machine, l *glua.LState) int {
			nodes := 0
			_, _ = (&xmlReader{l: l, meta: l.NewTable(), nodes: &nodes}).read(document)
			return 0
		}, nil, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			state := vm.New(vm.Limits{Instructions: steps})
			defer state.Close()
			calls := 0
			err := state.Run(t.Context(), func(l *glua.LState) error {
				f := l.NewFunction(func(l *glua.LState) int { return tt.f(nil, l) })
				for ; calls <= tt.calls; calls++ {
					l.Push(f)
					for _, v := range tt.args {
						l.Push(v)
					}
					l.Call(len(tt.args), 0)
				}
				return nil
			})
			if !errors.Is(err, vm.ErrInstructions) {
				t.Errorf("error %v after %d calls", err, calls)
			}
		})
	}
}
