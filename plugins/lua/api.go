package lua

import (
	"maps"
	"slices"
)

// API lists what scripts can name: the fields and methods of "module", the "globals", and of each standard library and
// of each that require knows what is in it. The lists are sorted.
func API() map[string][]string {
	all := map[string][]string{
		"module":  slices.Sorted(maps.Keys(moduleMethods)),
		"globals": slices.Sorted(maps.Keys(globals)),
	}
	for field := range moduleFields {
		all["module"] = append(all["module"], field)
	}
	slices.Sort(all["module"])
	for name, fields := range standard {
		all[name] = slices.Sorted(maps.Keys(fields))
	}
	for name, def := range libraries {
		all[name] = def.names(name)
		for part, funcs := range def.parts {
			all[name] = slices.DeleteFunc(all[name], func(n string) bool { return n == part })
			for f := range funcs {
				all[name] = append(all[name], part+"."+f)
			}
		}
		slices.Sort(all[name])
	}
	return all
}
