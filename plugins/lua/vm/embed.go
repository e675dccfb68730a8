package vm

import (
	lua "github.com/yuin/gopher-lua"
)

// What follows is for the Go functions of those who embed a State: arguments checked, results bounded and work
// charged as the library's own are.

// CheckString is argument n, a string or a number.
func CheckString(L *lua.LState, n int) string { return checkString(L, n) }

// OptString is argument n, or def for nil.
func OptString(L *lua.LState, n int, def string) string { return optString(L, n, def) }

// CheckNumber is argument n, a number or a numeral.
func CheckNumber(L *lua.LState, n int) float64 { return checkNumber(L, n) }

// CheckInt is argument n, a number without a fraction.
func CheckInt(L *lua.LState, n int) int64 { return checkInt(L, n) }

// ChargeBytes charges for going through n bytes.
func ChargeBytes(L *lua.LState, n int) { chargeBytes(L, n) }

// CheckLength raises an error if a string of n bytes is too long to be made, and charges for it.
func CheckLength(L *lua.LState, n int) { checkLength(L, n, n) }

// Ended stops the run if its context has ended, for Go functions that wait and so
// learn of it first.
func Ended(L *lua.LState) {
	m := meterOf(L)
	m.halt.Store(true)
	if m.stopped() {
		L.RaiseError("%s", m.err)
	}
}
