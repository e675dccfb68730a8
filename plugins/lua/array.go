package lua

import glua "github.com/yuin/gopher-lua"

// arrayEvents are what an array answers as util.array says.
var arrayEvents = []string{"__index", "__tostring", "__add", "__div", "__eq"}

// buildArrays makes the metatable of the arrays of JSON and of util.array, which are the same, as in Prosody. Few
// scripts ask the arrays of JSON for more than their items: before one does, the library is not run.
func (m *machine) buildArrays(l *glua.LState) {
	m.arrays = m.kinds["util.array"]
	for _, event := range arrayEvents {
		m.arrays.RawSetString(event, l.NewFunction(func(l *glua.LState) int { return m.firstOfArrays(l, event) }))
	}
}

// firstOfArrays is the first event of any array in this machine: it runs the library, which puts its own functions
// into the metatable, and lets them answer.
func (m *machine) firstOfArrays(l *glua.LState, event string) int {
	if _, ok := l.Get(2).(glua.LString); event == "__index" && !ok {
		return 0 // past the end of the list
	}
	m.library(l, "util.array")
	answer := m.arrays.RawGetString(event)
	if methods, ok := answer.(*glua.LTable); ok {
		l.Push(methods.RawGet(l.Get(2)))
		return 1
	}
	l.Insert(answer, 1)
	l.Call(l.GetTop()-1, 1)
	return 1
}
