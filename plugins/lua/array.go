package lua

import glua "github.com/yuin/gopher-lua"

// arrayEvents are what an array answers as util.array says. Few scripts ask: before one does, the library is not run.
var arrayEvents = []string{"__index", "__tostring", "__add", "__div", "__eq"}

func (m *machine) buildArrays(l *glua.LState) {
	m.arrays = map[string]*glua.LFunction{}
	for _, event := range arrayEvents {
		m.arrays[event] = l.NewFunction(func(l *glua.LState) int { return m.firstOfArrays(l, event) })
	}
}

// arrayMeta is the metatable of this call's arrays, those of JSON and those of util.array, as in Prosody.
func (m *machine) arrayMeta(l *glua.LState) *glua.LTable {
	if m.call.arrays == nil {
		m.call.arrays = l.CreateTable(0, len(arrayEvents)+1)
		for event, f := range m.arrays {
			m.call.arrays.RawSetString(event, f)
		}
	}
	return m.call.arrays
}

// isArray tells whether t has the metatable of arrays.
func (m *machine) isArray(t *glua.LTable) bool {
	return m.call.arrays != nil && t.Metatable == m.call.arrays
}

// firstOfArrays is the first event of any array in a call: it runs the library, which puts its own functions into the
// metatable, and lets them answer.
func (m *machine) firstOfArrays(l *glua.LState, event string) int {
	if _, ok := l.Get(2).(glua.LString); event == "__index" && !ok {
		return 0 // past the end of the list
	}
	m.library(l, "util.array")
	answer := m.call.arrays.RawGetString(event)
	if methods, ok := answer.(*glua.LTable); ok {
		l.Push(methods.RawGet(l.Get(2)))
		return 1
	}
	l.Insert(answer, 1)
	l.Call(l.GetTop()-1, 1)
	return 1
}
