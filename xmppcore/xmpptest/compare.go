package xmpptest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Match compares what was received with what was expected, and returns what
// differs first. Neither the order of attributes and children nor the space
// between elements counts, everything else does. In values and texts of want,
// {any} stands for anything, as a text for any content; {name} for the value
// that vars holds under that name or, if it holds none, for anything, which vars
// then holds. vars is changed only if all matches.
func Match(want, got Element, vars map[string]string) error {
	found := maps.Clone(vars)
	if found == nil {
		found = map[string]string{}
	}
	if err := match(want, got, found); err != nil {
		return err
	}
	if vars != nil {
		maps.Copy(vars, found)
	}
	return nil
}

func match(want, got Element, vars map[string]string) error {
	if want.Name != got.Name {
		return fmt.Errorf("is %s, want %s", name(got), name(want))
	}
	if err := matchAttrs(want, got, vars); err != nil {
		return err
	}
	if len(want.Children) == 0 && strings.TrimSpace(want.Text) == "{any}" {
		return nil
	}
	if err := matchChildren(want, got, vars); err != nil {
		return err
	}
	if w, g := text(want), text(got); !matchValue(w, g, vars) {
		return fmt.Errorf("text of <%s/> is %q, want %q", got.Name.Local, g, w)
	}
	return nil
}

func matchAttrs(want, got Element, vars map[string]string) error {
	w, g := attrs(want), attrs(got)
	for _, n := range slices.Sorted(maps.Keys(w)) {
		value, ok := g[n]
		if !ok {
			return fmt.Errorf("<%s/> has no %s, want %q", got.Name.Local, n, w[n])
		}
		if !matchValue(w[n], value, vars) {
			return fmt.Errorf("%s of <%s/> is %q, want %q", n, got.Name.Local, value, w[n])
		}
	}
	for _, n := range slices.Sorted(maps.Keys(g)) {
		if _, ok := w[n]; !ok {
			return fmt.Errorf("<%s/> has %s=%q, want none", got.Name.Local, n, g[n])
		}
	}
	return nil
}

// matchChildren gives each expected child the first one that fits and is not
// taken: of two that fit the same, the stricter belongs first.
func matchChildren(want, got Element, vars map[string]string) error {
	left := slices.Clone(got.Children)
	for _, w := range want.Children {
		i := slices.IndexFunc(left, func(g Element) bool { return Match(w, g, vars) == nil })
		if i >= 0 {
			left = slices.Delete(left, i, i+1)
			continue
		}
		i = slices.IndexFunc(left, func(g Element) bool { return g.Name == w.Name })
		if i >= 0 {
			return Match(w, left[i], vars)
		}
		return fmt.Errorf("no %s in <%s/>", name(w), got.Name.Local)
	}
	if len(left) > 0 {
		return fmt.Errorf("unexpected %s in <%s/>", name(left[0]), got.Name.Local)
	}
	return nil
}

var placeholder = regexp.MustCompile(`\{[A-Za-z][A-Za-z0-9_.]*\}`)

// matchValue compares a value that may have placeholders in it.
func matchValue(want, got string, vars map[string]string) bool {
	if !placeholder.MatchString(want) {
		return want == got
	}
	var pattern strings.Builder
	var names []string
	end := 0
	for _, at := range placeholder.FindAllStringIndex(want, -1) {
		pattern.WriteString(regexp.QuoteMeta(want[end:at[0]]))
		end = at[1]
		name := want[at[0]+1 : at[1]-1]
		value, known := vars[name]
		switch {
		case name == "any":
			pattern.WriteString("(?:.*)")
		case known:
			pattern.WriteString(regexp.QuoteMeta(value))
		default:
			names = append(names, name)
			pattern.WriteString("(.*)")
		}
	}
	pattern.WriteString(regexp.QuoteMeta(want[end:]))
	found := regexp.MustCompile("(?s)^" + pattern.String() + "$").FindStringSubmatch(got)
	if found == nil {
		return false
	}
	for i, name := range names {
		vars[name] = found[i+1]
	}
	return true
}

// expand puts the values of placeholders into text that is XML.
func expand(text string, vars map[string]string) (string, error) {
	var err error
	text = placeholder.ReplaceAllStringFunc(text, func(p string) string {
		value, ok := vars[p[1:len(p)-1]]
		if !ok {
			err = fmt.Errorf("%s has no value yet", p)
		}
		return escape(value)
	})
	return text, err
}

func attrs(e Element) map[string]string {
	m := make(map[string]string, len(e.Attrs))
	for _, a := range e.Attrs {
		m[attrName(a)] = a.Value
	}
	return m
}

// text is the text of an element; beside children, space is none.
func text(e Element) string {
	if len(e.Children) > 0 {
		return strings.TrimSpace(e.Text)
	}
	return e.Text
}

func name(e Element) string {
	return fmt.Sprintf("<%s xmlns='%s'/>", e.Name.Local, e.Name.Space)
}
