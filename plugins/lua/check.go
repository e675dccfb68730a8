package lua

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/yuin/gopher-lua/ast"
)

// unavailable is what a script is told that asks for something of Prosody or Lua that is not here, with what there is
// instead.
func unavailable(name string) string {
	key := libraryName(name)
	if strings.HasPrefix(key, "event ") {
		key = "other events"
	}
	if note := instead()[key]; note != "" {
		name += " (" + note + ")"
	}
	return "not available in rosterd: " + name
}

// instead are the notes about what is absent, by name. One about a method of module is also about the field.
var instead = sync.OnceValue(func() map[string]string {
	notes := map[string]string{}
	for _, e := range slices.Concat(moduleAPI, eventAPI, libraryAPI, languageAPI) {
		for _, name := range strings.Split(e.Name, ", ") {
			if e.Fit == Absent {
				notes[name] = e.Note
				notes[strings.Replace(name, "module:", "module.", 1)] = e.Note
			}
		}
	}
	return notes
})

// maxFindings bounds what is said of one script.
const maxFindings = 20

// check looks for everything a script names that it cannot have, without running it: globals that neither
// rosterd nor the script defines, modules for require, functions of those modules, methods of module. What a
// script computes at run time is caught when it runs.
func check(file string, chunk []ast.Stmt) (static, error) {
	c := &checker{assigned: map[string]bool{}, reads: map[int][]global{}}
	c.block(chunk, nil)
	for line, reads := range c.reads {
		for _, r := range reads {
			if !c.assigned[r.name] {
				c.found(line, r.what)
			}
		}
	}
	var errs []error
	for _, line := range slices.Sorted(maps.Keys(c.findings)) {
		for _, what := range c.findings[line] {
			if len(errs) == maxFindings {
				return static{}, errors.Join(append(errs, errors.New("and more"))...)
			}
			errs = append(errs, fmt.Errorf("%s:%d: %s", file, line, unavailable(what)))
		}
	}
	return static{c.assigned, c.promises}, errors.Join(errs...)
}

// static is what is known of a script without running it.
type static struct {
	assigns  map[string]bool // globals that it sets
	promises bool            // it works with promises, so that http.request gives it one
}

type checker struct {
	assigned map[string]bool  // globals that the script sets somewhere
	reads    map[int][]global // by line
	findings map[int][]string // by line
	promises bool
}

// promised are the libraries and the methods by which a script is known to work with promises.
var promised = names("util.promise util.async next catch finally")

// global is a use of a global that is wrong unless the script sets that global itself.
type global struct{ name, what string }

// scope is one block's local variables, and the module of require that each is known to hold, if any.
type scope struct {
	up   *scope
	vars map[string]string
}

func (s *scope) inner() *scope { return &scope{up: s, vars: map[string]string{}} }

func (s *scope) find(name string) (module string, ok bool) {
	for ; s != nil; s = s.up {
		if m, ok := s.vars[name]; ok {
			return m, true
		}
	}
	return "", false
}

func (c *checker) found(line int, what string) {
	if c.findings == nil {
		c.findings = map[int][]string{}
	}
	if !slices.Contains(c.findings[line], what) {
		c.findings[line] = append(c.findings[line], what)
	}
}

func (c *checker) block(stmts []ast.Stmt, s *scope) {
	s = s.inner()
	for _, st := range stmts {
		c.stmt(st, s)
	}
}

func (c *checker) stmt(st ast.Stmt, s *scope) {
	switch t := st.(type) {
	case *ast.AssignStmt:
		c.exprs(t.Rhs, s)
		for _, e := range t.Lhs {
			c.target(e, s)
		}
	case *ast.LocalAssignStmt:
		c.local(t, s)
	case *ast.FuncCallStmt:
		c.expr(t.Expr, s)
	case *ast.DoBlockStmt:
		c.block(t.Stmts, s)
	case *ast.WhileStmt:
		c.expr(t.Condition, s)
		c.block(t.Stmts, s)
	case *ast.RepeatStmt:
		in := s.inner() // the condition sees the block's locals
		for _, b := range t.Stmts {
			c.stmt(b, in)
		}
		c.expr(t.Condition, in)
	case *ast.IfStmt:
		c.expr(t.Condition, s)
		c.block(t.Then, s)
		c.block(t.Else, s)
	case *ast.NumberForStmt:
		c.exprs([]ast.Expr{t.Init, t.Limit, t.Step}, s)
		in := s.inner()
		in.vars[t.Name] = ""
		c.block(t.Stmts, in)
	case *ast.GenericForStmt:
		c.exprs(t.Exprs, s)
		in := s.inner()
		for _, n := range t.Names {
			in.vars[n] = ""
		}
		c.block(t.Stmts, in)
	case *ast.FuncDefStmt:
		if t.Name.Func != nil {
			c.target(t.Name.Func, s)
		}
		if t.Name.Receiver != nil {
			c.expr(t.Name.Receiver, s)
		}
		c.function(t.Func, s, t.Name.Method != "")
	case *ast.ReturnStmt:
		c.exprs(t.Exprs, s)
	}
}

func (c *checker) local(t *ast.LocalAssignStmt, s *scope) {
	if len(t.Names) == 1 && len(t.Exprs) == 1 {
		if f, ok := t.Exprs[0].(*ast.FunctionExpr); ok { // local function f: f sees itself
			s.vars[t.Names[0]] = ""
			c.function(f, s, false)
			return
		}
	}
	c.exprs(t.Exprs, s)
	for i, n := range t.Names {
		s.vars[n] = ""
		if i < len(t.Exprs) {
			s.vars[n] = c.module(t.Exprs[i], s)
		}
	}
}

// target is the left side of an assignment.
func (c *checker) target(e ast.Expr, s *scope) {
	switch t := e.(type) {
	case *ast.IdentExpr:
		if _, ok := s.find(t.Value); !ok {
			c.assigned[t.Value] = true
			return
		}
		for up := s; up != nil; up = up.up {
			if _, ok := up.vars[t.Value]; ok {
				up.vars[t.Value] = "" // no longer known
				return
			}
		}
	case *ast.AttrGetExpr:
		c.expr(t.Object, s)
		c.expr(t.Key, s)
		if k, ok := t.Key.(*ast.StringExpr); ok && c.isGlobal(t.Object, "module", s) && !moduleCallbacks[k.Value] {
			c.reads[t.Line()] = append(c.reads[t.Line()], global{"module", "module." + k.Value}) // a callback such as module.save
		}
	}
}

func (c *checker) exprs(list []ast.Expr, s *scope) {
	for _, e := range list {
		if e != nil {
			c.expr(e, s)
		}
	}
}

func (c *checker) expr(e ast.Expr, s *scope) {
	switch t := e.(type) {
	case *ast.IdentExpr:
		c.ident(t, s)
	case *ast.StringExpr: // require takes it, whichever way
		c.promises = c.promises || strings.Contains(t.Value, ".") && promised[libraryName(t.Value)]
	case *ast.AttrGetExpr:
		c.expr(t.Object, s)
		c.expr(t.Key, s)
		if k, ok := t.Key.(*ast.StringExpr); ok {
			c.member(t.Object, ".", k.Value, t.Line(), s)
		}
	case *ast.FuncCallExpr:
		c.call(t, s)
	case *ast.TableExpr:
		for _, f := range t.Fields {
			c.exprs([]ast.Expr{f.Key, f.Value}, s)
		}
	case *ast.FunctionExpr:
		c.function(t, s, false)
	case *ast.LogicalOpExpr:
		c.exprs([]ast.Expr{t.Lhs, t.Rhs}, s)
	case *ast.RelationalOpExpr:
		c.exprs([]ast.Expr{t.Lhs, t.Rhs}, s)
	case *ast.StringConcatOpExpr:
		c.exprs([]ast.Expr{t.Lhs, t.Rhs}, s)
	case *ast.ArithmeticOpExpr:
		c.exprs([]ast.Expr{t.Lhs, t.Rhs}, s)
	case *ast.UnaryMinusOpExpr:
		c.expr(t.Expr, s)
	case *ast.UnaryNotOpExpr:
		c.expr(t.Expr, s)
	case *ast.UnaryLenOpExpr:
		c.expr(t.Expr, s)
	}
}

func (c *checker) function(f *ast.FunctionExpr, s *scope, method bool) {
	in := s.inner()
	if method {
		in.vars["self"] = ""
	}
	if f.ParList != nil {
		for _, n := range f.ParList.Names {
			in.vars[n] = ""
		}
	}
	c.block(f.Stmts, in)
}

func (c *checker) ident(t *ast.IdentExpr, s *scope) {
	if _, isLocal := s.find(t.Value); !isLocal && !globals[t.Value] && standard[t.Value] == nil {
		c.reads[t.Line()] = append(c.reads[t.Line()], global{t.Value, t.Value})
	}
}

func (c *checker) call(t *ast.FuncCallExpr, s *scope) {
	c.exprs(t.Args, s)
	if t.Receiver != nil {
		c.promises = c.promises || promised[t.Method]
		c.expr(t.Receiver, s)
		c.member(t.Receiver, ":", t.Method, t.Line(), s)
		if t.Method == "hook" && len(t.Args) > 0 && c.isGlobal(t.Receiver, "module", s) {
			if event, ok := t.Args[0].(*ast.StringExpr); ok && event.Value != "roster-load" {
				c.reads[t.Line()] = append(c.reads[t.Line()], global{"module", "event " + event.Value})
			}
		}
		return
	}
	c.expr(t.Func, s)
	if name, ok := c.required(t, s); ok && libraries[libraryName(name)] == nil {
		c.reads[t.Line()] = append(c.reads[t.Line()], global{"require", name})
	}
}

// required is the X of require "X".
func (c *checker) required(e ast.Expr, s *scope) (string, bool) {
	t, ok := e.(*ast.FuncCallExpr)
	if !ok || !c.isGlobal(t.Func, "require", s) || len(t.Args) == 0 {
		return "", false
	}
	name, ok := t.Args[0].(*ast.StringExpr)
	if !ok {
		return "", false
	}
	return name.Value, true
}

func (c *checker) isGlobal(e ast.Expr, name string, s *scope) bool {
	id, ok := e.(*ast.IdentExpr)
	if !ok || id.Value != name {
		return false
	}
	_, isLocal := s.find(name)
	return !isLocal
}

// module is the name of the library that e is known to be, or LIBRARY.TABLE for a table in one, or "".
func (c *checker) module(e ast.Expr, s *scope) string {
	if a, ok := e.(*ast.AttrGetExpr); ok {
		return c.part(a, s)
	}
	if id, ok := e.(*ast.IdentExpr); ok {
		m, _ := s.find(id.Value)
		return m
	}
	if name, ok := c.required(e, s); ok && !c.assigned["require"] {
		return libraryName(name)
	}
	return ""
}

// member looks at object.name and object:name.
func (c *checker) member(object ast.Expr, sep, name string, line int, s *scope) {
	if c.isGlobal(object, "module", s) {
		if !moduleFields[name] && moduleMethods[name] == nil {
			c.reads[line] = append(c.reads[line], global{"module", "module" + sep + name})
		}
		return
	}
	if id, ok := object.(*ast.IdentExpr); ok && standard[id.Value] != nil && !standard[id.Value][name] && c.isGlobal(object, id.Value, s) {
		c.reads[line] = append(c.reads[line], global{id.Value, id.Value + sep + name})
		return
	}
	lib := c.module(object, s)
	if !knownIn(lib, name) {
		c.found(line, lib+"."+name)
	}
}

// part is LIBRARY.TABLE if that is what e is known to be, or "".
func (c *checker) part(e *ast.AttrGetExpr, s *scope) string {
	key, ok := e.Key.(*ast.StringExpr)
	lib := c.module(e.Object, s)
	if !ok || libraries[lib] == nil || libraries[lib].parts[key.Value] == nil {
		return ""
	}
	return lib + "." + key.Value
}

// knownIn tells whether a library, or a table in one, has a field. What is no library may have any.
func knownIn(lib, field string) bool {
	if d := libraries[lib]; d != nil {
		return d.provides(lib, field)
	}
	if i := strings.LastIndexByte(lib, '.'); i > 0 && libraries[lib[:i]] != nil && libraries[lib[:i]].parts[lib[i+1:]] != nil {
		return libraries[lib[:i]].parts[lib[i+1:]][field] != nil
	}
	return true
}
