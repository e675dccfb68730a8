package report

import (
	"fmt"
	"math"
	"strings"
)

// scales are units in terms of one they are shown by.
var scales = map[string]struct {
	by     string
	factor float64
}{
	"s": {"s", 1}, "ms": {"s", 1e-3}, "µs": {"s", 1e-6}, "ns": {"s", 1e-9},
	"B": {"B", 1}, "KiB": {"B", 1 << 10}, "MiB": {"B", 1 << 20}, "GiB": {"B", 1 << 30},
}

// steps are the units that a figure is shown in, the largest first.
var steps = map[string][]string{"s": {"s", "ms", "µs", "ns"}, "B": {"GiB", "MiB", "KiB", "B"}}

// Figure is a figure for people: three digits, in the unit that suits it.
func Figure(x float64, unit string) string {
	if scale, ok := scales[unit]; ok {
		x *= scale.factor
		for _, unit = range steps[scale.by] {
			if math.Abs(x) >= scales[unit].factor*0.9995 {
				break
			}
		}
		if x == 0 {
			unit = scale.by
		}
		x /= scales[unit].factor
	}
	return strings.TrimSpace(digits(x) + " " + unit)
}

// digits are three that count, without an exponent.
func digits(x float64) string {
	switch a := math.Abs(x); {
	case math.IsNaN(x):
		return "–"
	case x == math.Trunc(x) && a < 1e6:
		return fmt.Sprintf("%.0f", x)
	case a >= 99.95:
		return fmt.Sprintf("%.0f", x)
	case a >= 9.995:
		return fmt.Sprintf("%.1f", x)
	case a >= 0.9995:
		return fmt.Sprintf("%.2f", x)
	default:
		return fmt.Sprintf("%.3g", x)
	}
}

// times is a ratio for people.
func times(r float64) string {
	switch {
	case r >= 9.95:
		return fmt.Sprintf("%.0f ×", r)
	case r >= 0.995:
		return fmt.Sprintf("%.1f ×", r)
	default:
		return fmt.Sprintf("%.2f ×", r)
	}
}

// String are the parameters as they are named in a sentence.
func describe(params []Param) string {
	var parts []string
	for _, p := range params {
		parts = append(parts, p.Name+" "+p.Value)
	}
	return strings.Join(parts, ", ")
}
