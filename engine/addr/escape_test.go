package addr

import "testing"

func TestEscape(t *testing.T) {
	for _, tt := range []struct{ name, escaped string }{
		{"juliet", "juliet"},
		{"alice@example.com", `alice\40example.com`},
		{`d'artagnan of "x" & </:>`, `d\27artagnan\20of\20\22x\22\20\26\20\3c\2f\3a\3e`},
		{`c:\20x`, `c\3a\5c20x`}, // a backslash that would begin an escape
		{`\alice`, `\alice`},     // one that would not
		{`\\20\5c`, `\\5c20\5c5c`},
		{"zoë", "zoë"},
	} {
		if got := Escape(tt.name); got != tt.escaped {
			t.Errorf("Escape(%q) = %q, want %q", tt.name, got, tt.escaped)
		}
		if got := Unescape(tt.escaped); got != tt.name {
			t.Errorf("Unescape(%q) = %q, want %q", tt.escaped, got, tt.name)
		}
	}
}
