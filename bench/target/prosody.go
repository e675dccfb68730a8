package target

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// modules is where Prosody's module of ours is, from the root of the repository.
const modules = "clients/prosody"

// prosodyKind drives the Prosody that is installed on this machine. It has its data in a folder of its own, and runs as
// a user without rights: it does not start as root.
func prosodyKind(dir string, a *accounts, kind string) (Kind, error) {
	bin, err := exec.LookPath("prosody")
	if err != nil {
		return Kind{}, fmt.Errorf("prosody %w: install Debian's packages with `apt-get install prosody lua-cjson` (as root), and see that no service of it starts: %w", ErrMissing, err)
	}
	runAs, err := nobody()
	if err != nil {
		return Kind{}, err
	}
	var lines string
	if kind == NoNagle {
		lines = "network_settings = { nagle = false }"
	}
	return Kind{kind, func(ctx context.Context, s Settings) (*Server, error) {
		return started(ctx, kind, s, func(v *Server) (*exec.Cmd, error) {
			if err := os.CopyFS(filepath.Join(v.dir, "modules"), os.DirFS(modules)); err != nil {
				return nil, err
			}
			if err := a.prosody(s, v.dir); err != nil {
				return nil, err
			}
			file, err := v.configure(s, lines)
			if err != nil {
				return nil, err
			}
			if err := own(v.dir, runAs); err != nil {
				return nil, err
			}
			cmd := exec.Command(bin, "-F", "--config", file)
			cmd.Dir = v.dir
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: runAs}
			return cmd, nil
		})
	}}, nil
}

// nobody is whom Prosody runs as; nil if this program is not root, and it runs as who we are.
func nobody() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("nobody")
	if err != nil {
		return nil, fmt.Errorf("a user for Prosody: %w", err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err1 != nil || err2 != nil {
		return nil, fmt.Errorf("a user for Prosody: %q has the numbers %q and %q", u.Username, u.Uid, u.Gid)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
