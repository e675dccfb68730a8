package plugins

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"
)

// maxKept bounds what one plugin of one host keeps, keys and values together.
const maxKept = 1 << 20

// Memory is a Keeper that forgets everything with the process. Its zero value is empty.
type Memory struct {
	Now func() time.Time // nil: time.Now

	mu     sync.Mutex
	owners map[[2]string]*shelf // by host and plugin
}

type shelf struct {
	values map[[2]string]kept // by store and key
	size   int
}

type kept struct {
	value []byte
	until time.Time // the zero one is for ever
}

var _ Keeper = (*Memory)(nil)

func (m *Memory) now() time.Time {
	if m.Now == nil {
		return time.Now()
	}
	return m.Now()
}

// LoadValue finds a value that is still good.
func (m *Memory) LoadValue(_ context.Context, host, plugin, store, key string) ([]byte, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.owners[[2]string{host, plugin}]
	if s == nil {
		return nil, false, nil
	}
	k, ok := s.values[[2]string{store, key}]
	if !ok || !k.until.IsZero() && !k.until.After(m.now()) {
		return nil, false, nil
	}
	return bytes.Clone(k.value), true, nil
}

// SaveValue keeps a value, if there is room for it.
func (m *Memory) SaveValue(_ context.Context, host, plugin, store, key string, value []byte, ttl time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.owners == nil {
		m.owners = map[[2]string]*shelf{}
	}
	owner, place := [2]string{host, plugin}, [2]string{store, key}
	s := m.owners[owner]
	if s == nil {
		s = &shelf{values: map[[2]string]kept{}}
		m.owners[owner] = s
	}
	now := m.now()
	s.drop(func(_ [2]string, v kept) bool { return !v.until.IsZero() && !v.until.After(now) })
	before := 0
	if v, ok := s.values[place]; ok {
		before = size(place, v)
	}
	if more := size(place, kept{value: value}); value != nil && s.size-before+more > maxKept {
		return fmt.Errorf("%w: %d bytes are kept and %d more would be beyond %d MiB", ErrLimit, s.size-before, more, maxKept>>20)
	}
	s.drop(func(p [2]string, _ kept) bool { return p == place })
	if value == nil {
		return nil
	}
	s.size += size(place, kept{value: value})
	k := kept{value: bytes.Clone(value)}
	if ttl > 0 {
		k.until = now.Add(ttl)
	}
	s.values[place] = k
	return nil
}

func size(place [2]string, v kept) int { return len(place[0]) + len(place[1]) + len(v.value) }

// drop forgets values.
func (s *shelf) drop(which func(place [2]string, v kept) bool) {
	for place, v := range s.values {
		if which(place, v) {
			s.size -= size(place, v)
			delete(s.values, place)
		}
	}
}
