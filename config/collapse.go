package config

import (
	"fmt"
	"slices"
	"strings"
)

// Collapse makes one line of many that say the same of one thing after another, for people to read: modules that are not
// available and of which there is no more to say, those of federation, names that nobody knows. What is accepted is left as
// it is. Programs read the list as Check returns it.
func Collapse(diags []Diag, files []string) []Diag {
	var out []Diag
	var order []string
	heaps := map[string][]Diag{}
	for _, d := range diags {
		h := heapOf(d)
		if h == "" {
			out = append(out, d)
			continue
		}
		if heaps[h] == nil {
			order = append(order, h)
		}
		heaps[h] = append(heaps[h], d)
	}
	for _, h := range order {
		list := heaps[h]
		if len(list) == 1 {
			out = append(out, list[0])
			continue
		}
		var names, without []Item
		for _, d := range list {
			it := Item{d.Name, d.Pos}
			if !slices.Contains(names, it) {
				names = append(names, it)
			}
			without = append(without, d.Settings...)
		}
		d := list[0]
		d.Host, d.Message, d.Hint, d.Settings = "", strings.ReplaceAll(h, "NAMES", placesIn(d.Pos.File, names)), "", append(names, without...)
		if len(without) > 0 {
			d.Message += "; without effect " + areIs(without) + placesIn(d.Pos.File, without)
		}
		if strings.Contains(h, "these modules are not known") {
			d.Hint = "modules of your own would be mod_NAME.lua or .wasm in plugin_paths"
		}
		out = append(out, d)
	}
	sortDiags(out, files)
	return out
}

// heapOf is what the lines say that a line is collapsed with, or "".
func heapOf(d Diag) string {
	own := strings.HasPrefix(d.Hint, "a module of your own")
	switch {
	case d.Severity != Warn || d.Name == "":
	case d.Code == CodeFederation:
		return "these modules are not available: there is no federation, " + noFederation + ": NAMES"
	case d.Code == CodeModule && d.Message == fmt.Sprintf("module %q is not available", d.Name):
		return "these modules are not available: NAMES"
	case d.Code == CodeUnknownMod && own && strings.HasSuffix(d.Message, "is not known"):
		return "these modules are not known: NAMES"
	case d.Code == CodeUnknown && d.Hint == "" && strings.HasPrefix(d.Message, d.Name+": unknown option"):
		return "these options are unknown" + strings.Replace(strings.TrimPrefix(d.Message, d.Name+": unknown option"), "ignores it", "ignores them", 1) + ": NAMES"
	}
	return ""
}
