package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/yuin/gopher-lua/ast"

	"rosterd/plugins/lua/vm"
)

// Literal reads a value as it would be written in a configuration: "text", 5, true, { "a", "b" }, { a = 1 }. What does
// not begin like any of these is text as it is.
func Literal(s string) (any, error) {
	s = strings.TrimSpace(s)
	switch {
	case s == "true" || s == "false":
		return s == "true", nil
	case s == "" || !strings.ContainsAny(s[:1], `"'{`) && !strings.HasPrefix(s, "[["):
		if n, ok := numeral(strings.TrimPrefix(s, "-"), strings.HasPrefix(s, "-")); ok {
			return n, nil
		}
		return s, nil
	}
	chunk, err := vm.Parse("value", []byte("return "+s))
	if err != nil {
		return nil, fmt.Errorf("%q is no Lua value: %w", s, err)
	}
	if r, ok := chunk[0].(*ast.ReturnStmt); ok && len(chunk) == 1 && len(r.Exprs) == 1 {
		if v, ok := literal(r.Exprs[0]); ok {
			return v, nil
		}
	}
	return nil, fmt.Errorf("%q is not one value that is written out", s)
}

func numeral(s string, negative bool) (any, bool) {
	sign := 1
	if negative {
		sign = -1
	}
	digits, base := s, 10
	if hex, ok := strings.CutPrefix(strings.ToLower(s), "0x"); ok {
		digits, base = hex, 16
	}
	if n, err := strconv.ParseUint(digits, base, 63); err == nil {
		return int64(n) * int64(sign), true
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) || strings.Trim(s[:1], "0123456789.") != "" {
		return nil, false
	}
	return f * float64(sign), true
}

func literal(e ast.Expr) (any, bool) {
	switch t := e.(type) {
	case *ast.StringExpr:
		return t.Value, true
	case *ast.TrueExpr:
		return true, true
	case *ast.FalseExpr:
		return false, true
	case *ast.NumberExpr:
		return numeral(t.Value, false)
	case *ast.UnaryMinusOpExpr:
		if n, ok := t.Expr.(*ast.NumberExpr); ok {
			return numeral(n.Value, true)
		}
	case *ast.TableExpr:
		return literalTable(t)
	}
	return nil, false
}

// literalTable is a list, or a table with texts as keys.
func literalTable(t *ast.TableExpr) (any, bool) {
	list, fields := []any{}, map[string]any{}
	for _, f := range t.Fields {
		v, ok := literal(f.Value)
		if !ok {
			return nil, false
		}
		if f.Key == nil {
			list = append(list, v)
			continue
		}
		key, ok := f.Key.(*ast.StringExpr)
		if !ok {
			return nil, false
		}
		fields[key.Value] = v
	}
	if len(fields) == 0 {
		return list, true
	}
	for i, v := range list {
		fields[strconv.Itoa(i+1)] = v
	}
	return fields, true
}
