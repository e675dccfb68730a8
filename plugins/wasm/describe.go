package wasm

import (
	"slices"
	"strings"

	"rosterd/plugins"
	"rosterd/plugins/wasm/module"
)

// Outline is what can be said of a module by looking at it.
type Outline struct {
	ABI       string   // "rosterd_v1", or "Extism" for those made with its kits; "" if it says neither
	Size      int      // bytes
	Functions int      // of its own
	Code      int      // bytes of those
	Memory    int64    // bytes that it begins with
	MaxMemory int64    // bytes that it may have, as far as it says and the host lets it
	Named     bool     // it says what its functions are called, so that errors can name them
	Imports   []Needed // in the order of the file
	Exports   []string // functions that rosterd calls
	Strange   []string // functions that are called like those, and that rosterd does not call
	Callable  []string // what it could be called instead
	Problems  []string // why it cannot be opened; nil if it can
}

// Needed is a module from which functions are imported.
type Needed struct {
	Module  string
	Names   []string
	Unknown []string // of Names, those that nobody knows
}

// Describe reads a module without running it.
func Describe(file string, code []byte, h plugins.Host) Outline {
	out := Outline{Size: len(code)}
	m, err := module.Read(code)
	if err != nil {
		out.Problems = []string{err.Error()}
		return out
	}
	extism := isExtism(m) || oldExtism(m) != ""
	if _, ok := m.Export(marker); ok {
		out.ABI = abiModule
	} else if extism {
		out.ABI = "Extism"
	}
	limits := withDefaults(h.Limits)
	out.Functions = len(m.Functions)
	for _, b := range m.Code {
		out.Code += len(b.Raw)
	}
	out.MaxMemory = limits.Memory / pageSize * pageSize
	for _, l := range m.Memories {
		out.Memory = int64(min(l.Min, 1<<16)) * pageSize
		if l.HasMax {
			out.MaxMemory = min(out.MaxMemory, int64(min(l.Max, 1<<16))*pageSize)
		}
	}
	out.Named = len(m.Names.Functions) > 0
	for _, i := range m.Imports {
		out.need(i.Module, i.Name, known(i.Module, i.Name, extism))
	}
	out.Callable = callable(extism)
	for _, e := range m.Exports {
		switch {
		case e.Kind != module.Func:
		case slices.Contains(out.Callable, e.Name):
			out.Exports = append(out.Exports, e.Name)
		case strange(e.Name, extism):
			out.Strange = append(out.Strange, e.Name)
		}
	}
	slices.Sort(out.Exports)
	out.Problems = verify(m, limits)
	return out
}

func (o *Outline) need(from, name string, known bool) {
	k := slices.IndexFunc(o.Imports, func(n Needed) bool { return n.Module == from })
	if k < 0 {
		k = len(o.Imports)
		o.Imports = append(o.Imports, Needed{Module: from})
	}
	o.Imports[k].Names = append(o.Imports[k].Names, name)
	if !known {
		o.Imports[k].Unknown = append(o.Imports[k].Unknown, name)
	}
}

// callable are the exports that rosterd calls.
func callable(extism bool) []string {
	list := []string{initialize}
	if extism {
		list = append(list, constructors, haskellInit)
	}
	for o := range ops {
		if extism {
			list = append(list, o.extism())
		} else {
			list = append(list, o.export())
		}
	}
	return list
}

// strange tells whether somebody may think that rosterd calls what it does not. Names of the ABI begin like nothing else;
// those for Extism are also words of our language, such as roster_to_json, and count where they were meant.
func strange(name string, extism bool) bool {
	if extism {
		return strings.HasPrefix(name, "roster_") || strings.HasPrefix(name, "rosterd_")
	}
	other, found := strings.CutPrefix(name, "roster_")
	return found && slices.Contains(opNames[:], other) || strings.HasPrefix(name, "rosterd_") && name != marker
}
