package trial

import (
	"context"
	"sync"
	"time"

	"rosterd/plugins"
)

// keeper keeps values for one trial, and can go back to what it had when the plugin had just been opened.
type keeper struct {
	now func() time.Time

	mu      sync.Mutex // guards the fields below
	memory  *plugins.Memory
	open    bool
	opening []func(*plugins.Memory) // what was saved before
}

var _ plugins.Keeper = (*keeper)(nil)

func newKeeper(now func() time.Time) *keeper {
	return &keeper{now: now, memory: &plugins.Memory{Now: now}}
}

func (k *keeper) current() *plugins.Memory {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.memory
}

// LoadValue finds a value.
func (k *keeper) LoadValue(ctx context.Context, host, plugin, store, key string) ([]byte, bool, error) {
	return k.current().LoadValue(ctx, host, plugin, store, key)
}

// SaveValue keeps a value.
func (k *keeper) SaveValue(ctx context.Context, host, plugin, store, key string, value []byte, ttl time.Duration) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.memory.SaveValue(ctx, host, plugin, store, key, value, ttl)
	if err == nil && !k.open {
		k.opening = append(k.opening, func(m *plugins.Memory) {
			_ = m.SaveValue(context.Background(), host, plugin, store, key, value, ttl) // it had room before
		})
	}
	return err
}

// opened ends what reset goes back to.
func (k *keeper) opened() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.open = true
}

// reset forgets what was saved since the plugin was opened.
func (k *keeper) reset() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.memory = &plugins.Memory{Now: k.now}
	for _, save := range k.opening {
		save(k.memory)
	}
}
