package config

import (
	"errors"
	"math"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
)

// Bounds of what a file may leave behind; tables may share parts, so that a small file can make a
// value that is huge when it is written out.
const (
	maxValues     = 500_000
	maxValueDepth = 50
)

var (
	errManyValues = errors.New("the configuration has too many values")
	errDeepValue  = errors.New("the value has tables within tables without end")
)

// A freezer copies Lua values into Values. Nothing of Lua survives.
type freezer struct {
	values  int
	unproxy func(lua.LValue) lua.LValue
}

// freeze copies v, written at pos as the tables in from, where they are known.
func (fz *freezer) freeze(v lua.LValue, pos Pos, from []*ast.TableExpr, depth int) (Value, error) {
	if fz.values++; fz.values > maxValues {
		return Value{}, errManyValues
	}
	out := Value{pos: pos}
	switch x := fz.unproxy(v).(type) {
	case *lua.LNilType:
	case lua.LBool:
		out.v = bool(x)
	case lua.LNumber:
		out.v = number(float64(x))
	case lua.LString:
		out.v = string(x)
	case *lua.LTable:
		if depth >= maxValueDepth {
			return Value{}, errDeepValue
		}
		t, err := fz.table(x, pos, from, depth)
		if err != nil {
			return Value{}, err
		}
		out.v = t
	default:
		out.v = Function{}
	}
	return out, nil
}

// number tells integers from floats as far as doubles can.
func number(f float64) any {
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return int64(f)
	}
	return f
}

func (fz *freezer) table(t *lua.LTable, pos Pos, from []*ast.TableExpr, depth int) (*Table, error) {
	list, fields := hints(from)
	out := &Table{}
	for i := 1; ; i++ {
		e := t.RawGetInt(i)
		if e == lua.LNil {
			break
		}
		v, err := fz.entry(e, pos, listHint(list, i-1, e), depth)
		if err != nil {
			return nil, err
		}
		out.List = append(out.List, v)
	}
	for k, e := t.Next(lua.LNil); k != lua.LNil; k, e = t.Next(k) {
		var key any
		h := (*hint)(nil)
		switch k := k.(type) {
		case lua.LNumber:
			key = number(float64(k))
			i, whole := key.(int64)
			if whole && i >= 1 && i <= int64(len(out.List)) {
				continue
			}
			if whole && i >= 1 && i <= int64(len(list)) {
				h = listHint(list, int(i-1), e)
			}
		case lua.LString:
			key = string(k)
		case lua.LBool:
			key = bool(k)
		default:
			continue // tables and functions as keys mean nothing in a configuration
		}
		if f := fieldHint(fields, k.String()); f != nil {
			h = f
		}
		v, err := fz.entry(e, pos, h, depth)
		if err != nil {
			return nil, err
		}
		out.Fields = append(out.Fields, Field{Key: key, Value: v})
	}
	return out, nil
}

// entry freezes one entry of a table, at its own line where that is known.
func (fz *freezer) entry(v lua.LValue, pos Pos, h *hint, depth int) (Value, error) {
	var from []*ast.TableExpr
	if h != nil {
		pos.Line = h.line
		if t, ok := h.value.(*ast.TableExpr); ok {
			from = []*ast.TableExpr{t}
		}
	}
	return fz.freeze(v, pos, from, depth+1)
}
