package main

import (
	"fmt"
	"path/filepath"

	"rosterd/plugins/trial"
)

// unit is what a plugin's machine counts.
func (t *pluginTool) unit(s trial.Subject) string {
	if filepath.Ext(s.File) == ".wasm" {
		return "fuel"
	}
	return "instructions"
}

// counts are what a call took of its machine, for people.
func (t *pluginTool) counts(s trial.Subject, c trial.Costs) (list []string) {
	if c.Instructions > 0 {
		list = append(list, fmt.Sprintf("%d %s", c.Instructions, t.unit(s)))
	}
	if c.HostCalls > 0 {
		list = append(list, fmt.Sprintf("%d host calls", c.HostCalls))
	}
	if c.Memory > 0 {
		list = append(list, sized(c.Memory)+" memory")
	}
	return list
}

// tally is the same for machines.
type tally struct {
	Instructions int64 `json:"instructions,omitempty"`
	Fuel         int64 `json:"fuel,omitempty"`
	HostCalls    int64 `json:"host_calls,omitempty"`
	Memory       int64 `json:"memory,omitempty"`
}

func (t *pluginTool) tally(s trial.Subject, c trial.Costs) tally {
	out := tally{HostCalls: c.HostCalls, Memory: c.Memory}
	if t.unit(s) == "fuel" {
		out.Fuel = c.Instructions
	} else {
		out.Instructions = c.Instructions
	}
	return out
}
