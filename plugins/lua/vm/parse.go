package vm

import (
	"bytes"
	"fmt"
	"strconv"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
)

const (
	maxNesting = 200    // of blocks, brackets and operators; LUAI_MAXCCALLS in Lua
	maxItems   = 25_000 // items of a constructor without a key: gopher-lua loses those after 25 550, so the rest get one
	maxSource  = 1 << 20
)

// Parse reads a chunk of Lua (5.1 to 5.4) into gopher-lua's syntax tree. name
// is the file's name in messages. The error is a *SyntaxError.
//
// It takes the place of gopher-lua's own parser, which reads "\x41" as "x41",
// knows no <const> and no break inside a block, and says little about mistakes.
// What the VM cannot run (<close>, integers that a float64 cannot hold) is refused.
func Parse(name string, src []byte) (chunk []ast.Stmt, err error) {
	defer recoverSyntax(&err)
	if len(src) > maxSource {
		return nil, &SyntaxError{File: name, Line: 1, Msg: fmt.Sprintf("source is longer than %d bytes", maxSource)}
	}
	p := &parser{lexer: newLexer(name, src)}
	p.tok = p.lexer.next()
	chunk = p.block()
	if p.tok.kind != tEOF {
		p.expected("<eof>")
	}
	return chunk, nil
}

// Compile parses and compiles a chunk. States may share the result.
func Compile(name string, src []byte) (*lua.FunctionProto, error) {
	chunk, err := Parse(name, src)
	if err != nil {
		return nil, err
	}
	return CompileChunk(name, chunk)
}

// recoverSyntax turns the panic of a failing lexer, parser or mender into its error.
func recoverSyntax(err *error) {
	switch e := recover().(type) {
	case nil:
	case *SyntaxError:
		*err = e
	default:
		panic(e)
	}
}

// parser is a recursive descent parser after the grammar of the Lua 5.4
// manual, §9. tok is the current token, ahead the next if it was looked at.
type parser struct {
	*lexer
	tok   token
	ahead *token
	prev  token
	depth int

	slashes int // line of the last "//"
}

func (p *parser) advance() token {
	p.prev = p.tok
	if p.ahead != nil {
		p.tok, p.ahead = *p.ahead, nil
	} else {
		p.tok = p.lexer.next()
	}
	return p.prev
}

func (p *parser) lookahead() kind {
	if p.ahead == nil {
		t := p.lexer.next()
		p.ahead = &t
	}
	return p.ahead.kind
}

func (p *parser) errorNear(format string, args ...any) {
	hint := ""
	if p.slashes > 0 && p.tok.line-p.slashes <= 1 {
		hint = " (a comment begins with '--'; '//' divides)"
	}
	p.fail(p.tok.line, "%s near %s%s", fmt.Sprintf(format, args...), p.nearToken(p.tok), hint)
}

func (p *parser) expected(what string) { p.errorNear("%s expected", what) }

func quoted(k kind) string {
	if k == tName || k == tEOF {
		return k.String()
	}
	return "'" + k.String() + "'"
}

func (p *parser) accept(k kind) bool {
	if p.tok.kind != k {
		return false
	}
	p.advance()
	return true
}

func (p *parser) expect(k kind) token {
	if p.tok.kind != k {
		p.expected(quoted(k))
	}
	return p.advance()
}

// variable reads the name of a variable.
func (p *parser) variable() token {
	if p.tok.val == environment && p.tok.kind == tName {
		p.fail(p.tok.line, "'%s' is not available: use _G, or a table of your own", environment)
	}
	return p.expect(tName)
}

// environment is a variable in Lua 5.4 that changes what globals are.
const environment = "_ENV"

// expectMatch wants the k that closes what open began at line.
func (p *parser) expectMatch(k, open kind, line int) token {
	if p.tok.kind == k {
		return p.advance()
	}
	if line == p.tok.line {
		p.expected(quoted(k))
	}
	p.errorNear("%s expected (to close %s at line %d)", quoted(k), quoted(open), line)
	return token{}
}

func (p *parser) enter() {
	if p.depth++; p.depth > maxNesting {
		p.fail(p.tok.line, "nested too deeply (more than %d levels)", maxNesting)
	}
}

func (p *parser) leave() { p.depth-- }

func blockEnds(k kind) bool {
	return k == tEOF || k == tEnd || k == tElse || k == tElseif || k == tUntil
}

func (p *parser) block() []ast.Stmt {
	p.enter()
	defer p.leave()
	stmts := []ast.Stmt{}
	for !blockEnds(p.tok.kind) {
		if p.tok.kind == tReturn {
			return append(stmts, p.returnStmt())
		}
		if s := p.statement(); s != nil {
			stmts = append(stmts, s)
		}
	}
	return stmts
}

func (p *parser) returnStmt() ast.Stmt {
	s := &ast.ReturnStmt{}
	s.SetLine(p.advance().line)
	if !blockEnds(p.tok.kind) && p.tok.kind != ';' {
		s.Exprs = p.exprList()
	}
	p.accept(';')
	if !blockEnds(p.tok.kind) {
		p.errorNear("'return' must be the last statement of its block")
	}
	return s
}

// statement reads one statement; nil is the empty one.
func (p *parser) statement() ast.Stmt {
	line := p.tok.line
	var s ast.Stmt
	switch p.tok.kind {
	case ';':
		p.advance()
		return nil
	case tIf:
		return p.ifStmt()
	case tWhile:
		p.advance()
		w := &ast.WhileStmt{Condition: p.expr()}
		p.expect(tDo)
		w.Stmts = p.body(tWhile, line, w)
		return w
	case tDo:
		p.advance()
		d := &ast.DoBlockStmt{}
		d.Stmts = p.body(tDo, line, d)
		return d
	case tFor:
		return p.forStmt()
	case tRepeat:
		p.advance()
		r := &ast.RepeatStmt{Stmts: p.block()}
		p.expectMatch(tUntil, tRepeat, line)
		r.Condition = p.expr()
		r.SetLastLine(r.Condition.Line())
		s = r
	case tFunction:
		return p.functionStmt()
	case tLocal:
		p.advance()
		if p.accept(tFunction) {
			return p.localFunction(line)
		}
		s = p.localStmt()
	case tLabel:
		p.advance()
		l := &ast.LabelStmt{Name: p.expect(tName).val}
		p.expect(tLabel)
		s = l
	case tGoto:
		p.advance()
		s = &ast.GotoStmt{Label: p.expect(tName).val}
	case tBreak:
		p.advance()
		s = &ast.BreakStmt{}
	default:
		return p.exprStmt()
	}
	s.SetLine(line)
	return s
}

// body reads a block up to the 'end' that closes open, and marks the lines of s.
func (p *parser) body(open kind, line int, s ast.Stmt) []ast.Stmt {
	stmts := p.block()
	s.SetLine(line)
	s.SetLastLine(p.expectMatch(tEnd, open, line).line)
	return stmts
}

func (p *parser) ifStmt() ast.Stmt {
	first := p.tok.line
	var head, last *ast.IfStmt
	for {
		s := &ast.IfStmt{}
		s.SetLine(p.advance().line) // 'if' or 'elseif'
		s.Condition = p.expr()
		p.expect(tThen)
		s.Then = p.block()
		if head == nil {
			head = s
		} else {
			last.Else = []ast.Stmt{s}
		}
		last = s
		if p.tok.kind != tElseif {
			break
		}
	}
	if p.accept(tElse) {
		last.Else = p.block()
	}
	head.SetLastLine(p.expectMatch(tEnd, tIf, first).line)
	return head
}

func (p *parser) forStmt() ast.Stmt {
	line := p.advance().line
	name := p.variable().val
	switch p.tok.kind {
	case '=':
		p.advance()
		s := &ast.NumberForStmt{Name: name, Init: p.expr()}
		p.expect(',')
		s.Limit = p.expr()
		if p.accept(',') {
			s.Step = p.expr()
		}
		p.expect(tDo)
		s.Stmts = p.body(tFor, line, s)
		return s
	case ',', tIn:
		s := &ast.GenericForStmt{Names: []string{name}}
		for p.accept(',') {
			s.Names = append(s.Names, p.variable().val)
		}
		p.expect(tIn)
		s.Exprs = p.exprList()
		p.expect(tDo)
		s.Stmts = p.body(tFor, line, s)
		return s
	}
	p.expected("'=' or 'in'")
	return nil
}

func (p *parser) functionStmt() ast.Stmt {
	line := p.advance().line
	t := p.variable()
	name := &ast.FuncName{Func: ident(t)}
	for p.tok.kind == '.' || p.tok.kind == ':' {
		method := p.advance().kind == ':'
		key := p.expect(tName)
		if method {
			name = &ast.FuncName{Receiver: name.Func, Method: key.val}
			break
		}
		name.Func = attr(name.Func, stringExpr(key), key.line)
	}
	s := &ast.FuncDefStmt{Name: name, Func: p.funcBody(line)}
	s.SetLine(line)
	s.SetLastLine(s.Func.LastLine())
	return s
}

func (p *parser) localFunction(line int) ast.Stmt {
	name := p.variable().val
	f := p.funcBody(line)
	s := &ast.LocalAssignStmt{Names: []string{name}, Exprs: []ast.Expr{f}}
	s.SetLine(line)
	s.SetLastLine(f.LastLine())
	return s
}

// localStmt reads names with their attributes. <const> only guards against
// one's own mistakes and is dropped; <close> would have an effect that the VM
// does not have.
//
// "local _ENV = nil" only guards, too: against globals in the rest of the file.
func (p *parser) localStmt() ast.Stmt {
	s := &ast.LocalAssignStmt{Exprs: []ast.Expr{}}
	if p.tok.kind == tName && p.tok.val == environment && p.noGlobals() {
		s.Names = []string{environment}
		return s
	}
	for {
		s.Names = append(s.Names, p.variable().val)
		if p.accept('<') {
			switch a := p.expect(tName); a.val {
			case "const":
			case "close":
				p.fail(a.line, "attribute <close> is not available")
			default:
				p.fail(a.line, "unknown attribute '%s'", a.val)
			}
			p.expect('>')
		}
		if !p.accept(',') {
			break
		}
	}
	if !p.accept('=') {
		return s
	}
	start := p.tok.off
	s.Exprs = p.exprList()
	// "local f = function" is "local function f" to gopher-lua's compiler: f
	// would be known inside. With a second expression it is not.
	if _, ok := s.Exprs[0].(*ast.FunctionExpr); ok && len(s.Exprs) == 1 && len(s.Names) == 1 &&
		bytes.Contains(p.src[start:p.prev.end], []byte(s.Names[0])) {
		none := &ast.NilExpr{}
		none.SetLine(p.prev.line)
		s.Exprs = append(s.Exprs, none)
	}
	return s
}

// noGlobals reads "_ENV = nil" if that is all.
func (p *parser) noGlobals() bool {
	rest := *p.lexer
	if p.lookahead() != '=' {
		return false
	}
	rest.pos = p.ahead.end
	rest.line = p.ahead.line
	if rest.next().kind != tNil {
		return false
	}
	after := rest.next().kind
	if _, operator := precedence[after]; operator || after == ',' {
		return false
	}
	p.advance()
	p.advance()
	p.advance()
	return true
}

// exprStmt reads an assignment or a call.
func (p *parser) exprStmt() ast.Stmt {
	line := p.tok.line
	e, form := p.suffixed()
	if p.tok.kind != '=' && p.tok.kind != ',' {
		call, ok := e.(*ast.FuncCallExpr)
		if !ok || form != formCall {
			p.errorNear("syntax error")
		}
		s := &ast.FuncCallStmt{Expr: call}
		s.SetLine(line)
		return s
	}
	s := &ast.AssignStmt{Lhs: []ast.Expr{e}}
	s.SetLine(line)
	for {
		if form != formVar {
			p.errorNear("syntax error: cannot assign to this")
		}
		if !p.accept(',') {
			break
		}
		e, form = p.suffixed()
		s.Lhs = append(s.Lhs, e)
	}
	p.expect('=')
	s.Rhs = p.exprList()
	return s
}

func (p *parser) exprList() []ast.Expr {
	list := []ast.Expr{p.expr()}
	for p.accept(',') {
		list = append(list, p.expr())
	}
	return list
}

// form tells what a suffixed expression is good for.
type form int

const (
	formValue form = iota
	formVar        // may be assigned to
	formCall       // may be a statement
)

// suffixed reads a name or a parenthesized expression with what follows it:
// .name [key] :method(args) (args).
func (p *parser) suffixed() (ast.Expr, form) {
	e, f := p.primary()
	for {
		switch line := p.tok.line; p.tok.kind {
		case '.':
			p.advance()
			key := p.expect(tName)
			e, f = attr(e, stringExpr(key), e.Line()), formVar
		case '[':
			p.advance()
			key := p.expr()
			p.expectMatch(']', '[', line)
			e, f = attr(e, key, e.Line()), formVar
		case ':':
			p.advance()
			method := p.expect(tName)
			call := &ast.FuncCallExpr{Receiver: e, Method: method.val, Args: p.callArgs()}
			call.SetLine(method.line)
			e, f = call, formCall
		case '(', tString, '{':
			call := &ast.FuncCallExpr{Func: e, Args: p.callArgs()}
			call.SetLine(line)
			e, f = call, formCall
		default:
			return e, f
		}
	}
}

func (p *parser) primary() (ast.Expr, form) {
	switch p.tok.kind {
	case tName:
		return ident(p.variable()), formVar
	case '(':
		open := p.advance()
		e := p.expr()
		p.expectMatch(')', '(', open.line)
		switch e := e.(type) { // parentheses cut a list of values to one
		case *ast.Comma3Expr:
			e.AdjustRet = true
		case *ast.FuncCallExpr:
			e.AdjustRet = true
		}
		return e, formValue
	}
	p.errorNear("unexpected symbol")
	return nil, formValue
}

func (p *parser) callArgs() []ast.Expr {
	switch p.tok.kind {
	case tString:
		return []ast.Expr{stringExpr(p.advance())}
	case '{':
		return []ast.Expr{p.table()}
	case '(':
		open := p.advance()
		args := []ast.Expr{}
		if p.tok.kind != ')' {
			args = p.exprList()
		}
		p.expectMatch(')', '(', open.line)
		return args
	}
	p.expected("function arguments")
	return nil
}

// precedence of the binary operators, left and right (left > right binds to
// the right), Lua 5.4 §3.4.8.
var precedence = map[kind][2]int{
	tOr: {1, 1}, tAnd: {2, 2},
	'<': {3, 3}, '>': {3, 3}, tLe: {3, 3}, tGe: {3, 3}, tNe: {3, 3}, tEq: {3, 3},
	'|': {4, 4}, '~': {5, 5}, '&': {6, 6}, tShl: {7, 7}, tShr: {7, 7},
	tConcat: {9, 8},
	'+':     {10, 10}, '-': {10, 10},
	'*': {11, 11}, '/': {11, 11}, tIdiv: {11, 11}, '%': {11, 11},
	'^': {14, 13},
}

const unaryPrecedence = 12

func (p *parser) expr() ast.Expr { return p.binary(0) }

// binary reads an expression of operators that bind tighter than limit.
func (p *parser) binary(limit int) ast.Expr {
	p.enter()
	defer p.leave()
	e := p.unary()
	for {
		prec, ok := precedence[p.tok.kind]
		if !ok || prec[0] <= limit {
			return e
		}
		op := p.advance()
		if op.kind == tIdiv {
			p.slashes = op.line
		}
		e = binaryExpr(op, e, p.binary(prec[1]))
	}
}

func binaryExpr(op token, l, r ast.Expr) ast.Expr {
	var e ast.Expr
	switch sym := op.kind.String(); op.kind {
	case tOr, tAnd:
		if truth, ok := constant(l); ok {
			return decided(op.kind, truth, l, r)
		}
		e = &ast.LogicalOpExpr{Operator: sym, Lhs: l, Rhs: r}
	case tConcat:
		e = &ast.StringConcatOpExpr{Lhs: l, Rhs: r}
	case '+', '-', '*', '/', '%', '^', tIdiv, '&', '|', '~', tShl, tShr: // those that gopher-lua lacks become calls, see mender.operator
		e = &ast.ArithmeticOpExpr{Operator: sym, Lhs: l, Rhs: r}
	default:
		e = &ast.RelationalOpExpr{Operator: sym, Lhs: l, Rhs: r}
	}
	e.SetLine(op.line)
	return e
}

// constant says whether an expression is one, and whether it counts as true.
func constant(e ast.Expr) (truth, ok bool) {
	switch e.(type) {
	case *ast.NilExpr, *ast.FalseExpr:
		return false, true
	case *ast.TrueExpr, *ast.NumberExpr, *ast.StringExpr:
		return true, true
	}
	return false, false
}

// decided is "l and r" or "l or r" where l is a constant. gopher-lua compiles
// such an l to a jump, and a loop whose first instruction is a jump goes astray.
func decided(op kind, truth bool, l, r ast.Expr) ast.Expr {
	if truth == (op == tOr) {
		return l
	}
	oneValue(r)
	return r
}

func boolExpr(v bool) ast.Expr {
	if v {
		return &ast.TrueExpr{}
	}
	return &ast.FalseExpr{}
}

func (p *parser) unary() ast.Expr {
	var e ast.Expr
	switch line := p.tok.line; p.tok.kind {
	case '-':
		p.advance()
		e = &ast.UnaryMinusOpExpr{Expr: p.binary(unaryPrecedence)}
		e.SetLine(line)
	case tNot:
		p.advance()
		e = p.binary(unaryPrecedence)
		if truth, ok := constant(e); ok {
			e = boolExpr(!truth)
		} else {
			e = &ast.UnaryNotOpExpr{Expr: e}
		}
		e.SetLine(line)
	case '~':
		p.advance()
		e = &ast.ArithmeticOpExpr{Operator: bitNot, Lhs: p.binary(unaryPrecedence), Rhs: at(line, &ast.NumberExpr{Value: "0"})}
		e.SetLine(line)
	case '#':
		p.advance()
		e = &ast.UnaryLenOpExpr{Expr: p.binary(unaryPrecedence)}
		e.SetLine(line)
	default:
		e = p.simple()
	}
	return e
}

func (p *parser) simple() ast.Expr {
	var e ast.Expr
	switch p.tok.kind {
	case tNumber:
		e = &ast.NumberExpr{Value: p.tok.val}
	case tString:
		e = &ast.StringExpr{Value: p.tok.val}
	case tNil:
		e = &ast.NilExpr{}
	case tTrue:
		e = &ast.TrueExpr{}
	case tFalse:
		e = &ast.FalseExpr{}
	case tDots:
		e = &ast.Comma3Expr{}
	case '{':
		return p.table()
	case tFunction:
		return p.funcBody(p.advance().line)
	default:
		e, _ := p.suffixed()
		return e
	}
	e.SetLine(p.advance().line)
	return e
}

// funcBody reads parameters, block and 'end'; line is where 'function' stood.
func (p *parser) funcBody(line int) *ast.FunctionExpr {
	f := &ast.FunctionExpr{ParList: &ast.ParList{Names: []string{}}}
	open := p.expect('(')
	for p.tok.kind != ')' {
		if p.accept(tDots) {
			f.ParList.HasVargs = true
			break
		}
		f.ParList.Names = append(f.ParList.Names, p.variable().val)
		if !p.accept(',') {
			break
		}
		if p.tok.kind == ')' {
			p.expected("<name> or '...'")
		}
	}
	p.expectMatch(')', '(', open.line)
	f.Stmts = p.block()
	f.SetLine(line)
	f.SetLastLine(p.expectMatch(tEnd, tFunction, line).line)
	return f
}

func (p *parser) table() ast.Expr {
	p.enter()
	defer p.leave()
	open := p.advance()
	t := &ast.TableExpr{Fields: []*ast.Field{}}
	t.SetLine(open.line)
	items := 0
	for p.tok.kind != '}' && p.tok.kind != tEOF {
		f := p.field()
		t.Fields = append(t.Fields, f)
		if f.Key == nil {
			if items++; items > maxItems {
				f.Key = p.index(items, f.Value)
			}
		}
		if !p.accept(',') && !p.accept(';') {
			break
		}
	}
	p.expectMatch('}', '{', open.line)
	return t
}

// index writes the place of an item of a long list as its key.
func (p *parser) index(i int, value ast.Expr) ast.Expr {
	switch value.(type) {
	case *ast.FuncCallExpr, *ast.Comma3Expr: // at the end of a list it would be all its values
		p.fail(value.Line(), "a call or ... after more than %d items of a table", maxItems)
	}
	key := &ast.NumberExpr{Value: strconv.Itoa(i)}
	key.SetLine(value.Line())
	return key
}

func (p *parser) field() *ast.Field {
	switch {
	case p.tok.kind == '[':
		open := p.advance()
		key := p.expr()
		p.expectMatch(']', '[', open.line)
		p.expect('=')
		return &ast.Field{Key: key, Value: p.expr()}
	case p.tok.kind == tName && p.lookahead() == '=':
		key := stringExpr(p.advance())
		p.advance()
		return &ast.Field{Key: key, Value: p.expr()}
	}
	return &ast.Field{Value: p.expr()}
}

func ident(t token) *ast.IdentExpr {
	e := &ast.IdentExpr{Value: t.val}
	e.SetLine(t.line)
	return e
}

func stringExpr(t token) *ast.StringExpr {
	e := &ast.StringExpr{Value: t.val}
	e.SetLine(t.line)
	return e
}

func attr(object, key ast.Expr, line int) *ast.AttrGetExpr {
	e := &ast.AttrGetExpr{Object: object, Key: key}
	e.SetLine(line)
	return e
}
