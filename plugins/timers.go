package plugins

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// minTick is how often a timer can be due.
	minTick = time.Second
	// tickTime is how long one may take.
	tickTime = handleTime
)

// RunTimers calls the timers of a plugin whenever they are due, each for itself, until ctx ends. One that fails is due
// again after as long as it was last time.
func RunTimers(ctx context.Context, p Plugin, log *slog.Logger) {
	var running sync.WaitGroup
	defer running.Wait()
	for i, first := range p.Info().Timers {
		running.Go(func() { runTimer(ctx, p, i, first, log) })
	}
}

func runTimer(ctx context.Context, p Plugin, timer int, after time.Duration, log *slog.Logger) {
	for after = max(after, minTick); after > 0; {
		due := time.NewTimer(after)
		select {
		case <-ctx.Done():
			due.Stop()
			return
		case <-due.C:
		}
		again, err := tick(ctx, p, timer)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			log.Warn("timer of a plugin failed", "timer", timer+1, "again", after, "error", err)
		default:
			if after = again; again > 0 {
				after = max(again, minTick)
			}
		}
	}
}

func tick(ctx context.Context, p Plugin, timer int) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, tickTime)
	defer cancel()
	return p.Tick(ctx, timer)
}
