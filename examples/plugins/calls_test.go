package plugins_test

import (
	"fmt"
	"strings"
	"testing"

	"rosterd/plugins/lua"
)

// moduleCalls are module's methods and Prosody's events.
func moduleCalls(*testing.T) string {
	return calls("| call | here | |\n| --- | --- | --- |\n", func(e lua.Entry) (row string, ok bool) {
		return fmt.Sprintf("| %s | %s | %s |\n", code(e.Name), fit(e), e.Note), !isLibrary(e)
	})
}

// libraryCalls are what require knows, each with what is in it.
func libraryCalls(*testing.T) string {
	return calls("| `require` | here | | what is in it |\n| --- | --- | --- | --- |\n", func(e lua.Entry) (row string, ok bool) {
		return fmt.Sprintf("| %s | %s | %s | %s |\n", code(e.Name), fit(e), e.Note, code(strings.Join(e.Fields, ", "))), isLibrary(e)
	})
}

// calls is a table. What is absent, and of which there is nothing more to say, stands together at the end.
func calls(head string, row func(lua.Entry) (string, bool)) string {
	var b strings.Builder
	b.WriteString(head)
	var missing []string
	for _, e := range lua.API() {
		switch text, ok := row(e); {
		case !ok:
		case e.Fit == lua.Absent && e.Note == "":
			missing = append(missing, code(e.Name))
		default:
			b.WriteString(text)
		}
	}
	columns := strings.Count(head, "---")
	fmt.Fprintf(&b, "| %s | absent |%s\n", strings.Join(missing, ", "), strings.Repeat(" |", columns-2))
	return b.String()
}

// isLibrary tells names such as "util.jid" from "module:log" and "event roster-load".
func isLibrary(e lua.Entry) bool {
	room, _, dotted := strings.Cut(e.Name, ".")
	return dotted && room != "module" || strings.HasPrefix(e.Name, "cjson") || strings.HasPrefix(e.Name, "lfs")
}

// fit is how something is here, in the words of the table.
func fit(e lua.Entry) string {
	if e.Fit == lua.Own {
		return "rosterd's own"
	}
	return string(e.Fit)
}

// code marks the names in a list as code, as far as they are names.
func code(list string) string {
	if list == "" {
		return ""
	}
	parts := strings.Split(list, ", ")
	for i, p := range parts {
		if !strings.Contains(p, " ") {
			parts[i] = "`" + p + "`"
		}
	}
	return strings.Join(parts, ", ")
}
