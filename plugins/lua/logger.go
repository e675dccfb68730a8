package lua

import glua "github.com/yuin/gopher-lua"

func init() {
	libraries["util.logger"] = &library{funcs: map[string]native{"init": loggerInit}}
	nothing := func(*machine, *glua.LState) int { return 0 }
	libraries["util.datamanager"] = &library{funcs: map[string]native{ // by which modules keep their contacts from being stored
		"add_callback": nothing, "remove_callback": nothing,
	}}
}

// loggerInit is init(name): a function that logs. A script's lines have the script's name here, whatever it is called.
func loggerInit(m *machine, l *glua.LState) int {
	l.Push(l.NewFunction(func(l *glua.LState) int { return m.logAs(l, "log", 1) }))
	return 1
}
