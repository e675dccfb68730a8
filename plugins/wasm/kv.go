package wasm

import (
	"context"
	"errors"
	"time"

	"rosterd/plugins"
)

// kvStore is the store of a plugin that has one only.
const kvStore = "kv"

func kvGet(c *call, a args) uint64 {
	key := c.text(a, 0)
	c.view(a.u32(2), a.u32(3))
	if c.op == opInit {
		return c.inInit("kv_get")
	}
	value, ok, err := c.plugin.svc.Load(c.Context, kvStore, key)
	switch {
	case err != nil:
		return c.fails(kvCode(err), err)
	case !ok:
		return c.failsf(codeAbsent, "no value is kept under %q", brief(key))
	}
	return give(c, a, 2, value)
}

func kvSet(c *call, a args) uint64 {
	key := c.text(a, 0)
	value := []byte(c.text(a, 2)) // never nil, which would remove it
	return c.save("kv_set", key, value, time.Duration(a.u32(4))*time.Second)
}

func kvDelete(c *call, a args) uint64 { return c.save("kv_delete", c.text(a, 0), nil, 0) }

func (c *call) save(name, key string, value []byte, ttl time.Duration) uint64 {
	if c.op == opInit {
		return c.inInit(name)
	}
	if err := c.plugin.svc.Save(c.Context, kvStore, key, value, ttl); err != nil {
		return c.fails(kvCode(err), err)
	}
	return count(0)
}

func (c *call) inInit(name string) uint64 {
	return c.failsf(codeRefused, "%s in rosterd_init, which runs for each instance anew", name)
}

// kvCode is what a module is told of an error of the store, which is beyond the network for it.
func kvCode(err error) int32 {
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return codeTime
	case errors.Is(err, plugins.ErrLimit):
		return codeLimit
	}
	return codeNetwork
}
