package vm

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
)

// What a function may hold before gopher-lua's compiler, which does not check,
// lets instruction fields run over or takes minutes.
const (
	maxRegisters    = 250     // of 256 that fit
	maxLocals       = 200     // as in Lua
	maxUpvalues     = 255     // as in Lua
	maxConstants    = 16_384  // in one function; the compiler searches them one by one
	maxSearched     = 1 << 29 // constants looked at in such searches, a second or two
	maxInstructions = 60_000  // jumps and labels reach twice as far
	maxDepth        = 400     // of the syntax tree; folding constants is quadratic in it
)

// CompileChunk compiles what Parse returned, and uses it up: it mends what
// gopher-lua would compile wrongly by changing the tree. Who wants to look at
// the tree does so before.
func CompileChunk(name string, chunk []ast.Stmt) (proto *lua.FunctionProto, err error) {
	defer recoverSyntax(&err)
	m := &mender{file: name, line: 1, operators: map[string]*lua.LFunction{}}
	defer m.untag()
	m.function(&ast.FunctionExpr{ParList: &ast.ParList{}, Stmts: chunk}, 0)
	proto, err = compileTagged(name, chunk)
	if err != nil {
		return nil, err
	}
	m.patch(proto)
	return proto, nil
}

// compileTagged calls gopher-lua's compiler, which also panics.
func compileTagged(name string, chunk []ast.Stmt) (proto *lua.FunctionProto, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &SyntaxError{File: name, Line: 1, Msg: fmt.Sprintf("cannot compile: %v", r)}
		}
	}()
	proto, err = lua.Compile(chunk, name)
	if ce := (*lua.CompileError)(nil); errors.As(err, &ce) {
		return nil, &SyntaxError{File: name, Line: max(ce.Line, 1), Msg: ce.Message}
	}
	return proto, err
}

// mender walks a chunk before gopher-lua compiles it, and its code after.
//
// It mends what gopher-lua 1.1.2 gets wrong without a word:
//   - {1, 2, x = f()} gets a third item, whatever f left on the stack;
//   - 50 items followed by "x =" or a last call overwrite the first ones;
//   - a, b = b, a and a = b and c do not always assign;
//   - a loop that begins with "if nil" ends where it likes;
//   - x .. y writes numbers its own way, and takes any amount of memory;
//   - x % 0 and a loop with step 0 are no errors;
//   - break and goto close too few or too many captured variables, so that
//     functions and their surroundings disagree about a variable's value.
//
// And it refuses by line what would overrun the fields of an instruction.
type mender struct {
	file  string
	tags  []tag
	depth int
	line  int // of the statement being walked
	fn    *function

	searched int // constants that the compiler will look at

	operators map[string]*lua.LFunction // that operators call, by their placeholder among the constants
}

// function is what must be known of the function being walked.
type function struct {
	outer  *function
	active int // local variables in scope = the next free register
	consts map[any]struct{}
	block  *block
	loops  []*loop
	breaks int
}

// block is a lexical block: where its labels stand, and the gotos that have
// found no label yet.
type block struct {
	outer   *block
	start   int // active at its begin
	repeat  bool
	labels  map[string]label
	pending []*jump
}

type label struct {
	active int
	line   int
	last   bool // only labels follow in the block
}

// loop is a loop around the current statement. Its breaks become gotos to
// label, which is set behind it.
type loop struct {
	label string
	used  bool
}

// jump is a goto with the registers in use where it stands.
type jump struct {
	active int
	tag    int
	line   int
	label  string
}

// tag marks a node, by a negative line, so that the instructions made of it
// are found again in the compiled code.
type tag struct {
	node ast.PositionHolder
	line int
	// for a goto, the first register that its OP_CLOSE closes;
	// for the last call of a constructor, -1: its OP_SETLIST is one batch short
	closeFrom int
}

const listTag = -1

func (m *mender) fail(format string, args ...any) {
	panic(&SyntaxError{File: m.file, Line: m.line, Msg: fmt.Sprintf(format, args...)})
}

func (m *mender) addTag(node ast.PositionHolder, closeFrom int) int {
	m.tags = append(m.tags, tag{node: node, line: node.Line(), closeFrom: closeFrom})
	node.SetLine(-len(m.tags))
	return len(m.tags) - 1
}

func (m *mender) untag() {
	for _, t := range m.tags {
		t.node.SetLine(t.line)
	}
}

func (m *mender) enter() {
	if m.depth++; m.depth > maxDepth {
		m.fail("nested too deeply: too many operators, calls or branches in one expression or statement")
	}
}

func (m *mender) leave() { m.depth-- }

// declare brings n local variables into scope.
func (m *mender) declare(n int) {
	if m.fn.active += n; m.fn.active > maxLocals {
		m.fail("too many local variables (limit is %d in one function)", maxLocals)
	}
}

// need says how many registers an expression or a list takes from here.
func (m *mender) need(n int) {
	if m.fn.active+n > maxRegisters {
		m.fail("expression or call with too many parts (limit is %d values at once)", maxRegisters)
	}
}

func (m *mender) constant(v any) {
	if m.fn.consts[v] = struct{}{}; len(m.fn.consts) > maxConstants {
		m.fail("too many different constants (limit is %d in one function)", maxConstants)
	}
	if m.searched += len(m.fn.consts); m.searched > maxSearched {
		m.fail("too many constants in large functions")
	}
}

// stmts walks a block, with its scope.
func (m *mender) stmts(list []ast.Stmt, repeat bool) {
	m.open(repeat)
	m.list(list)
	m.close()
}

func (m *mender) open(repeat bool) {
	m.fn.block = &block{outer: m.fn.block, start: m.fn.active, repeat: repeat, labels: map[string]label{}}
}

func (m *mender) list(list []ast.Stmt) {
	for i, s := range list {
		if l, ok := s.(*ast.LabelStmt); ok {
			m.setLabel(l, onlyLabels(list[i+1:]))
			continue
		}
		list[i] = m.stmt(s)
	}
}

func onlyLabels(list []ast.Stmt) bool {
	for _, s := range list {
		if _, ok := s.(*ast.LabelStmt); !ok {
			return false
		}
	}
	return true
}

func (m *mender) setLabel(s *ast.LabelStmt, last bool) {
	m.line = s.Line()
	b := m.fn.block
	if old, ok := b.labels[s.Name]; ok {
		m.fail("label '%s' already defined on line %d", s.Name, old.line)
	}
	b.labels[s.Name] = label{active: m.fn.active, line: s.Line(), last: last && !b.repeat}
}

// close ends a block: gotos that met no label in it look in the one around.
func (m *mender) close() {
	f, b := m.fn, m.fn.block
	for _, j := range b.pending {
		l, ok := b.labels[j.label]
		switch {
		case ok && l.active > j.active && !l.last:
			m.line = j.line
			m.fail("goto '%s' jumps into the scope of a local variable", j.label)
		case ok:
			m.tags[j.tag].closeFrom = min(j.active, l.active)
		case b.outer == nil:
			m.line = j.line
			m.fail("no visible label '%s' for goto", j.label)
		default:
			j.active = min(j.active, b.start)
			b.outer.pending = append(b.outer.pending, j)
		}
	}
	f.active, f.block = b.start, b.outer
}

func (m *mender) jump(s *ast.GotoStmt) {
	j := &jump{active: m.fn.active, line: s.Line(), label: s.Label}
	s.SetLastLine(s.Line()) // the compiler asks the last statement of a block for it
	j.tag = m.addTag(s, m.fn.active)
	for b := m.fn.block; b != nil; b = b.outer {
		if l, ok := b.labels[s.Label]; ok {
			m.tags[j.tag].closeFrom = min(j.active, l.active)
			return
		}
	}
	m.fn.block.pending = append(m.fn.block.pending, j)
}

// stmt walks a statement and returns what takes its place.
func (m *mender) stmt(s ast.Stmt) ast.Stmt {
	m.enter()
	defer m.leave()
	m.line = s.Line()
	switch s := s.(type) {
	case *ast.AssignStmt:
		return m.assign(s)
	case *ast.LocalAssignStmt:
		m.local(s)
	case *ast.FuncCallStmt:
		m.need(m.expr(&s.Expr))
	case *ast.DoBlockStmt:
		m.stmts(s.Stmts, false)
	case *ast.IfStmt:
		m.condition(&s.Condition)
		m.stmts(s.Then, false)
		m.stmts(s.Else, false)
	case *ast.FuncDefStmt:
		m.functionStmt(s)
	case *ast.ReturnStmt:
		m.need(m.exprs(s.Exprs))
	case *ast.GotoStmt:
		m.jump(s)
	case *ast.BreakStmt:
		return m.breakStmt(s)
	case *ast.WhileStmt, *ast.RepeatStmt, *ast.NumberForStmt, *ast.GenericForStmt:
		return m.loop(s)
	}
	return s
}

// assign walks an assignment. gopher-lua computes into a local variable while
// it still reads others, and sometimes does not come to write it: "a, b = b, a"
// gives two equal values, "a = t.none and 1" leaves a as it was. Such an
// assignment is taken apart:
//
//	do local (v 0), (v 1) = b, a; b = (v 1); a = (v 0) end
func (m *mender) assign(s *ast.AssignStmt) ast.Stmt {
	if len(s.Lhs) > 1 || len(s.Rhs) > 1 || !direct(s.Lhs[0], s.Rhs[0]) {
		do := apart(s)
		m.stmts(do.Stmts, false)
		return do
	}
	m.need(4 + max(m.expr(&s.Lhs[0]), m.expr(&s.Rhs[0])))
	return s
}

// direct says whether gopher-lua compiles target = e rightly as it stands.
func direct(target, e ast.Expr) bool {
	if _, ok := target.(*ast.IdentExpr); !ok {
		return true
	}
	switch e := e.(type) {
	case *ast.LogicalOpExpr:
		return false
	case *ast.FuncCallExpr:
		return !e.AdjustRet
	case *ast.Comma3Expr:
		return !e.AdjustRet
	}
	return !becomesCall(e)
}

func apart(s *ast.AssignStmt) *ast.DoBlockStmt {
	values := &ast.LocalAssignStmt{}
	temporary := func(kind string, i int, e ast.Expr) ast.Expr {
		name := fmt.Sprintf("(%s %d)", kind, i)
		values.Names = append(values.Names, name)
		if e != nil {
			values.Exprs = append(values.Exprs, e)
		}
		return at(s.Lhs[i].Line(), &ast.IdentExpr{Value: name})
	}
	targets := make([]ast.Expr, len(s.Lhs))
	for i, l := range s.Lhs { // what the targets are is found out before the values
		targets[i] = l
		if a, ok := l.(*ast.AttrGetExpr); ok {
			target := &ast.AttrGetExpr{Object: temporary("o", i, a.Object), Key: a.Key}
			if _, ok := a.Key.(*ast.StringExpr); !ok {
				target.Key = temporary("k", i, a.Key)
			}
			targets[i] = at(l.Line(), target)
		}
	}
	for _, e := range values.Exprs {
		oneValue(e)
	}
	do := &ast.DoBlockStmt{Stmts: []ast.Stmt{at(s.Line(), values)}}
	for i := range targets {
		v := temporary("v", i, nil)
		do.Stmts = append(do.Stmts, at(s.Lhs[i].Line(), &ast.AssignStmt{Lhs: []ast.Expr{targets[i]}, Rhs: []ast.Expr{v}}))
	}
	slices.Reverse(do.Stmts[1:]) // the order in which Lua assigns
	values.Exprs = append(values.Exprs, s.Rhs...)
	return at(s.Line(), do)
}

// at gives a new node its line.
func at[N ast.PositionHolder](line int, n N) N {
	n.SetLine(line)
	n.SetLastLine(line)
	return n
}

func (m *mender) local(s *ast.LocalAssignStmt) {
	m.need(max(len(s.Names), m.exprs(s.Exprs)))
	m.declare(len(s.Names))
}

func (m *mender) functionStmt(s *ast.FuncDefStmt) {
	params := 0
	if s.Name.Func != nil {
		m.need(3 + m.expr(&s.Name.Func))
	} else {
		m.need(3 + m.expr(&s.Name.Receiver))
		m.constant(s.Name.Method)
		params = 1 // self
	}
	m.function(s.Func, params)
}

func (m *mender) function(f *ast.FunctionExpr, params int) {
	m.fn = &function{outer: m.fn, consts: map[any]struct{}{}}
	m.declare(params + len(f.ParList.Names))
	m.open(false)
	m.list(f.Stmts)
	m.close()
	m.fn = m.fn.outer
}

func (m *mender) breakStmt(s *ast.BreakStmt) ast.Stmt {
	loops := m.fn.loops
	if len(loops) == 0 {
		m.fail("break outside a loop")
	}
	l := loops[len(loops)-1]
	l.used = true
	g := &ast.GotoStmt{Label: l.label}
	g.SetLine(s.Line())
	m.jump(g)
	return g
}

func (m *mender) loop(s ast.Stmt) ast.Stmt {
	l := &loop{label: fmt.Sprintf("(break %d)", m.fn.breaks)}
	m.fn.breaks++
	m.open(false)
	m.fn.loops = append(m.fn.loops, l)
	switch s := s.(type) {
	case *ast.WhileStmt:
		m.condition(&s.Condition)
		m.stmts(s.Stmts, false)
	case *ast.RepeatStmt:
		m.open(true)
		m.list(s.Stmts)
		m.condition(&s.Condition)
		m.close()
	case *ast.NumberForStmt:
		head := []ast.Expr{s.Init, s.Limit}
		if s.Step != nil {
			head = append(head, s.Step)
		}
		m.need(1 + m.exprs(head))
		s.Init, s.Limit = head[0], head[1]
		if s.Step != nil {
			s.Step = m.step(head[2])
		}
		m.forBody(1, s.Stmts)
	case *ast.GenericForStmt:
		fillGenericFor(s)
		m.need(3 + m.exprs(s.Exprs))
		m.forBody(len(s.Names), s.Stmts)
	}
	m.fn.loops = m.fn.loops[:len(m.fn.loops)-1]
	if l.used {
		m.fn.block.labels[l.label] = label{active: m.fn.active, last: true}
	}
	m.close()
	if !l.used {
		return s
	}
	end := &ast.LabelStmt{Name: l.label}
	end.SetLine(max(s.Line(), s.LastLine()))
	do := &ast.DoBlockStmt{Stmts: []ast.Stmt{s, end}}
	do.SetLine(s.Line())
	do.SetLastLine(end.Line())
	return do
}

// condition walks the condition of a branch or a loop. If it is false or nil,
// gopher-lua makes a jump of it, which must not be the first instruction of a
// loop: the jump back to it would be led astray. 0 == 1 is a comparison first.
func (m *mender) condition(e *ast.Expr) {
	if truth, ok := constant(*e); ok && !truth {
		line := (*e).Line()
		*e = at(line, &ast.RelationalOpExpr{
			Operator: "==",
			Lhs:      at(line, &ast.NumberExpr{Value: "0"}),
			Rhs:      at(line, &ast.NumberExpr{Value: "1"}),
		})
	}
	m.need(m.expr(e))
}

// forBody walks the body of a for loop, which has three hidden variables.
func (m *mender) forBody(names int, body []ast.Stmt) {
	m.open(false)
	m.declare(3 + names)
	m.list(body)
	m.close()
}

// exprs walks a list and returns the registers it takes.
func (m *mender) exprs(list []ast.Expr) int {
	n := len(list)
	for i := range list {
		n = max(n, i+m.expr(&list[i]))
	}
	return n
}

type numeral string // a number among the constants

// expr walks an expression, which may be replaced, and returns how many registers it may take.
func (m *mender) expr(slot *ast.Expr) int {
	m.enter()
	defer m.leave()
	if line := (*slot).Line(); line > 0 {
		m.line = line
	}
	if call := m.operator(*slot); call != nil {
		*slot = call
		return 1 + m.exprs(call.Args)
	}
	switch e := (*slot).(type) {
	case *ast.StringExpr:
		m.text(e.Value)
	case *ast.NumberExpr:
		m.constant(numeral(e.Value))
	case *ast.IdentExpr:
		m.constant(e.Value)
	case *ast.AttrGetExpr:
		return m.pair(&e.Object, &e.Key)
	case *ast.ArithmeticOpExpr:
		return m.pair(&e.Lhs, &e.Rhs)
	case *ast.RelationalOpExpr:
		return m.pair(&e.Lhs, &e.Rhs)
	case *ast.LogicalOpExpr:
		return m.pair(&e.Lhs, &e.Rhs)
	case *ast.UnaryMinusOpExpr:
		return m.expr(&e.Expr)
	case *ast.UnaryNotOpExpr:
		return m.expr(&e.Expr)
	case *ast.UnaryLenOpExpr:
		return m.expr(&e.Expr)
	case *ast.FuncCallExpr:
		return m.call(e)
	case *ast.TableExpr:
		return m.table(e)
	case *ast.FunctionExpr:
		m.function(e, 0)
	}
	return 1
}

// pair is two expressions in registers side by side.
func (m *mender) pair(l, r *ast.Expr) int {
	return max(m.expr(l), 1+m.expr(r))
}

func (m *mender) call(e *ast.FuncCallExpr) int {
	if e.Func != nil {
		return max(m.expr(&e.Func), 1+m.exprs(e.Args))
	}
	m.constant(e.Method)
	return max(m.expr(&e.Receiver), 2+m.exprs(e.Args))
}

// table mends a constructor; see mender.
func (m *mender) table(t *ast.TableExpr) int {
	last := len(t.Fields) - 1
	for i, f := range t.Fields {
		if f.Key != nil || i < last {
			oneValue(f.Value)
		}
	}
	t.Fields = keysBeforeFlush(t.Fields)
	n, items := 1, 0
	for i, f := range t.Fields {
		base := 1 + items%lua.FieldsPerFlush
		if f.Key != nil {
			n = max(n, base+m.pair(&f.Key, &f.Value))
			continue
		}
		n = max(n, base+m.expr(&f.Value))
		if i == last && manyValues(f.Value) && items > 0 && items%lua.FieldsPerFlush == 0 {
			m.addTag(f.Value, listTag)
		}
		items++
	}
	return n
}

// manyValues says whether e gives a list of values, as gopher-lua decides it.
func manyValues(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.FuncCallExpr:
		return !e.AdjustRet
	case *ast.Comma3Expr:
		return !e.AdjustRet
	}
	return false
}

// oneValue cuts a list of values to one, as parentheses do.
func oneValue(e ast.Expr) {
	switch e := e.(type) {
	case *ast.FuncCallExpr:
		e.AdjustRet = true
	case *ast.Comma3Expr:
		e.AdjustRet = true
	}
}

// keysBeforeFlush moves fields with keys that directly follow a full batch of
// items to before the last item of that batch.
func keysBeforeFlush(fields []*ast.Field) []*ast.Field {
	out := make([]*ast.Field, 0, len(fields))
	items, lastItem := 0, 0
	for _, f := range fields {
		switch {
		case f.Key == nil:
			lastItem = len(out)
			out = append(out, f)
			items++
		case items > 0 && items%lua.FieldsPerFlush == 0:
			out = slices.Insert(out, lastItem, f)
			lastItem++
		default:
			out = append(out, f)
		}
	}
	return out
}

// Instruction fields of gopher-lua 1.1.2: opcode 6 bits, A 8, C 9, B 9.
const (
	opShift, aShift, cShift = 26, 18, 9
	aMask, bcMask           = 0xff, 0x1ff
)

// patch follows the tags into the compiled code, and checks its size.
func (m *mender) patch(p *lua.FunctionProto) {
	m.line = max(p.LineDefined, 1)
	if len(p.Code) > maxInstructions {
		m.fail("function or file too large (limit is %d instructions)", maxInstructions)
	}
	if len(p.DbgUpvalues) > maxUpvalues {
		m.fail("function uses too many outer local variables (limit is %d)", maxUpvalues)
	}
	for pc, line := range p.DbgSourcePositions {
		if line >= 0 {
			continue
		}
		t := m.tags[-line-1]
		p.DbgSourcePositions[pc] = t.line
		inst := &p.Code[pc]
		switch op := int(*inst >> opShift); {
		case op == lua.OP_CLOSE && t.closeFrom != listTag:
			*inst = *inst&^(aMask<<aShift) | uint32(t.closeFrom)<<aShift
		case op == lua.OP_SETLIST && t.closeFrom == listTag && *inst&bcMask == 0:
			*inst += 1 << cShift
		}
	}
	for i, c := range p.Constants {
		if s, ok := c.(lua.LString); ok && strings.HasPrefix(string(s), placeholder) {
			p.Constants[i] = m.operators[string(s)]
		}
	}
	for _, inner := range p.FunctionPrototypes {
		m.patch(inner)
	}
}
