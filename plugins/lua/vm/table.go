package vm

import (
	"sort"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

var tableLib = map[string]lua.LGFunction{
	"concat": tabConcat,
	"insert": tabInsert,
	"move":   tabMove,
	"pack":   tabPack,
	"remove": tabRemove,
	"sort":   tabSort,
	"unpack": tabUnpack,
}

// rawGet is t[i] without metamethods. gopher-lua's RawGetInt looks only into
// the array.
func rawGet(t *lua.LTable, i int) lua.LValue {
	if i < lua.MaxArrayIndex {
		if v := t.RawGetInt(i); v != lua.LNil || i > 0 {
			return v
		}
	}
	return t.RawGet(lua.LNumber(i))
}

// getIndex is v[i] with metamethods.
func getIndex(L *lua.LState, v lua.LValue, i int) lua.LValue {
	if t, ok := v.(*lua.LTable); ok {
		if e := rawGet(t, i); e != lua.LNil || t.Metatable == lua.LNil {
			return e
		}
	}
	return L.GetTable(v, lua.LNumber(i))
}

func setIndex(L *lua.LState, t *lua.LTable, i int, v lua.LValue) {
	if t.Metatable == lua.LNil {
		t.RawSetInt(i, v)
		return
	}
	L.SetTable(t, lua.LNumber(i), v)
}

func tabConcat(L *lua.LState) int {
	t := L.CheckTable(1)
	sep := optString(L, 2, "")
	i, j := int(optInt(L, 3, 1)), int(optInt(L, 4, int64(L.ObjLen(t))))
	var b strings.Builder
	for ; i <= j; i++ {
		Charge(L, 1)
		switch v := getIndex(L, t, i).(type) {
		case lua.LString:
			b.WriteString(string(v))
		case lua.LNumber:
			b.WriteString(formatNumber(float64(v)))
		default:
			L.RaiseError("invalid value (%s) at index %d in table for 'concat'", v.Type(), i)
		}
		if i < j {
			b.WriteString(sep)
		}
		if b.Len() > meterOf(L).state.limits.StringBytes {
			break
		}
	}
	checkLength(L, b.Len(), b.Len())
	L.Push(lua.LString(b.String()))
	return 1
}

func tabInsert(L *lua.LState) int {
	t := L.CheckTable(1)
	n := L.ObjLen(t) + 1
	switch L.GetTop() {
	case 2:
		if v := L.Get(2); v != lua.LNil {
			setIndex(L, t, n, v)
		}
	case 3:
		pos, v := checkInt(L, 2), L.Get(3)
		if pos < 1 || pos > int64(n) {
			L.ArgError(2, "position out of bounds")
		}
		if t.Metatable == lua.LNil {
			Charge(L, (n-int(pos))>>4)
			t.Insert(int(pos), v)
			return 0
		}
		Charge(L, n-int(pos))
		for i := n; i > int(pos); i-- {
			setIndex(L, t, i, getIndex(L, t, i-1))
		}
		setIndex(L, t, int(pos), v)
	default:
		L.RaiseError("wrong number of arguments to 'insert'")
	}
	return 0
}

func tabRemove(L *lua.LState) int {
	t := L.CheckTable(1)
	n := L.ObjLen(t)
	pos := optInt(L, 2, int64(n))
	if L.GetTop() > 1 && (pos < 1 || pos > int64(n)+1) && (n > 0 || pos != 0) {
		L.ArgError(2, "position out of bounds")
	}
	at := int(pos)
	switch {
	case at < 1 || at > n:
		v := getIndex(L, t, at)
		if v != lua.LNil {
			setIndex(L, t, at, lua.LNil)
		}
		L.Push(v)
	case t.Metatable == lua.LNil && n < lua.MaxArrayIndex:
		Charge(L, (n-at)>>4)
		L.Push(t.Remove(at)) // shortens the array, too
	default:
		L.Push(getIndex(L, t, at))
		Charge(L, n-at)
		for ; at < n; at++ {
			setIndex(L, t, at, getIndex(L, t, at+1))
		}
		setIndex(L, t, n, lua.LNil)
	}
	return 1
}

func tabMove(L *lua.LState) int {
	src := L.CheckTable(1)
	from, to, at := checkInt(L, 2), checkInt(L, 3), checkInt(L, 4)
	dst := src
	if L.Get(5) != lua.LNil {
		dst = L.CheckTable(5)
	}
	L.SetTop(5)
	if to >= from {
		n := to - from + 1
		if n <= 0 || from < -maxExact || to > maxExact || at < -maxExact || at > maxExact {
			L.ArgError(3, "too many elements to move")
		}
		Charge(L, int(n))
		if at > to || at <= from || dst != src {
			for i := int64(0); i < n; i++ {
				setIndex(L, dst, int(at+i), getIndex(L, src, int(from+i)))
			}
		} else {
			for i := n - 1; i >= 0; i-- {
				setIndex(L, dst, int(at+i), getIndex(L, src, int(from+i)))
			}
		}
	}
	L.Push(dst)
	return 1
}

func tabPack(L *lua.LState) int {
	n := L.GetTop()
	t := L.CreateTable(n, 1)
	for i := 1; i <= n; i++ {
		t.RawSetInt(i, L.Get(i))
	}
	t.RawSetString("n", lua.LNumber(n))
	L.Push(t)
	return 1
}

func tabUnpack(L *lua.LState) int {
	t := L.CheckTable(1)
	i := optInt(L, 2, 1)
	j := optInt(L, 3, int64(L.ObjLen(t)))
	if i > j {
		return 0
	}
	if n := j - i; n < 0 || n >= maxUnpack {
		L.RaiseError("too many results to unpack")
	}
	n := int(j - i + 1)
	Charge(L, n)
	for k := range n {
		L.Push(getIndex(L, t, int(i)+k))
	}
	return n
}

// sorter sorts a copy; the table is written when the order is found.
type sorter struct {
	L      *lua.LState
	less   *lua.LFunction // nil for <
	values []lua.LValue
}

func (s *sorter) Len() int      { return len(s.values) }
func (s *sorter) Swap(i, j int) { s.values[i], s.values[j] = s.values[j], s.values[i] }

func (s *sorter) Less(i, j int) bool {
	a, b := s.values[i], s.values[j]
	if s.less == nil {
		Charge(s.L, 2)
		return s.L.LessThan(a, b)
	}
	s.L.Push(s.less)
	s.L.Push(a)
	s.L.Push(b)
	s.L.Call(2, 1)
	r := lua.LVAsBool(s.L.Get(-1))
	s.L.Pop(1)
	return r
}

func tabSort(L *lua.LState) int {
	t := L.CheckTable(1)
	s := &sorter{L: L}
	if L.Get(2) != lua.LNil {
		s.less = L.CheckFunction(2)
	}
	n := L.ObjLen(t)
	Charge(L, n)
	s.values = make([]lua.LValue, 0, min(n, lua.MaxArrayIndex))
	for i := 1; i <= n; i++ {
		s.values = append(s.values, getIndex(L, t, i))
	}
	sort.Sort(s) // ends whatever the order function says
	for i, v := range s.values {
		setIndex(L, t, i+1, v)
	}
	return 0
}
