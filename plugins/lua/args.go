package lua

import (
	glua "github.com/yuin/gopher-lua"

	"rosterd/plugins/lua/vm"
)

// pushText pushes text of any length that a library function has made, if it may be that long.
func pushText(l *glua.LState, s string) int {
	vm.CheckLength(l, len(s))
	l.Push(glua.LString(s))
	return 1
}

// textArg is argument n, with the work of going through it charged.
func textArg(l *glua.LState, n int) string {
	s := vm.CheckString(l, n)
	vm.ChargeBytes(l, len(s))
	return s
}

// absent tells whether argument n is nil or false. Functions that give such an argument back are told apart from
// those that do not by Prosody's "s and …".
func absent(l *glua.LState, n int) bool { return glua.LVIsFalse(l.Get(n)) }

// back returns argument n as it is.
func back(l *glua.LState, n int) int {
	l.Push(l.Get(n))
	return 1
}
