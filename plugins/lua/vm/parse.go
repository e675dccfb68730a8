package vm

import (
	"bytes"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
	"github.com/yuin/gopher-lua/parse"
)

// Parse reads a chunk into gopher-lua's syntax tree. name is the file's name in
// messages. The error is a *SyntaxError.
func Parse(name string, src []byte) ([]ast.Stmt, error) {
	chunk, err := parse.Parse(bytes.NewReader(src), name)
	if err != nil {
		return nil, &SyntaxError{File: name, Msg: err.Error()}
	}
	return chunk, nil
}

// Compile parses and compiles a chunk. The result may be shared by states.
func Compile(name string, src []byte) (*lua.FunctionProto, error) {
	chunk, err := Parse(name, src)
	if err != nil {
		return nil, err
	}
	return CompileChunk(name, chunk)
}

// CompileChunk compiles what Parse returned.
func CompileChunk(name string, chunk []ast.Stmt) (*lua.FunctionProto, error) {
	proto, err := lua.Compile(chunk, name)
	if err != nil {
		return nil, &SyntaxError{File: name, Msg: err.Error()}
	}
	return proto, nil
}
