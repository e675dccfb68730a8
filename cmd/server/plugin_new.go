package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"rosterd/plugins/trial/scaffold"
)

// pluginNew writes a plugin to begin with.
func pluginNew(_ context.Context, args []string, c console) int {
	t := newPluginTool("new", c)
	lang := t.flags.String("lang", "lua", "the `LANGUAGE` that it is written in: "+strings.Join(scaffold.Languages(), ", "))
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
	p, err := scaffold.Write(lang, dir)
	if err != nil {
		return err
	}
	for _, f := range p.Files {
		fmt.Fprintln(t.c.out, filepath.Join(dir, f))
	}
	fmt.Fprintln(t.c.out)
	if p.Build != "" {
		fmt.Fprintf(t.c.out, "Build it: %s -C %s\n", p.Build, dir)
	}
	fmt.Fprintf(t.c.out, "Try it:  rosterd plugin test %s\nThen make %s what your backend needs; %s says how to go on.\n",
		dir, filepath.Join(dir, p.Files[0]), filepath.Join(dir, "README.md"))
	return nil
}
