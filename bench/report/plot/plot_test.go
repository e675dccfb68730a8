package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

var update = flag.Bool("update", false, "write the drawings anew")

var charts = map[string]Chart{
	"growing.svg": {
		Title: "CPU time of a login",
		X:     Axis{Name: "contacts", Log: true},
		Y:     Axis{Name: "CPU", Log: true, Label: func(y float64) string { return fmt.Sprintf("%g ms", y) }},
		Series: []Series{
			{Name: "rosterd", Points: []Point{{10, 0.2}, {1000, 4.1}, {100, 0.6}, {0, 1}}},
			{Name: "prosody & others", Dashed: true, Points: []Point{{10, 3.4}, {100, 18.7}, {1000, 224}}},
		},
	},
	"linear.svg": {
		Title:  "Sessions",
		X:      Axis{Name: "seconds"},
		Y:      Axis{Name: "sessions"},
		Series: []Series{{Name: "one", Points: []Point{{1, 40}}}},
	},
}

// TestSVG: what is drawn is what somebody has looked at. After a change, run with -update and look again.
func TestSVG(t *testing.T) {
	t.Parallel()
	for name, c := range charts {
		file := filepath.Join("testdata", name)
		got := c.SVG()
		wellFormed(t, name, got)
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is\n%s", name, got)
		}
	}
}

func wellFormed(t *testing.T, name string, svg []byte) {
	t.Helper()
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

// TestSize: eight lines of forty points are more than any of ours, and stay small.
func TestSize(t *testing.T) {
	t.Parallel()
	c := Chart{Title: "Many", X: Axis{Log: true}, Y: Axis{Log: true}}
	for s := range 8 {
		line := Series{Name: fmt.Sprintf("series number %d, contacts 1000", s)}
		for i := range 40 {
			line.Points = append(line.Points, Point{math.Pow(1.3, float64(i)), float64(1+s) * math.Pow(1.4, float64(i))})
		}
		c.Series = append(c.Series, line)
	}
	svg := c.SVG()
	wellFormed(t, "many", svg)
	if len(svg) > 20<<10 {
		t.Errorf("%d bytes", len(svg))
	}
}

func TestNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]Chart{
		"no series":               {},
		"nothing on a log axis":   {X: Axis{Log: true}, Series: []Series{{Points: []Point{{0, 1}, {-1, 1}}}}},
		"what is not a number":    {Series: []Series{{Points: []Point{{math.NaN(), 1}, {1, math.Inf(1)}}}}},
		"a series without points": {Series: []Series{{Name: "empty"}}},
	} {
		if svg := c.SVG(); svg != nil {
			t.Errorf("%s: %s", name, svg)
		}
	}
}

func TestTicks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		log       bool
		low, high float64
		want      []float64
	}{
		{"decades", true, 10, 10000, []float64{10, 100, 1000, 10000}},
		{"part of a decade", true, 12, 40, []float64{10, 20, 50}},
		{"over the end of a decade", true, 60, 150, []float64{50, 100, 200}},
		{"one figure, a tick", true, 100, 100, []float64{10, 20, 50, 100, 200, 500, 1000}},
		{"below one", true, 0.003, 0.02, []float64{0.002, 0.005, 0.01, 0.02}},
		{"linear", false, 0, 47, []float64{0, 10, 20, 30, 40, 50}},
		{"linear, one figure", false, 40, 40, []float64{40, 40.2, 40.4, 40.6, 40.8, 41}},
		{"linear, from below nothing", false, -3, 3, []float64{-4, -2, 0, 2, 4}},
	} {
		s := span{log: c.log, length: 100}
		s.include(c.low)
		s.include(c.high)
		s.round()
		got := s.ticks()
		near := func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }
		if !slices.EqualFunc(got, c.want, near) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
			continue
		}
		for _, v := range []float64{c.low, c.high} {
			if at := s.at(v); at < -1e-9 || at > 100+1e-9 {
				t.Errorf("%s: %v is drawn at %v", c.name, v, at)
			}
		}
	}
}
