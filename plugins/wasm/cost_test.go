package wasm_test

import (
	"testing"

	"rosterd/plugins/wasm"
)

// TestMeasureInstance: what an instance takes is known without a call.
func TestMeasureInstance(t *testing.T) {
	o, err := manager().Open(t.Context(), "flat", "example.com", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	p := o.Plugin.(*wasm.Plugin)
	cost, err := p.MeasureInstance(t.Context())
	if err != nil || cost.Took <= 0 || cost.Memory < 64<<10 || cost.Memory > p.MemoryPeak() {
		t.Errorf("%+v, %v", cost, err)
	}
}
