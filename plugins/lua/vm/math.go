package vm

import (
	"encoding/binary"
	"math"
	"math/rand/v2"

	lua "github.com/yuin/gopher-lua"
)

var mathConstants = map[string]lua.LValue{
	"pi":         lua.LNumber(math.Pi),
	"huge":       lua.LNumber(math.Inf(1)),
	"maxinteger": lua.LNumber(maxExact), // up to here integers are exact
	"mininteger": lua.LNumber(-maxExact),
}

var mathLib = map[string]lua.LGFunction{
	"abs":        unary(math.Abs),
	"acos":       unary(math.Acos),
	"asin":       unary(math.Asin),
	"atan":       mathAtan,
	"ceil":       unary(math.Ceil),
	"cos":        unary(math.Cos),
	"deg":        unary(func(x float64) float64 { return x * (180 / math.Pi) }),
	"exp":        unary(math.Exp),
	"floor":      unary(math.Floor),
	"fmod":       mathFmod,
	"log":        mathLog,
	"log10":      unary(math.Log10), // Lua 5.1
	"max":        extreme(func(a, b float64) bool { return a > b }),
	"min":        extreme(func(a, b float64) bool { return a < b }),
	"modf":       mathModf,
	"pow":        binaryOp(math.Pow), // Lua 5.1
	"rad":        unary(func(x float64) float64 { return x * (math.Pi / 180) }),
	"random":     mathRandom,
	"randomseed": mathRandomseed,
	"sin":        unary(math.Sin),
	"sqrt":       unary(math.Sqrt),
	"tan":        unary(math.Tan),
	"tointeger":  mathTointeger,
	"type":       mathType,
	"ult":        mathUlt,
}

func unary(f func(float64) float64) lua.LGFunction {
	return func(L *lua.LState) int {
		L.Push(lua.LNumber(f(checkNumber(L, 1))))
		return 1
	}
}

func binaryOp(f func(x, y float64) float64) lua.LGFunction {
	return func(L *lua.LState) int {
		L.Push(lua.LNumber(f(checkNumber(L, 1), checkNumber(L, 2))))
		return 1
	}
}

// extreme is max or min: the argument that beats all others.
func extreme(beats func(a, b float64) bool) lua.LGFunction {
	return func(L *lua.LState) int {
		best := checkNumber(L, 1)
		for i := 2; i <= L.GetTop(); i++ {
			if v := checkNumber(L, i); beats(v, best) {
				best = v
			}
		}
		L.Push(lua.LNumber(best))
		return 1
	}
}

func optNumber(L *lua.LState, n int, def float64) float64 {
	if L.Get(n) == lua.LNil {
		return def
	}
	return checkNumber(L, n)
}

func mathFmod(L *lua.LState) int {
	x, y := checkNumber(L, 1), checkNumber(L, 2)
	if y == 0 && isInteger(x) {
		L.ArgError(2, "zero")
	}
	L.Push(lua.LNumber(math.Mod(x, y)))
	return 1
}

func mathAtan(L *lua.LState) int {
	L.Push(lua.LNumber(math.Atan2(checkNumber(L, 1), optNumber(L, 2, 1))))
	return 1
}

func mathLog(L *lua.LState) int {
	x, base := checkNumber(L, 1), optNumber(L, 2, math.E)
	switch base {
	case math.E:
		x = math.Log(x)
	case 2:
		x = math.Log2(x)
	case 10:
		x = math.Log10(x)
	default:
		x = math.Log(x) / math.Log(base)
	}
	L.Push(lua.LNumber(x))
	return 1
}

func mathModf(L *lua.LState) int {
	x := checkNumber(L, 1)
	whole, fraction := math.Trunc(x), 0.0
	if !math.IsInf(x, 0) {
		fraction = x - whole
	}
	L.Push(lua.LNumber(whole))
	L.Push(lua.LNumber(fraction))
	return 2
}

// isInteger says whether a number stands for an integer: all numbers are
// floats, and from 2^53 on they skip some integers.
func isInteger(v float64) bool { return v == math.Trunc(v) && math.Abs(v) <= maxExact }

func mathTointeger(L *lua.LState) int {
	v := L.CheckAny(1)
	if f, ok := toNumber(v); ok && isInteger(f) {
		L.Push(lua.LNumber(f))
	} else {
		L.Push(lua.LNil)
	}
	return 1
}

func mathType(L *lua.LState) int {
	switch v := L.CheckAny(1).(type) {
	case lua.LNumber:
		if isInteger(float64(v)) {
			L.Push(lua.LString("integer"))
		} else {
			L.Push(lua.LString("float"))
		}
	default:
		L.Push(lua.LNil)
	}
	return 1
}

func mathUlt(L *lua.LState) int {
	L.Push(lua.LBool(uint64(checkInt(L, 1)) < uint64(checkInt(L, 2))))
	return 1
}

// random is the generator of one run.
type random struct{ *rand.Rand }

// generator is the run's, seeded when it is first asked for.
func (s *State) generator() *random {
	if s.random == nil {
		s.random = s.unseeded()
	}
	return s.random
}

func (s *State) unseeded() *random {
	var b [16]byte
	s.entropy(b[:])
	return seeded(binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[8:]))
}

func seeded(a, b uint64) *random { return &random{rand.New(rand.NewPCG(a, b))} }

func mathRandom(L *lua.LState) int {
	r := meterOf(L).state.generator()
	low, high := int64(1), int64(0)
	switch L.GetTop() {
	case 0:
		L.Push(lua.LNumber(r.Float64()))
		return 1
	case 1:
		if high = checkInt(L, 1); high == 0 { // any integer
			L.Push(lua.LNumber(r.Int64N(2*maxExact) - maxExact))
			return 1
		}
	case 2:
		low, high = checkInt(L, 1), checkInt(L, 2)
	default:
		L.RaiseError("wrong number of arguments")
	}
	if low > high {
		L.ArgError(L.GetTop(), "interval is empty")
	}
	if low < -maxExact || high > maxExact {
		L.ArgError(L.GetTop(), "interval too large")
	}
	L.Push(lua.LNumber(low + r.Int64N(high-low+1)))
	return 1
}

func mathRandomseed(L *lua.LState) int {
	s := meterOf(L).state
	if L.GetTop() == 0 {
		s.random = s.unseeded()
	} else {
		s.random = seeded(math.Float64bits(checkNumber(L, 1)), math.Float64bits(optNumber(L, 2, 0)))
	}
	return 0
}
