package main

import (
	"context"
	"fmt"
	"path/filepath"

	"rosterd/plugins/trial/scaffold"
)

// pluginNew writes a plugin to begin with.
func pluginNew(_ context.Context, args []string, c console) int {
	t := newPluginTool("new", c)
	lang := t.flags.String("lang", "lua", "the `LANGUAGE` that it is written in: lua")
	rest, err := t.parse(args)
	switch {
	case err != nil:
	case len(rest) != 1:
		err = t.wrong("one folder is expected")
	default:
		err = t.scaffold(*lang, rest[0])
	}
	return t.end(err, exitFailed)
}

func (t *pluginTool) scaffold(lang, dir string) error {
	files, err := scaffold.Write(lang, dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		fmt.Fprintln(t.c.out, filepath.Join(dir, f))
	}
	fmt.Fprintf(t.c.out, "\nTry it:  rosterd plugin test %s\nThen make %s what your backend needs; %s says how to go on.\n",
		dir, filepath.Join(dir, files[0]), filepath.Join(dir, "README.md"))
	return nil
}
