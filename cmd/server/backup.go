package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"rosterd/config"
	"rosterd/store"
)

// backup copies the database, whether or not the server runs.
func backup(ctx context.Context, args []string, c console) int {
	f := flags("backup", c)
	file := f.String("config", "", "configuration `FILE`")
	force := f.Bool("force", false, "replace a file that is there")
	rest, err := interleaved(f, args)
	if err != nil {
		return exitUsage
	}
	if len(rest) != 1 {
		fmt.Fprintln(c.err, "rosterd backup: usage: rosterd backup FILE [--config FILE] [--force]")
		return exitUsage
	}
	if err := backupTo(ctx, *file, rest[0], *force, c); err != nil {
		fmt.Fprintln(c.err, "rosterd backup:", err)
		return exitFailed
	}
	return exitOK
}

func backupTo(ctx context.Context, file, to string, force bool, c console) error {
	path, err := findConfig(file)
	if err != nil {
		return err
	}
	cfg, err := config.Load(path, config.LoadOptions{Inspect: true})
	if err != nil {
		return err
	}
	contents, err := store.Backup(ctx, config.Database.Get(cfg.Global()), to, force)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w; --force replaces it", err)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s: %d accounts, %d rosters\n", to, contents.Accounts, contents.Rosters)
	files := accounts(cfg, nil)
	for _, h := range cfg.Hosts() {
		switch dir, err := files.Folder(h.Name); {
		case err != nil:
			return err
		case dir != "":
			fmt.Fprintf(c.out, "%s: accounts of %s in files of Prosody's are not in it: copy that folder too\n", dir, h.Name)
		}
	}
	for _, database := range inPostgres(cfg) {
		fmt.Fprintf(c.out, "%s is not in it: use pg_dump too\n", database)
	}
	return nil
}
