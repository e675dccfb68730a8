package wasm

import (
	"context"
	"time"
)

// InstanceCost is what an instance takes until it is ready for its first call.
type InstanceCost struct {
	Took      time.Duration
	Memory    int64 // bytes of its memory
	Fuel      int64
	HostCalls int
}

// MeasureInstance makes an instance of its own, and lets go of it.
func (p *Plugin) MeasureInstance(ctx context.Context) (InstanceCost, error) {
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	c := &call{Context: ctx, plugin: p, op: opInit, started: p.svc.Now()}
	start := time.Now()
	in, err := p.instantiate(c)
	if err != nil {
		return InstanceCost{}, p.loadError(c, err)
	}
	defer in.close()
	return InstanceCost{Took: time.Since(start), Memory: int64(in.mem.Size()), Fuel: c.granted - int64(in.fuel.Get()), HostCalls: c.imports + c.cheap}, nil
}
