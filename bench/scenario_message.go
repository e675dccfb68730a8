package main

import (
	"context"
	"errors"
	"strings"

	"rosterd/bench/load"
	"rosterd/bench/report"
	"rosterd/bench/target"
)

func init() {
	withPrototype := []string{target.Rosterd, target.Prosody, target.Prototype}
	scenarios = append(scenarios,
		scenario{name: "message, batched", servers: withPrototype, play: messages{"batched", "none", 20_000, 20, nil}.play, rounds: 4,
			marks: []report.Mark{
				{Scenario: "message", Params: report.Params("under way", "batched", "module", "none"), Value: "cpu", Ratio: 30, Text: "messages batched ≥ 30 × for a CPU-second"},
				{Scenario: "message", Params: report.Params("under way", "batched", "module", "none"), Value: "cpu", Against: target.Prototype, Ratio: 1 / 1.5, Text: "messages batched ≤ 1.5 × the prototype"},
			}},
		scenario{name: "message, one in flight", servers: withPrototype, play: messages{"one", "none", 1500, 1, nil}.play, rounds: 4,
			marks: []report.Mark{{Scenario: "message", Params: report.Params("under way", "one"), Value: "cpu", Ratio: 8, Text: "messages one in flight ≥ 8 ×"}}},
		scenario{name: "message, batched, carbons", servers: everyone, play: messages{"batched", "carbons", 20_000, 20, (*load.Client).EnableCarbons}.play},
		scenario{name: "message, batched, stream management", servers: everyone, play: messages{"batched", "smacks", 20_000, 20, (*load.Client).EnableManagement}.play},
		scenario{name: "message, batched, archive", servers: everyone, play: messages{"batched", "mam", 2000, 20, nil}.play},
	)
}

// messages are sent through 20 pairs.
type messages struct {
	name, module string
	n, window    int                      // for each pair, and how many of them are under way at a time
	enable       func(*load.Client) error // what each client does after its login; may be nil
}

const pairs = 20

func (m messages) play(ctx context.Context, k target.Kind, add func(report.Result)) error {
	s := target.Settings{Users: append(load.Names("s", pairs), load.Names("r", pairs)...)}
	if m.module != "none" {
		s.Modules = []string{m.module}
	}
	return driven(ctx, k, s, func(v *target.Server) error {
		var setup []func(*load.Client) error
		if m.enable != nil {
			setup = append(setup, m.enable)
		}
		all, err := load.LoginAll(ctx, v, s.Users, load.How{}, setup...)
		defer load.CloseAll(all)
		if err != nil {
			return err
		}
		each := bearable(k, scaled(m.n))
		each -= each % max(1, m.window/2) // whole batches
		each = max(each, m.window)
		cost, err := v.During(func() error {
			return load.Each(pairs, func(i int) error { return pump(all[i], all[pairs+i], each, m.window) })
		})
		if err != nil {
			return err
		}
		add(report.Result{Scenario: "message", Params: report.Params("under way", m.name, "module", m.module), Bound: cost.Bound(),
			Values: []report.Value{cpu(cost, pairs*each), report.One("rate", "messages/s", cost.Rate(pairs*each)), loadCPU(cost, pairs*each)}})
		return nil
	})
}

const body = "<body>A message as people write them, of sixty bytes or so.</body><active xmlns='http://jabber.org/protocol/chatstates'/>"

// pump keeps a window of messages under way.
func pump(from, to *load.Client, n, window int) error {
	message := "<message to='" + to.JID() + "' type='chat' id='m1'>" + body + "</message>"
	step := max(1, window/2)
	batch := []byte(strings.Repeat(message, step))
	free := make(chan struct{}, window/step)
	for range cap(free) {
		free <- struct{}{}
	}
	failed := make(chan error, 1)
	go func() {
		defer close(free)
		for range n / step {
			if err := errors.Join(to.Await("</message>", step), to.Acknowledge(step)); err != nil {
				failed <- err
				return
			}
			free <- struct{}{}
		}
		failed <- nil
	}()
	for range n / step {
		if _, ok := <-free; !ok {
			break
		}
		if _, err := from.Write(batch); err != nil {
			return err
		}
	}
	return <-failed
}
