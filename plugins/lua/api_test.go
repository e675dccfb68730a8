package lua

import (
	"slices"
	"strings"
	"testing"
)

// What the table of the API says is what there is: nothing is left out, and nothing promised that is not there.
func TestAPI(t *testing.T) {
	byName := map[string]Entry{}
	for _, e := range API() {
		if _, twice := byName[e.Name]; twice {
			t.Errorf("%s is there twice", e.Name)
		}
		byName[e.Name] = e
		if e.Fit == Different && e.Note == "" {
			t.Errorf("%s: how is it different?", e.Name)
		}
		here := libraries[e.Name] != nil
		if name, ok := strings.CutPrefix(e.Name, "module:"); ok {
			kind, isKind := strings.CutPrefix(name, `provides("`)
			here = moduleMethods[name] != nil || isKind && providers[strings.TrimSuffix(kind, `")`)].read != nil
		}
		if name, ok := strings.CutPrefix(e.Name, "module."); ok {
			here = moduleFields[name] || moduleCallbacks[name]
		}
		if here = here || e.Name == "event roster-load"; here != (e.Fit != Absent) {
			t.Errorf("%s is said to be %s", e.Name, e.Fit)
		}
	}
	for name := range moduleMethods {
		if _, ok := byName["module:"+name]; !ok && name != "provides" {
			t.Errorf("module:%s is not in the table", name)
		}
	}
	for kind := range providers {
		if _, ok := byName[`module:provides("`+kind+`")`]; !ok {
			t.Errorf("module:provides(%q) is not in the table", kind)
		}
	}
	for name, lib := range libraries {
		if e, ok := byName[name]; !ok {
			t.Errorf("%s is not in the table", name)
		} else if !slices.Equal(e.Fields, lib.names(name)) {
			t.Errorf("%s has %q", name, e.Fields)
		}
	}
}
