package module

import (
	"strings"
	"testing"
)

func TestWhatIsNoModule(t *testing.T) {
	for _, c := range []struct{ name, code, want string }{
		{"nothing", "", "no WebAssembly module"},
		{"ELF", "\x7fELF\x02\x01\x01\x00", "no WebAssembly module"},
		{"text", "(module (memory 1))", "as text"},
		{"component", "\x00asm\x0d\x00\x01\x00", "component"},
		{"version 2", "\x00asm\x02\x00\x00\x00", "another version"},
		{"cut in the version", "\x00asm\x01", "another version"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Read([]byte(c.code))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Read says %v, want %q", err, c.want)
			}
		})
	}
}
