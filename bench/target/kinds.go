package target

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// The names of kinds.
const (
	Rosterd   = "rosterd"
	NotKept   = "rosterd, rosters not kept" // rosterd_keep_rosters = false: nothing of a roster is on disk, as with Prosody's module
	Prosody   = "prosody"
	NoNagle   = "prosody, no Nagle" // network_settings = { nagle = false }: what does not fill a segment leaves at once
	Prototype = "prototype"
)

// ErrMissing says that a program is not on this machine, and what to do.
var ErrMissing = errors.New("is not here")

// Kinds makes the programs of those names ready to be started. What it compiles and keeps is in dir, which others must
// be able to read (0755). prototype is the folder of its sources.
func Kinds(ctx context.Context, dir, prototype string, names ...string) (list []Kind, err error) {
	a := &accounts{dir: dir}
	for _, name := range names {
		var k Kind
		switch name {
		case Rosterd, NotKept:
			k, err = rosterdKind(ctx, dir, a, name)
		case Prosody, NoNagle:
			k, err = prosodyKind(dir, a, name)
		case Prototype:
			k, err = prototypeKind(ctx, dir, prototype)
		default:
			err = fmt.Errorf("there is no server %q to drive: %s, %s or %s", name, Rosterd, Prosody, Prototype)
		}
		if err != nil {
			return nil, err
		}
		list = append(list, k)
	}
	return list, nil
}

// begin makes what every server has: a folder of its own, addresses, and a backend.
func begin(kind string, s Settings) (*Server, error) {
	dir, err := os.MkdirTemp("", "rosterd-bench-run-")
	if err != nil {
		return nil, err
	}
	b, err := NewBackend()
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	v := &Server{Kind: kind, Backend: b, dir: dir, log: &tail{}, Addr: free(), HTTP: free()}
	if s.TLS {
		v.TLSAddr = free()
	}
	if s.WebSocket {
		v.WebSocket = "ws://" + v.HTTP + "/xmpp-websocket"
		if s.TLS {
			v.HTTPS = free()
		}
	}
	return v, nil
}

func rosterdKind(ctx context.Context, dir string, a *accounts, kind string) (Kind, error) {
	bin := filepath.Join(dir, Rosterd)
	if err := compile(ctx, ".", bin, "./cmd/server"); err != nil {
		return Kind{}, err
	}
	return Kind{kind, func(ctx context.Context, s Settings) (*Server, error) {
		return started(ctx, Rosterd, s, func(v *Server) (*exec.Cmd, error) {
			if err := a.rosterd(ctx, s, v.dir); err != nil {
				return nil, err
			}
			lines := "" // before those of the scenario, which may begin a host of its own
			if kind == NotKept {
				lines = "rosterd_keep_rosters = false\n"
			}
			if Profiles.Dir != "" {
				v.PProf = free()
				lines += fmt.Sprintf("rosterd_pprof = %q\n", v.PProf)
			}
			file, err := v.configure(s, lines+s.Lines)
			return exec.Command(bin, "serve", "--config", file), err
		})
	}}, nil
}

// started starts a server with the command that it needs.
func started(ctx context.Context, kind string, s Settings, command func(*Server) (*exec.Cmd, error)) (*Server, error) {
	v, err := begin(kind, s)
	if err != nil {
		return nil, err
	}
	cmd, err := command(v)
	if err == nil {
		err = v.start(ctx, s, cmd)
	}
	if err != nil {
		v.Stop()
		return nil, err
	}
	return v, nil
}

// prototypeKind compiles the prototype from a copy; nothing of it is ours. fs.ErrNotExist if it is not there.
func prototypeKind(ctx context.Context, dir, sources string) (Kind, error) {
	src := filepath.Join(dir, "prototype")
	for from, to := range map[string]string{"xs.go": "xs/xs.go", "server_main.go.txt": "main.go"} {
		b, err := os.ReadFile(filepath.Join(sources, from))
		if errors.Is(err, fs.ErrNotExist) {
			return Kind{}, fmt.Errorf("the prototype %w: %w", ErrMissing, err)
		}
		if err != nil {
			return Kind{}, err
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(src, to)), 0o700); err != nil {
			return Kind{}, err
		}
		if err := os.WriteFile(filepath.Join(src, to), b, 0o600); err != nil {
			return Kind{}, err
		}
	}
	if err := os.WriteFile(filepath.Join(src, "go.mod"), []byte("module bench\n\ngo 1.24\n"), 0o600); err != nil {
		return Kind{}, err
	}
	bin := filepath.Join(dir, "prototype-server")
	if err := compile(ctx, src, bin, "."); err != nil {
		return Kind{}, err
	}
	return Kind{Prototype, func(ctx context.Context, s Settings) (*Server, error) {
		if s.TLS || s.WebSocket || len(s.Modules) > 0 {
			return nil, errors.New("the prototype has plain TCP alone, and no modules")
		}
		v := &Server{Kind: Prototype, Addr: free(), PProf: free(), log: &tail{}}
		if err := v.start(ctx, s, exec.Command(bin, "-addr", v.Addr, "-pprof", v.PProf)); err != nil {
			v.Stop()
			return nil, err
		}
		return v, nil
	}}, nil
}
