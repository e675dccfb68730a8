package config

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rosterd/plugins/lua/vm"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
)

// Bounds of a load. The administrator owns the file, so these guard against surprises, not attacks.
const (
	maxFileSize     = 1 << 20
	maxFiles        = 256
	maxIncludeDepth = 16
	maxHosts        = 10_000
	maxNotices      = 1000 // of what is noticed while loading
	maxEarlier      = 100  // assignments of one option that are remembered
	maxVariables    = 1000 // environment variables that are remembered
	loadTime        = 2 * time.Second
	loadSteps       = 50_000_000 // instructions
)

// LoadOptions says what a file is loaded with. The zero value is what the server uses.
type LoadOptions struct {
	// LookupEnv replaces the environment of the process.
	LookupEnv func(name string) (string, bool)
	// Inspect loads for looking at the file, not for serving it: a Credential that only the service
	// manager can supply is a warning, not an error.
	Inspect bool
	// Time bounds the load; 2 s if zero.
	Time time.Duration
	// Accept is what Check accepts beside rosterd_accept; see CheckAcceptance.
	Accept []string
}

// An Error ends a load. It knows where, as far as anybody does.
type Error struct {
	Pos  Pos
	Msg  string
	Hint string
	Err  error // what is behind it, if anything
}

func (e *Error) Error() string {
	msg := e.Msg
	if e.Pos.File != "" {
		msg = e.Pos.String() + ": " + msg
	}
	if e.Hint != "" {
		msg += " (" + e.Hint + ")"
	}
	return msg
}

func (e *Error) Unwrap() error { return e.Err }

// Load executes a configuration file and everything it includes. Any error means that there is no
// configuration at all; it names file and line. Oddities that do not stop the load are kept for Check.
func Load(path string, opts LoadOptions) (*Config, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	if opts.LookupEnv == nil {
		opts.LookupEnv = os.LookupEnv
	}
	if opts.Time <= 0 {
		opts.Time = loadTime
	}
	ld := newLoader(path, abs, opts)
	defer ld.state.Close()
	if err := ld.run(abs); err != nil {
		return nil, ld.explain(err)
	}
	if err := ld.finish(); err != nil {
		return nil, err
	}
	return ld.cfg, nil
}

// A loader is one load. It is used by one goroutine.
type loader struct {
	opts  LoadOptions
	cfg   *Config
	state *vm.State
	std   *lua.LTable // what files may use of Lua: also the table Lua

	dir, absDir string // of the main file, as it was named and absolute
	global      *draft
	drafts      []*draft // hosts, in the order of the files
	outlines    map[string]*outline
	proxies     map[*lua.LTable]proxied
	depth       int
	noticed     map[notice]bool
	secrets     map[Pos]bool     // statements that read a secret
	unset       map[Pos][]string // environment variables that a statement missed
}

// A draft is a section while the files run. Lua may still change the values in it.
type draft struct {
	*section
	live map[string]*liveSetting
}

type liveSetting struct {
	value   lua.LValue
	pos     Pos
	earlier []Pos
	from    []*ast.TableExpr // where its table is written, joined by appends
	used    bool             // the files have read it
	proxy   *lua.LTable      // as which the files have read it, if it is a table
}

func newLoader(path, abs string, opts LoadOptions) *loader {
	ld := &loader{
		opts:     opts,
		dir:      filepath.Dir(path),
		absDir:   filepath.Dir(abs),
		state:    vm.New(vm.Limits{Instructions: loadSteps}),
		outlines: map[string]*outline{},
		proxies:  map[*lua.LTable]proxied{},
		noticed:  map[notice]bool{},
		secrets:  map[Pos]bool{},
		unset:    map[Pos][]string{},
		cfg:      &Config{File: path, Dir: filepath.Dir(abs), lookup: opts.LookupEnv, accepting: opts.Accept},
	}
	ld.global = &draft{section: newSection("*", KindGlobal, Pos{}), live: map[string]*liveSetting{}}
	ld.openLibrary()
	return ld
}

func (ld *loader) run(abs string) error {
	ctx, cancel := context.WithTimeout(context.Background(), ld.opts.Time)
	defer cancel()
	return ld.state.Run(ctx, func(L *lua.LState) error { return ld.file(L, abs) })
}

// show names a file in messages: below the main file's directory as that was named, so that an
// editor finds it; anything else in full.
func (ld *loader) show(abs string) string {
	rel, err := filepath.Rel(ld.absDir, abs)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return abs
	}
	return filepath.Join(ld.dir, rel)
}

// file reads, compiles and runs one file, in an environment of its own.
func (ld *loader) file(L *lua.LState, abs string) error {
	name := ld.show(abs)
	if len(ld.cfg.Files) >= maxFiles {
		return &Error{Pos: Pos{File: name}, Msg: fmt.Sprintf("more than %d files are included", maxFiles)}
	}
	data, err := readLimited(abs, maxFileSize)
	if err != nil {
		return &Error{Pos: Pos{File: name}, Msg: "cannot be read: " + cause(err).Error(), Err: err}
	}
	src, notes, err := clean(name, data)
	if err != nil {
		return err
	}
	for _, msg := range notes {
		ld.diag(Note, CodeSource, Pos{name, 1}, "", msg, "")
	}
	ld.cfg.Files = append(ld.cfg.Files, name)
	chunk, err := vm.Parse(name, src)
	if err != nil {
		return syntaxError(name, src, err)
	}
	ld.outlines[name] = outlineOf(chunk)
	proto, err := vm.CompileChunk(name, chunk)
	if err != nil {
		return syntaxError(name, src, err)
	}
	fn := L.NewFunctionFromProto(proto)
	sc := &script{loader: ld, name: name, dir: filepath.Dir(abs), section: ld.global, set: map[optionOf]bool{}}
	fn.Env = sc.environment(L)
	ld.depth++
	defer func() { ld.depth-- }()
	L.Push(fn)
	L.Call(0, 0)
	return nil
}

// readLimited reads a regular file of at most max bytes. A pipe or a device could keep us for ever.
func readLimited(path string, max int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, max+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > max {
		return nil, fmt.Errorf("it is larger than %d bytes", max)
	}
	return data, nil
}

// cause strips the path from a file system error: messages name it already.
func cause(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// explain turns what ended the run into an Error.
func (ld *loader) explain(err error) error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	out := &Error{Pos: Pos{File: ld.cfg.File}, Msg: err.Error(), Err: err}
	var se *vm.SyntaxError
	var re *vm.RuntimeError
	var stop *vm.StopError
	if errors.As(err, &stop) && stop.File != "" {
		out.Pos = Pos{stop.File, stop.Line}
	}
	switch {
	case errors.As(err, &se):
		out.Pos, out.Msg = Pos{se.File, se.Line}, se.Msg
	case errors.As(err, &re):
		if ud, ok := re.Value.(*lua.LUserData); ok {
			if thrown, ok := ud.Value.(error); ok {
				return ld.explain(thrown)
			}
		}
		if re.File != "" {
			out.Pos = Pos{re.File, re.Line}
		}
		out.Msg = reword(re.Msg)
		if strings.Contains(re.Msg, "nil") || strings.Contains(re.Msg, noName) {
			out.Hint = cmp.Or(ld.nothing(out.Pos), ld.missing())
		}
		if strings.Contains(re.Msg, "attempt to call") {
			out.Hint = cmp.Or(ld.forgotten(out.Pos), ld.nothing(out.Pos))
		}
		if mark := placeholder.FindString(re.Msg); mark != "" && out.Hint == "" {
			out.Hint = fmt.Sprintf("%q looks like a template that has not been rendered", mark)
		}
	case errors.Is(err, context.DeadlineExceeded):
		out.Msg = fmt.Sprintf("the configuration has not come to an end after %s", ld.opts.Time)
	case errors.Is(err, vm.ErrInstructions):
		out.Msg = "the configuration runs for too long"
	case errors.Is(err, vm.ErrMemory):
		out.Msg = "the configuration takes too much memory"
	}
	return out
}

// missing names the environment variables that were asked for last and are not set: the usual reason for a nil far away.
func (ld *loader) missing() string {
	var names []string
	for _, e := range ld.cfg.Env {
		if !e.Set {
			names = append(names, fmt.Sprintf("%s, read at line %d", e.Name, e.Pos.Line))
		}
	}
	const few = 5
	switch n := len(names); {
	case n == 0:
		return ""
	case n == 1:
		return "the environment variable " + names[0] + ", is not set"
	case n <= few:
		return "these environment variables are not set: " + strings.Join(names, "; ")
	default:
		return fmt.Sprintf("these environment variables are not set: %s; and %d more before", strings.Join(names[n-few:], "; "), n-few)
	}
}

// nothing names a global that is nil in the line of an error.
func (ld *loader) nothing(pos Pos) string {
	for _, d := range ld.cfg.diags {
		if d.Code == CodeGlobal && d.Pos == pos {
			return d.Name + " is nothing that is known here, so it is nil"
		}
	}
	return ""
}

// forgotten recognises name { … } where name = { … } was meant.
func (ld *loader) forgotten(pos Pos) string {
	o := ld.outlines[pos.File]
	if o == nil {
		return ""
	}
	found := ""
	for at := range o.called {
		if at.line == pos.Line && ld.std.RawGetString(at.name) == lua.LNil && (found == "" || at.name < found) {
			found = at.name
		}
	}
	if found == "" {
		return ""
	}
	return fmt.Sprintf("is an = missing after %s?", found)
}

// diag notes something for Check: the same of one place once, however often the files pass there.
func (ld *loader) diag(sev Severity, code Code, pos Pos, option, msg, hint string) {
	ld.notice(Diag{Severity: sev, Code: code, Pos: pos, Name: option, Message: msg, Hint: hint})
}

// notice is what makes two messages the same.
type notice struct {
	code            Code
	pos             Pos
	host, name, msg string
}

func (ld *loader) notice(d Diag) {
	key := notice{d.Code, d.Pos, d.Host, d.Name, d.Message}
	if ld.noticed[key] || len(ld.noticed) > maxNotices {
		return
	}
	if len(ld.noticed) == maxNotices {
		d = Diag{Severity: Warn, Code: CodeSource, Pos: d.Pos, Message: fmt.Sprintf("there is more to say than these %d things", maxNotices)}
	}
	ld.noticed[key] = true
	ld.cfg.diags = append(ld.cfg.diags, d)
}

// finish turns drafts into sections and lets go of Lua.
func (ld *loader) finish() error {
	fz := &freezer{unproxy: ld.unproxy}
	for _, d := range append([]*draft{ld.global}, ld.drafts...) {
		for _, name := range d.order {
			l := d.live[name]
			v, err := fz.freeze(l.value, l.pos, l.from, 0)
			if err != nil {
				return &Error{Pos: l.pos, Msg: name + ": " + err.Error(), Err: err}
			}
			d.set[name] = &setting{name: name, value: v, pos: l.pos, earlier: l.earlier, used: l.used, secret: ld.secrets[l.pos]}
		}
	}
	ld.lostWrites()
	ld.placeholders()
	sortDiags(ld.cfg.diags, ld.cfg.Files)
	ld.cfg.resolve(ld.global.section, ld.drafts)
	return nil
}

// resolve works out which hosts are served, and with which modules.
func (c *Config) resolve(global *section, drafts []*draft) {
	c.global = &Host{Name: "*", cfg: c, section: global, modules: globalModules(global)}
	for _, d := range drafts {
		c.sections = append(c.sections, d.section)
		h := &Host{Name: d.host, cfg: c, section: d.section}
		if d.unservable || !enabledOption.Get(h) {
			continue
		}
		if d.kind == KindComponent {
			c.addComponent(h)
			continue
		}
		h.modules = hostModules(c.global.modules, d.section)
		c.hosts = append(c.hosts, h)
	}
	c.findPlugins()
}
