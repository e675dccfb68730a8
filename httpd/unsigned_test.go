package httpd

import (
	"runtime"
	"strings"
	"testing"
)

// What strangers send takes room up to a bound, and leaves it as soon as they are known to be strangers.
func TestBodiesOfWhomNobodyKnows(t *testing.T) {
	const most = 256 << 10
	s := &Server{}
	addr := start(t, s, oneHost(Refresh{Secret: testSecret, MaxBytes: most}), "")
	post := func(body, signature string) string {
		return request("POST", "/roster_admin/refresh", "example.com", body, signatureField+": "+signature)
	}
	large := "[" + strings.Repeat(" ", most-2) + "]"
	text := post(large, "sha256="+strings.Repeat("00", 32))
	const strangers = 5 // of each 192 KiB count, and there are 4 × 256
	var held []*client
	for range strangers {
		c := dial(t, addr)
		c.send(text[:len(text)-1])
		held = append(held, c)
	}
	for taken := int64(0); taken < strangers*(most-freeBytes-1); {
		s.unsigned.mu.Lock()
		taken = s.unsigned.taken
		s.unsigned.mu.Unlock()
		runtime.Gosched()
	}
	owner := dial(t, addr)
	owner.send(post(large, sign(testSecret, large)))
	got := owner.receive("POST")
	if got.status != 503 || got.header.Get("Retry-After") == "" {
		t.Errorf("one too many: answered %+v", got)
	}
	checkRefusal(t, got, "try again")
	owner = dial(t, addr)
	owner.send(post(`["offline"]`, sign(testSecret, `["offline"]`)))
	if got := owner.receive("POST"); got.status != 200 {
		t.Errorf("a small one: answered %+v", got)
	}
	for _, c := range held {
		c.send("]")
		if got := c.receive("POST"); got.status != 403 {
			t.Errorf("a stranger: answered %+v", got)
		}
	}
	owner.send(post(large, sign(testSecret, large)))
	if got := owner.receive("POST"); got.status != 200 {
		t.Errorf("afterwards: answered %+v", got)
	}
	if s.unsigned.taken != 0 {
		t.Errorf("%d bytes stay", s.unsigned.taken)
	}
}
