package scan_test

import (
	"errors"
	"testing"

	"rosterd/xmppcore/scan"
)

func TestProlog(t *testing.T) {
	for _, tt := range []struct {
		name, in, rest string
		want           scan.Condition
	}{
		{"none", "<a/>", "<a/>", ""},
		{"declaration", "<?xml version='1.0'?><a/>", "<a/>", ""},
		{"space", " \n<?xml version='1.0' encoding=\"utf-8\"?> <a/>", "<a/>", ""},
		{"nothing", "", "", ""},
		{"space alone", " \r\n\t", "", ""},
		{"other instruction", "<?xmlx?><a/>", "<?xmlx?><a/>", ""},
		{"text", "hello", "", scan.NotWellFormed},
		{"other encoding", "<?xml version='1.0' encoding='latin1'?><a/>", "", scan.UnsupportedEncoding},
		{"UTF-16", "\xff\xfe<\x00", "", scan.UnsupportedEncoding},
		{"declaration alone", "<?xml version='1.0'?>", "", scan.NotWellFormed},
		{"no end of it", "<?xml version='1.0'", "", scan.NotWellFormed},
		{"beginning of it", "<?xm", "", scan.NotWellFormed},
		{"bracket", "<", "", scan.NotWellFormed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, err := scan.Prolog([]byte(tt.in))
			if tt.want != "" {
				var refused *scan.Error
				if !errors.As(err, &refused) || refused.Condition != tt.want {
					t.Errorf("got %v, want %s", err, tt.want)
				}
				return
			}
			if err != nil || tt.in[n:] != tt.rest {
				t.Errorf("left %q, %v, want %q", tt.in[n:], err, tt.rest)
			}
		})
	}
}
