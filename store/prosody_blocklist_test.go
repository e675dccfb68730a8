package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rosterd/engine/addr"
	"rosterd/store"
)

func TestProsodyBlocklist(t *testing.T) {
	user := addr.MustBare("o.brien@example.com")
	for _, c := range []struct{ name, file, want, err string }{
		{"as Prosody writes it", "return {\n\t[false] = {\n\t\t[\"created\"] = 1700000000;\n\t};\n\t[\"tybalt@capulet.example\"] = 1700000001;\n\t[\"Paris@example.com/square\"] = true;\n\t[\"spam.example\"] = 1700000002;\n};\n",
			"[tybalt@capulet.example paris@example.com/square spam.example]", ""},
		{"none", "", "[]", ""},
		{"nobody's address", "return { [\"@\"] = 1; [\"a@b\"] = 1 };", "[a@b]", ""},
		{"damaged", "return {", "", "o%2ebrien.dat"},
		{"no table", "return 1;", "", "not a table"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if c.file != "" {
				folder := filepath.Join(dir, "example%2ecom", "blocklist")
				if err := os.MkdirAll(folder, 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(folder, "o%2ebrien.dat"), []byte(c.file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := store.ProsodyBlocklist(dir, user)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("got %v, %v", got, err)
				}
				return
			}
			if err != nil || fmt.Sprint(got) != c.want {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}
