package vm

import "github.com/yuin/gopher-lua/ast"

// fillGenericFor gives a generic for its three values: function, state and last key. Where the variables are fewer
// than three, gopher-lua makes nil only as many as there are variables, or lets a call bring as many as it likes, and
// the rest is what the registers held before: "for item in set" begins anywhere.
func fillGenericFor(s *ast.GenericForStmt) {
	last := s.Exprs[len(s.Exprs)-1]
	if manyValues(last) {
		for len(s.Exprs) > 1 && len(s.Names) < 3 {
			s.Names = append(s.Names, "(for value)")
		}
		return
	}
	for len(s.Exprs) < 3 {
		s.Exprs = append(s.Exprs, at(last.Line(), &ast.NilExpr{}))
	}
}
