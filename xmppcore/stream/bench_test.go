package stream_test

import (
	"io"
	"testing"

	"rosterd/xmppcore/scan"
)

// BenchmarkStanzas reads stanzas that come ten at a time.
func BenchmarkStanzas(b *testing.B) {
	for name, encrypted := range map[string]bool{"plain": false, "TLS": true} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b, nil)
			left := b.N
			done := make(chan struct{})
			w.handle = func(*session, *scan.Stanza) error {
				if left--; left == 0 {
					close(done)
				}
				return nil
			}
			nc, _ := w.listen().bound(encrypted)
			batch := []byte(message + message + message + message + message + message + message + message + message + message)
			b.SetBytes(int64(len(message)))
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; i < b.N; i += 10 {
				if _, err := nc.Write(batch); err != nil {
					b.Fatal(err)
				}
			}
			<-done
		})
	}
}

// BenchmarkRoundTrip sends one stanza and waits for one.
func BenchmarkRoundTrip(b *testing.B) {
	for name, encrypted := range map[string]bool{"plain": false, "TLS": true} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b, nil)
			w.handle = func(s *session, st *scan.Stanza) error { return s.Transport.Write(st.Raw) }
			nc, _ := w.listen().bound(encrypted)
			got := make([]byte, len(message))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := io.WriteString(nc, message); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(nc, got); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
