// Package dat reads and writes the values that Prosody's "internal" storage keeps in its .dat files: one Lua
// literal after the word return. Nothing is executed; what is not a literal is an error that names its line.
package dat

// A Value is nil, a bool, an int64, a float64, a string or a *Table.
type Value any

// A Field is one entry of a Table. Entries written without a key have 1, 2, 3 … as keys, as int64.
type Field struct{ Key, Value Value }

// Table is a Lua table with its fields in the order of the file. The zero value is an empty one.
type Table struct{ Fields []Field }

// Get is the value of a field, nil if there is none. It tells int64(1) from "1", as Lua does.
func (t *Table) Get(key Value) Value {
	for _, f := range t.Fields {
		if f.Key == key {
			return f.Value
		}
	}
	return nil
}

// Set changes or appends a field; with nil it removes it.
func (t *Table) Set(key, value Value) {
	for i, f := range t.Fields {
		if f.Key != key {
			continue
		}
		if value == nil {
			t.Fields = append(t.Fields[:i], t.Fields[i+1:]...)
			return
		}
		t.Fields[i].Value = value
		return
	}
	if value != nil {
		t.Fields = append(t.Fields, Field{key, value})
	}
}
