package lua

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/yuin/gopher-lua/ast"

	"rosterd/plugins/lua/vm"
)

// Outline is what can be said of a script by looking at it.
type Outline struct {
	Options []OptionUse
	URLs    []Remark // that begin an http.request as they are written
	Odd     []Remark // what runs, and is perhaps not what was meant
}

// OptionUse is an option that a script asks for by name.
type OptionUse struct {
	Name    string
	Type    string // "string", "number"…; "" is any
	Default string // as it is written; "" if there is none or it is no constant
	Must    bool   // the script does not run without it
	Line    int
}

// Remark is about a line.
type Remark struct {
	Line int
	Text string
	Note bool // to be known, and not a mistake by itself
}

// Describe reads a script without running it. A script that cannot be parsed is described as empty: opening it says why.
func Describe(file string, code []byte) Outline {
	chunk, err := vm.Parse(file, code)
	if err != nil {
		return Outline{}
	}
	d := &describer{inner: map[string]bool{}, empty: map[string]int{}}
	for _, s := range chunk {
		d.outermost(s)
	}
	d.visit(reflect.ValueOf(chunk), surroundings{})
	byLine := func(a, b Remark) int { return a.Line - b.Line }
	slices.SortStableFunc(d.out.URLs, byLine)
	slices.SortStableFunc(d.out.Odd, byLine)
	return d.out
}

type describer struct {
	out   Outline
	empty map[string]int  // lines of the script's own locals that begin as {}
	inner map[string]bool // names that functions declare too
	must  map[ast.Expr]bool
	load  *ast.FunctionExpr // module.load, which is as the script itself
}

// surroundings are where a piece of a script stands.
type surroundings struct{ function, loop bool }

func (d *describer) outermost(s ast.Stmt) {
	local, ok := s.(*ast.LocalAssignStmt)
	if !ok || len(local.Names) != len(local.Exprs) {
		return
	}
	for i, e := range local.Exprs {
		if t, ok := e.(*ast.TableExpr); ok && len(t.Fields) == 0 {
			d.empty[local.Names[i]] = t.Line()
		}
	}
}

// visit goes through a syntax tree, whatever its nodes are.
func (d *describer) visit(v reflect.Value, in surroundings) {
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		if v.IsNil() {
			return
		}
		if v.Kind() == reflect.Pointer {
			in = d.node(v.Interface(), in)
		}
		d.visit(v.Elem(), in)
	case reflect.Slice:
		for i := range v.Len() {
			d.visit(v.Index(i), in)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				d.visit(v.Field(i), in)
			}
		}
	}
}

func (d *describer) node(n any, in surroundings) surroundings {
	switch t := n.(type) {
	case *ast.FunctionExpr:
		if t.ParList != nil {
			for _, name := range t.ParList.Names {
				d.inner[name] = true
			}
		}
		return surroundings{function: t != d.load}
	case *ast.FuncDefStmt:
		if field, ok := t.Name.Func.(*ast.AttrGetExpr); ok {
			object, _ := field.Object.(*ast.IdentExpr)
			key, ok := field.Key.(*ast.StringExpr)
			switch {
			case ok && nameOf(object) == "module" && key.Value == "load":
				d.load = t.Func
			case ok && key.Value == "get_sasl_handler":
				d.odd(t.Line(), "get_sasl_handler is not called: what it checks beyond test_password and is_enabled belongs into test_password")
			}
		}
	case *ast.LocalAssignStmt:
		for _, name := range t.Names {
			if in.function {
				d.inner[name] = true
			}
		}
	case *ast.WhileStmt, *ast.RepeatStmt, *ast.NumberForStmt, *ast.GenericForStmt:
		in.loop = true
	case *ast.AssignStmt:
		d.assigned(t, in)
	case *ast.FuncCallExpr:
		d.called(t, in)
	}
	return in
}

// assigned finds tables that are meant to outlive a call.
func (d *describer) assigned(t *ast.AssignStmt, in surroundings) {
	if !in.function {
		return
	}
	for _, e := range t.Lhs {
		field, ok := e.(*ast.AttrGetExpr)
		if !ok {
			continue
		}
		id, ok := field.Object.(*ast.IdentExpr)
		if line := d.empty[nameOf(id)]; ok && line > 0 && !d.inner[id.Value] {
			d.odd(field.Line(), "%s is filled in a function, and is empty again in the next call: what is to last belongs into module:open_store", id.Value)
			delete(d.empty, id.Value)
		}
	}
}

func nameOf(id *ast.IdentExpr) string {
	if id == nil {
		return ""
	}
	return id.Value
}

func (d *describer) odd(line int, format string, args ...any) {
	d.out.Odd = append(d.out.Odd, Remark{Line: line, Text: fmt.Sprintf(format, args...)})
}

func (d *describer) called(c *ast.FuncCallExpr, in surroundings) {
	if f, ok := c.Func.(*ast.IdentExpr); ok && f.Value == "assert" && len(c.Args) > 0 {
		if d.must == nil {
			d.must = map[ast.Expr]bool{}
		}
		d.must[c.Args[0]] = true
	}
	method, args := c.Method, c.Args
	if f, ok := c.Func.(*ast.AttrGetExpr); ok {
		if key, ok := f.Key.(*ast.StringExpr); ok {
			method = key.Value
		}
	}
	if len(args) == 0 {
		return
	}
	first, constant := args[0].(*ast.StringExpr)
	switch {
	case constant && c.Method != "" && (method == "get_option" || strings.HasPrefix(method, "get_option_")):
		d.option(c, first.Value, in)
	case method == "request":
		d.request(c, args[0], in)
	}
}

func (d *describer) option(c *ast.FuncCallExpr, name string, in surroundings) {
	use := OptionUse{Name: name, Type: strings.TrimPrefix(strings.TrimPrefix(c.Method, "get_option"), "_"), Line: c.Line()}
	use.Must = d.must[c]
	if len(c.Args) > 1 {
		use.Default = asWritten(c.Args[1])
	} else if use.Type == "url_template" {
		use.Must = true
	}
	if in.function {
		d.odd(c.Line(), "option %s is read in a function: read it at the top, where a mistake in it is found when the script is opened", name)
	}
	if !slices.ContainsFunc(d.out.Options, func(o OptionUse) bool { return o.Name == name }) {
		d.out.Options = append(d.out.Options, use)
	}
}

func (d *describer) request(c *ast.FuncCallExpr, url ast.Expr, in surroundings) {
	if in.loop {
		d.out.Odd = append(d.out.Odd, Remark{c.Line(), fmt.Sprintf("a request in each turn of a loop: a call may send %d", maxRequests), true})
	}
	for {
		joined, ok := url.(*ast.StringConcatOpExpr)
		if !ok {
			break
		}
		url = joined.Lhs
	}
	if s, ok := url.(*ast.StringExpr); ok && (strings.HasPrefix(s.Value, "http://") || strings.HasPrefix(s.Value, "https://")) {
		d.out.URLs = append(d.out.URLs, Remark{Line: c.Line(), Text: s.Value})
	}
}

// asWritten is a constant as the script has it.
func asWritten(e ast.Expr) string {
	switch t := e.(type) {
	case *ast.StringExpr:
		return strconv.Quote(t.Value)
	case *ast.NumberExpr:
		return t.Value
	case *ast.TrueExpr:
		return "true"
	case *ast.FalseExpr:
		return "false"
	case *ast.UnaryMinusOpExpr:
		if s := asWritten(t.Expr); s != "" {
			return "-" + s
		}
	case *ast.TableExpr:
		parts := make([]string, 0, len(t.Fields))
		for _, f := range t.Fields {
			s := asWritten(f.Value)
			if f.Key != nil || s == "" {
				return "{ … }"
			}
			parts = append(parts, s)
		}
		if len(parts) == 0 {
			return "{}"
		}
		return "{ " + strings.Join(parts, ", ") + " }"
	}
	return ""
}
