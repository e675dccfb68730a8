package config

import (
	"strconv"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
)

// The Lua machine knows the line of a statement, not that of an entry in a long table. The syntax
// tree does: an outline holds the expressions of a file by the line that the machine will report, so
// that a value can be joined with the expression it came from. Values made by code keep the line of
// their statement.

type place struct {
	line int
	name string
}

// An outline is what a file assigns and appends, by line.
type outline struct {
	assigned map[place]ast.Expr         // name = expr
	called   map[place][]*ast.TableExpr // name { … }, name:append { … }
	hosts    map[int][]*ast.TableExpr   // VirtualHost "h" { … }, by line alone
	locals   map[string]*ast.TableExpr  // local name = { … }; nil if there are several
}

func outlineOf(chunk []ast.Stmt) *outline {
	o := &outline{
		assigned: map[place]ast.Expr{},
		called:   map[place][]*ast.TableExpr{},
		hosts:    map[int][]*ast.TableExpr{},
		locals:   map[string]*ast.TableExpr{},
	}
	o.stmts(chunk)
	return o
}

func (o *outline) stmts(list []ast.Stmt) {
	for _, s := range list {
		o.stmt(s)
	}
}

func (o *outline) stmt(s ast.Stmt) {
	switch s := s.(type) {
	case *ast.AssignStmt:
		for i, l := range s.Lhs {
			if id, ok := l.(*ast.IdentExpr); ok && i < len(s.Rhs) {
				o.assigned[place{id.Line(), id.Value}] = s.Rhs[i]
			}
		}
		o.exprs(s.Rhs)
	case *ast.LocalAssignStmt:
		for i, name := range s.Names {
			if i >= len(s.Exprs) {
				break
			}
			if t, ok := s.Exprs[i].(*ast.TableExpr); ok {
				if _, again := o.locals[name]; again {
					t = nil
				}
				o.locals[name] = t
			}
		}
		o.exprs(s.Exprs)
	case *ast.FuncCallStmt:
		o.expr(s.Expr)
	case *ast.DoBlockStmt:
		o.stmts(s.Stmts)
	case *ast.WhileStmt:
		o.stmts(s.Stmts)
	case *ast.RepeatStmt:
		o.stmts(s.Stmts)
	case *ast.IfStmt:
		o.stmts(s.Then)
		o.stmts(s.Else)
	case *ast.NumberForStmt:
		o.stmts(s.Stmts)
	case *ast.GenericForStmt:
		o.stmts(s.Stmts)
	case *ast.FuncDefStmt:
		o.stmts(s.Func.Stmts)
	case *ast.ReturnStmt:
		o.exprs(s.Exprs)
	}
}

func (o *outline) exprs(list []ast.Expr) {
	for _, e := range list {
		o.expr(e)
	}
}

// expr looks for calls with a table, and into functions.
func (o *outline) expr(e ast.Expr) {
	switch e := e.(type) {
	case *ast.FunctionExpr:
		o.stmts(e.Stmts)
	case *ast.FuncCallExpr:
		o.call(e)
	}
}

func (o *outline) call(c *ast.FuncCallExpr) {
	for f := c; f != nil; {
		var next *ast.FuncCallExpr
		if len(f.Args) == 1 {
			if t, ok := f.Args[0].(*ast.TableExpr); ok {
				next = o.callee(f, t)
			}
		}
		if next == nil {
			next, _ = f.Func.(*ast.FuncCallExpr)
		}
		o.exprs(f.Args)
		f = next
	}
}

// callee files the table under what is called with it, and returns the call before it in a chain.
func (o *outline) callee(f *ast.FuncCallExpr, t *ast.TableExpr) *ast.FuncCallExpr {
	target := f.Func
	if f.Receiver != nil {
		target = f.Receiver
	}
	switch target := target.(type) {
	case *ast.IdentExpr:
		at := place{f.Line(), target.Value}
		o.called[at] = append(o.called[at], t)
	case *ast.FuncCallExpr:
		o.hosts[f.Line()] = append(o.hosts[f.Line()], t)
		return target
	}
	return nil
}

// table is the table that an expression writes down, itself or by the name of a local.
func (o *outline) table(e ast.Expr) *ast.TableExpr {
	switch e := e.(type) {
	case *ast.TableExpr:
		return e
	case *ast.IdentExpr:
		return o.locals[e.Value]
	}
	return nil
}

// A hint is an entry of a table as it is written.
type hint struct {
	key   string // of a field that has a constant one
	line  int
	value ast.Expr
	used  bool
}

// hints lists the entries of tables that were joined into one value: those of the list in order, and
// the fields.
func hints(tables []*ast.TableExpr) (list, fields []*hint) {
	for _, t := range tables {
		if t == nil {
			continue
		}
		before := len(list)
		for _, f := range t.Fields {
			if f.Key == nil {
				list = append(list, &hint{line: f.Value.Line(), value: f.Value})
			}
		}
		for _, f := range t.Fields {
			if f.Key == nil {
				continue
			}
			key, ok := constant(f.Key)
			_, text := f.Key.(*ast.StringExpr)
			switch {
			case ok && !text && key == strconv.Itoa(len(list)-before+1): // the rest of a long list has its places as keys
				list = append(list, &hint{line: f.Value.Line(), value: f.Value})
			case ok:
				fields = append(fields, &hint{key: key, line: f.Key.Line(), value: f.Value})
			}
		}
	}
	return list, fields
}

// matches reports whether the hint may be where v was written: v is a constant of the same value,
// or the expression is none.
func (h *hint) matches(v lua.LValue) bool {
	text, ok := constant(h.value)
	if !ok {
		return true
	}
	return v.String() == text
}

// constant is a literal as tostring would print its value.
func constant(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.StringExpr:
		return e.Value, true
	case *ast.NumberExpr:
		if f, err := strconv.ParseFloat(e.Value, 64); err == nil {
			return lua.LNumber(f).String(), true
		}
	case *ast.TrueExpr:
		return "true", true
	case *ast.FalseExpr:
		return "false", true
	case *ast.NilExpr:
		return "nil", true
	}
	return "", false
}

// listHint finds where entry i of a list, of value v, is written: in the same place of the table, or
// else wherever that very value stands that has not been claimed yet.
func listHint(list []*hint, i int, v lua.LValue) *hint {
	if i < len(list) && list[i].matches(v) {
		list[i].used = true
		return list[i]
	}
	for _, h := range list {
		if _, literal := constant(h.value); literal && !h.used && h.matches(v) {
			h.used = true
			return h
		}
	}
	return nil
}

// fieldHint finds where a field is written; the last one counts.
func fieldHint(fields []*hint, key string) *hint {
	for i := len(fields) - 1; i >= 0; i-- {
		if fields[i].key == key {
			return fields[i]
		}
	}
	return nil
}
