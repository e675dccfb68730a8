package report

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Machine is what a run was measured on.
type Machine struct {
	Processor  string `json:"processor"`
	Processors int    `json:"processors"` // that the program may use
	Memory     int64  `json:"memory"`     // bytes
	Kernel     string `json:"kernel"`
}

func (m Machine) String() string {
	return fmt.Sprintf("%d × %s, %s, %s", m.Processors, m.Processor, Figure(float64(m.Memory), "B"), m.Kernel)
}

// Begin is a run that starts now, on this machine, from the sources in the current folder. The command is shown as one
// would type it.
func Begin(ctx context.Context, args []string) *Run {
	return &Run{
		Format:   format,
		Started:  time.Now().UTC().Truncate(time.Second),
		Command:  append([]string{"go", "run", "./bench"}, args...),
		Commit:   commit(ctx),
		Machine:  thisMachine(),
		Versions: versions(ctx),
	}
}

// commit is what the sources are, "unknown" outside a repository.
func commit(ctx context.Context) string {
	name := output(ctx, "git", "rev-parse", "--short=12", "HEAD")
	if name == "" {
		return "unknown"
	}
	if output(ctx, "git", "status", "--porcelain", "--untracked-files=no", "--", "*.go", "*.lua", "*.pgo") != "" {
		name += "+"
	}
	return name
}

// versions are those of programs that take part; those that are not there are not named.
func versions(ctx context.Context) map[string]string {
	found := map[string]string{"Go": strings.TrimPrefix(runtime.Version(), "go")}
	if v := output(ctx, "dpkg-query", "-W", "-f", "${Version}", "prosody"); v != "" {
		found["Prosody"] = v
	}
	return found
}

// output is what a command prints, "" if it fails.
func output(ctx context.Context, name string, args ...string) string {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

var (
	model  = regexp.MustCompile(`(?m)^model name\s*:\s*(.+)$`)
	memory = regexp.MustCompile(`(?m)^MemTotal:\s*(\d+) kB$`)
)

func thisMachine() Machine {
	m := Machine{Processor: runtime.GOARCH, Processors: runtime.NumCPU(), Kernel: runtime.GOOS}
	if v := first(model, "/proc/cpuinfo"); v != "" {
		m.Processor = v
	}
	if kib, err := strconv.ParseInt(first(memory, "/proc/meminfo"), 10, 64); err == nil {
		m.Memory = kib << 10
	}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		version, _, _ := strings.Cut(strings.TrimSpace(string(b)), "-") // whose build it is says nothing
		m.Kernel = "Linux " + version
	}
	return m
}

// first is what a pattern finds in a file, "" if there is nothing.
func first(pattern *regexp.Regexp, path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	if found := pattern.FindSubmatch(b); found != nil {
		return strings.TrimSpace(string(found[1]))
	}
	return ""
}
