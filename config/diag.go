package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Severity says what a Diag means for the start of the server.
type Severity uint8

const (
	Note    Severity = iota // nothing is lost
	Warn                    // something in the file has no effect
	Refused                 // the server does not start
)

func (s Severity) String() string {
	switch s {
	case Refused:
		return "refused"
	case Warn:
		return "warn"
	}
	return "note"
}

// MarshalText makes the severity a word in JSON.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads that word.
func (s *Severity) UnmarshalText(b []byte) error {
	for _, known := range []Severity{Note, Warn, Refused} {
		if string(b) == known.String() {
			*s = known
			return nil
		}
	}
	return fmt.Errorf("severity %q", b)
}

// Code names the kind of a Diag, for programs and for people who look one up.
type Code string

const (
	CodeValue       Code = "VAL001" // a value is not understood
	CodeValueOdd    Code = "VAL002" // a value has a meaning that its author may not expect
	CodeDuplicate   Code = "LUA001" // an option is set twice in one file
	CodeGlobal      Code = "LUA002" // a global is read that is nothing
	CodeReserved    Code = "LUA003" // a name that belongs to the configuration language is assigned
	CodeLost        Code = "LUA004" // Prosody drops this change of an option
	CodeSource      Code = "LUA005" // the source is not what Prosody would load
	CodePrint       Code = "LUA006" // the file printed something
	CodeUnset       Code = "LUA007" // an environment variable is not set
	CodeLoad        Code = "LUA008" // the configuration cannot be loaded
	CodeDeprecated  Code = "DEP001" // an old name of an option or module
	CodeMisplaced   Code = "SCO001" // a global option under a host
	CodeUnknown     Code = "UNK001" // no module that we know reads this option
	CodeUnknownMod  Code = "UNK002" // no such module
	CodeModule      Code = "FEA001" // a module that rosterd does not have
	CodeOption      Code = "FEA002" // an option that rosterd does not have
	CodeComponent   Code = "FEA003" // a component that will not exist
	CodeFederation  Code = "FEA004" // no federation
	CodePlugins     Code = "FEA005" // modules in plugin_paths that are not loaded
	CodeAutomatic   Code = "FEA006" // what Prosody loads unasked and rosterd does not have
	CodeMoot        Code = "MOO001" // guards or tunes something that is not there
	CodeAccepts     Code = "ACC001" // there is nothing to accept
	CodeQuiet       Code = "QUI001" // accepted without effect
	CodeSecurity    Code = "SEC001" // ignoring this would leave the server more open; the one refusal that can be accepted
	CodeStrangers   Code = "SEC007" // ignoring this would let strangers in
	CodeRestriction Code = "SEC002" // a restriction that rosterd does not have
	CodeLogin       Code = "SEC003" // nobody can log in
	CodeCertificate Code = "SEC005" // a certificate that cannot be used
	CodeExpiry      Code = "SEC006" // a certificate that clients do not accept, or will not soon
	CodeAccounts    Code = "SEC004" // accounts that rosterd cannot read
	CodeRoster      Code = "ROS001" // a host without rosters, or with two sources of them
	CodeBackend     Code = "ROS002" // the backend is not named properly
	CodeScript      Code = "ROS003" // a plugin cannot be opened
	CodeHosts       Code = "HST001" // no host to serve
	CodePorts       Code = "NET001" // ports that are not served
	CodeOpen        Code = "NET002" // something that anybody can reach
	CodePlace       Code = "NET003" // two hosts in one place
	CodePlaintext   Code = "NET004" // what decides who gets in goes over the network unencrypted
)

// A Diag is one thing to say about a configuration.
type Diag struct {
	Severity Severity `json:"severity"`
	Code     Code     `json:"code"`
	Pos      Pos      `json:"pos"`
	Host     string   `json:"host,omitempty"` // "" in the global section
	Name     string   `json:"name,omitempty"` // option or module
	Message  string   `json:"message"`
	Hint     string   `json:"hint,omitempty"`
	Settings []Item   `json:"settings,omitempty"` // the others that the line speaks of
	Accepted string   `json:"accepted,omitempty"` // what accepts it; it is a note then
	Was      Severity `json:"was,omitzero"`       // the severity of what is accepted
}

// An Item is an option or module that a Diag speaks of beside its own.
type Item struct {
	Name string `json:"name"`
	Pos  Pos    `json:"pos"`
}

// String renders d as check prints it: one line, and one more for a hint.
func (d Diag) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-8s ", strings.ToUpper(d.Severity.String()))
	if !d.Pos.IsZero() {
		fmt.Fprintf(&b, "%s  ", d.Pos)
	}
	fmt.Fprintf(&b, "%s [%s]", d.Message, d.Code)
	if d.Accepted != "" {
		fmt.Fprintf(&b, "\n%9saccepted by %s", "", d.Accepted)
		return b.String()
	}
	if d.Hint != "" {
		fmt.Fprintf(&b, "\n%9shint: %s", "", d.Hint)
	}
	return b.String()
}

// ExitCode is what check exits with: 2 if the server would refuse to start, 1 if there are
// warnings, else 0. With strict, warnings refuse.
func ExitCode(diags []Diag, strict bool) int {
	worst := Note
	for _, d := range diags {
		worst = max(worst, d.Severity)
	}
	switch {
	case worst == Refused, worst == Warn && strict:
		return 2
	case worst == Warn:
		return 1
	}
	return 0
}

// sortDiags puts the worst first, then by file in the order of reading, then by line.
func sortDiags(diags []Diag, files []string) {
	slices.SortStableFunc(diags, func(a, b Diag) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmpPos(files, a.Pos, b.Pos))
	})
}

// cmpPos compares places, files in the order of reading.
func cmpPos(files []string, a, b Pos) int {
	return cmp.Or(cmp.Compare(slices.Index(files, a.File), slices.Index(files, b.File)), cmp.Compare(a.Line, b.Line))
}
