package config

// Storage says which driver keeps which store of a host.
type Storage struct {
	all    string            // driver of every store; "" if each has its own
	stores map[string]string // by name of the store
	pos    map[string]Pos    // of each of them
}

// storageTable reads one driver for all, or store → driver.
func storageTable(r *reading, v Value) (Storage, bool) {
	t := v.Table()
	if t == nil {
		s, ok := nonEmpty(r, v)
		return Storage{all: s}, ok
	}
	if len(t.List) > 0 {
		r.fail(v, "takes a driver or a table such as { roster = \"memory\" }, not a list")
		return Storage{}, false
	}
	s := Storage{stores: map[string]string{}, pos: map[string]Pos{}}
	for _, f := range t.Fields {
		if name, ok := nonEmpty(r, f.Value); ok {
			s.stores[keyText(f.Key)] = name
			s.pos[keyText(f.Key)] = f.Value.pos
		}
	}
	return s, true
}

// StorageDriver returns the driver that the file names for one of the host's stores, such as
// "accounts" or "roster", or Prosody's default, "internal".
func (h *Host) StorageDriver(store string) string {
	driver, _ := h.storageDriver(store)
	return driver
}

// StoreNames are the stores that rosterd has and those that the file names. "" stands for any other.
func (h *Host) StoreNames() []string {
	names := append([]string{""}, h.kept()...)
	s, _, _ := storageOption.Lookup(h)
	for name := range s.stores {
		names = append(names, name)
	}
	return names
}

// storageDriver also tells where the driver is named.
func (h *Host) storageDriver(store string) (string, Pos) {
	s, pos, ok := storageOption.Lookup(h)
	if ok && s.all != "" {
		return s.all, pos
	}
	if driver, named := s.stores[store]; named {
		return driver, s.pos[store]
	}
	driver, pos, _ := defaultStorageOption.Lookup(h)
	return driver, pos
}
