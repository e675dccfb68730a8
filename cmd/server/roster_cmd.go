package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"rosterd/admin"
	"rosterd/config"
)

const rosterUsage = "rosterd roster get USER@HOST, refresh USER@HOST…, release USER@HOST…, explain USER@HOST [CONTACT]  [--config FILE] [--json]"

// rosterCommand asks the running server about rosters: where an item comes from, what was left out, who sees whom.
func rosterCommand(ctx context.Context, args []string, c console) int {
	f := flags("roster", c)
	file := f.String("config", "", "configuration `FILE`")
	asJSON := f.Bool("json", false, "for machines")
	rest, err := interleaved(f, args)
	if err != nil {
		return exitUsage
	}
	r := &rosterQuestion{out: c.out, json: *asJSON}
	ask := r.command(rest)
	if ask == nil {
		fmt.Fprintln(c.err, "rosterd roster: usage:", rosterUsage)
		return exitUsage
	}
	if r.client.Socket, err = adminSocket(*file); err == nil {
		err = ask(ctx)
	}
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errUnwell): // what was printed says it
	case errors.Is(err, admin.ErrNotRunning):
		fmt.Fprintf(c.err, "rosterd roster: %v; is it running with this configuration?\n", err)
	case errors.Is(err, fs.ErrPermission):
		fmt.Fprintf(c.err, "rosterd roster: %v; only the user that the server runs as, and root, may ask it\n", err)
	default:
		fmt.Fprintln(c.err, "rosterd roster:", err)
	}
	return exitFailed
}

// errUnwell ends a command with status 1 although it was answered.
var errUnwell = errors.New("not all is well")

// adminSocket is where the server listens that runs with this configuration.
func adminSocket(file string) (string, error) {
	path, err := findConfig(file)
	if err != nil {
		return "", err
	}
	cfg, err := config.Load(path, config.LoadOptions{Inspect: true})
	if err != nil {
		return "", err
	}
	return config.AdminSocket.Get(cfg.Global()), nil
}

// rosterQuestion is one question and how its answer is written.
type rosterQuestion struct {
	client admin.Client
	out    io.Writer
	json   bool
}

// command is what args ask for, nil if they cannot be understood.
func (r *rosterQuestion) command(args []string) func(context.Context) error {
	if len(args) < 2 {
		return nil
	}
	users := args[1:]
	switch {
	case args[0] == "get" && len(users) == 1:
		return func(ctx context.Context) error { return r.get(ctx, users[0]) }
	case args[0] == "refresh":
		return func(ctx context.Context) error { return r.outcomes(r.client.Refresh(ctx, users...)) }
	case args[0] == "release":
		return func(ctx context.Context) error { return r.outcomes(r.client.Release(ctx, users...)) }
	case args[0] == "explain" && len(users) == 1:
		return func(ctx context.Context) error { return r.overview(ctx, users[0]) }
	case args[0] == "explain" && len(users) == 2:
		return func(ctx context.Context) error { return r.explain(ctx, users[0], users[1]) }
	}
	return nil
}

func (r *rosterQuestion) get(ctx context.Context, user string) error {
	answer, err := r.client.Get(ctx, user)
	if err != nil {
		return err
	}
	return r.write(answer, answer.WriteText)
}

func (r *rosterQuestion) outcomes(list []admin.Outcome, err error) error {
	if err != nil {
		return err
	}
	if err := r.write(list, func(w io.Writer) error { return admin.WriteOutcomes(w, list) }); err != nil {
		return err
	}
	for _, o := range list {
		if !o.OK() {
			return errUnwell
		}
	}
	return nil
}

func (r *rosterQuestion) overview(ctx context.Context, user string) error {
	answer, err := r.client.Overview(ctx, user)
	if err != nil {
		return err
	}
	return r.write(answer, answer.WriteText)
}

// explain ends with status 1 where neither roster speaks of the other side.
func (r *rosterQuestion) explain(ctx context.Context, user, contact string) error {
	answer, err := r.client.Explain(ctx, user, contact)
	if err != nil {
		return err
	}
	if err := r.write(answer, answer.WriteText); err != nil || answer.Known {
		return err
	}
	return errUnwell
}

func (r *rosterQuestion) write(answer any, text func(io.Writer) error) error {
	if !r.json {
		return text(r.out)
	}
	e := json.NewEncoder(r.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(answer)
}
