package plot

import "math"

// span is what an axis reaches over, and where on it a figure is.
type span struct {
	low, high float64 // of the logarithms, on a logarithmic axis
	log       bool
	length    float64
	up        bool // the least figure is at the end
	some      bool
	every     float64 // the distance of ticks on a linear axis
}

func newSpan(a Axis, length float64, up bool) span { return span{log: a.Log, length: length, up: up} }

func (s *span) measure(v float64) float64 {
	if s.log {
		return math.Log10(v)
	}
	return v
}

func (s *span) include(v float64) {
	m := s.measure(v)
	if !s.some {
		s.low, s.high, s.some = m, m, true
	}
	s.low, s.high = min(s.low, m), max(s.high, m)
}

// round extends the span to where ticks are, so that nothing is drawn at its very edge and the edges have labels.
func (s *span) round() {
	if s.log {
		s.low, s.high = outward(s.low, math.Floor, -1), outward(s.high, math.Ceil, 1)
		if s.low == s.high {
			s.low, s.high = s.low-1, s.high+1
		}
		return
	}
	if s.low == s.high {
		s.high = s.low + 1
	}
	s.every = s.step()
	s.low, s.high = math.Floor(s.low/s.every)*s.every, math.Ceil(s.high/s.every)*s.every
}

// outward is the next of 1, 2 and 5 in a decade, as a logarithm.
func outward(m float64, toDecade func(float64) float64, way int) float64 {
	const close = 1e-9 // what is on a tick stays there
	if whole := math.Round(m); math.Abs(m-whole) < close {
		return whole
	}
	base := math.Floor(m)
	best := toDecade(m)
	for _, part := range []float64{2, 5} {
		tick := base + math.Log10(part)
		if way < 0 && tick <= m+close && tick > best || way > 0 && tick >= m-close && tick < best {
			best = tick
		}
	}
	return best
}

// step is the distance of ticks on a linear axis: 1, 2 or 5 times a power of ten, some five of them.
func (s *span) step() float64 {
	rough := (s.high - s.low) / 5
	power := math.Pow(10, math.Floor(math.Log10(rough)))
	for _, part := range []float64{1, 2, 5} {
		if part*power >= rough*0.999 {
			return part * power
		}
	}
	return 10 * power
}

// ticks are the figures that lines and labels stand at.
func (s *span) ticks() (list []float64) {
	if !s.log {
		for i := range int(math.Round((s.high-s.low)/s.every)) + 1 {
			list = append(list, math.Round(s.low/s.every+float64(i))*s.every)
		}
		return list
	}
	parts := []float64{1}
	if s.high-s.low < 2.5 { // few decades: room for what is between
		parts = []float64{1, 2, 5}
	}
	for decade := math.Floor(s.low); decade <= s.high; decade++ {
		for _, part := range parts {
			if at := decade + math.Log10(part); at >= s.low-1e-9 && at <= s.high+1e-9 {
				list = append(list, part*math.Pow(10, decade))
			}
		}
	}
	return list
}

// at is the coordinate of a figure.
func (s *span) at(v float64) float64 {
	share := (s.measure(v) - s.low) / (s.high - s.low)
	if s.up {
		share = 1 - share
	}
	return share * s.length
}
