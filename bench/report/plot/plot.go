// Package plot draws lines over an axis as SVG: readable on light and on dark pages, small, and the same byte for byte
// from the same figures.
package plot

import (
	"bytes"
	"cmp"
	"fmt"
	"html"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Chart is a plot of several series.
type Chart struct {
	Title  string
	X, Y   Axis
	Series []Series
}

// Axis says what is along it.
type Axis struct {
	Name string
	Log  bool // needs figures above nothing; others are left out
	// Label writes what stands at a tick; nil: the figure.
	Label func(float64) string
}

// Series is a line with a name in the legend.
type Series struct {
	Name   string
	Dashed bool // for what the others are compared with
	Points []Point
}

// Point is one measured figure.
type Point struct{ X, Y float64 }

// Sizes, in the units of the drawing.
const (
	width, left, right = 720, 78, 20
	top, tall, bottom  = 42, 250, 48 // tall is the height of the field
	legendLine         = 18
	perLine            = 3 // entries of the legend beside each other
)

// style has colours that can be told apart by those who see few of them, for both kinds of page.
const style = `<style>
text{font:12px system-ui,sans-serif;fill:#24292f}.t{font-size:14px;font-weight:600}.b{fill:#fff}.g{stroke:#d0d7de}.a{stroke:#57606a}
polyline{fill:none;stroke-width:2}.d{stroke-dasharray:6 4}
.c0{stroke:#0072b2;fill:#0072b2}.c1{stroke:#d55e00;fill:#d55e00}.c2{stroke:#00856a;fill:#00856a}.c3{stroke:#b5539a;fill:#b5539a}.c4{stroke:#8a6d00;fill:#8a6d00}.c5{stroke:#57606a;fill:#57606a}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.b{fill:#0d1117}.g{stroke:#30363d}.a{stroke:#8b949e}
.c0{stroke:#56b4e9;fill:#56b4e9}.c1{stroke:#ff8c42;fill:#ff8c42}.c2{stroke:#2fd3a8;fill:#2fd3a8}.c3{stroke:#e59ad0;fill:#e59ad0}.c4{stroke:#f0e442;fill:#f0e442}.c5{stroke:#8b949e;fill:#8b949e}}
</style>
`

const colours = 6

// SVG draws the chart. Points that have no place on an axis are left out; without any there is no chart, but nil.
func (c Chart) SVG() []byte {
	series := c.drawable()
	if len(series) == 0 {
		return nil
	}
	x, y := c.scale(series)
	legend := (len(series) + perLine - 1) / perLine * legendLine
	height := top + legend + tall + bottom
	var b bytes.Buffer
	fmt.Fprintf(&b, "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' role='img' aria-label='%s'>\n%s", width, height, html.EscapeString(c.Title), style)
	fmt.Fprintf(&b, "<rect class='b' width='%d' height='%d'/>\n<text class='t' x='%d' y='22'>%s</text>\n", width, height, left, html.EscapeString(c.Title))
	drawLegend(&b, series)
	fmt.Fprintf(&b, "<g transform='translate(%d %d)'>\n", left, top+legend)
	c.grid(&b, x, y)
	for _, s := range series {
		s.draw(&b, x, y)
	}
	b.WriteString("</g>\n</svg>\n")
	return b.Bytes()
}

// entry is a series with the colour that it keeps, whatever else is drawn.
type entry struct {
	Series
	colour int
}

// drawable are the series with their points in order, without what cannot be drawn.
func (c Chart) drawable() (list []entry) {
	for i, s := range c.Series {
		s.Points = slices.DeleteFunc(slices.Clone(s.Points), func(p Point) bool { return !c.X.takes(p.X) || !c.Y.takes(p.Y) })
		slices.SortStableFunc(s.Points, func(p, q Point) int { return cmp.Compare(p.X, q.X) })
		if len(s.Points) > 0 {
			list = append(list, entry{s, i % colours})
		}
	}
	return list
}

func (a Axis) takes(v float64) bool {
	return !math.IsNaN(v) && !math.IsInf(v, 0) && (!a.Log || v > 0)
}

// scale finds what the axes reach over.
func (c Chart) scale(series []entry) (x, y span) {
	x, y = newSpan(c.X, width-left-right, false), newSpan(c.Y, tall, true)
	for _, s := range series {
		for _, p := range s.Points {
			x.include(p.X)
			y.include(p.Y)
		}
	}
	if !c.Y.Log {
		y.include(0) // a cost that grows by a tenth does not look as if it had doubled
	}
	x.round()
	y.round()
	return x, y
}

func drawLegend(b *bytes.Buffer, series []entry) {
	for i, s := range series {
		x, y := left+i%perLine*((width-left-right)/perLine), top+i/perLine*legendLine
		fmt.Fprintf(b, "<line class='c%d%s' stroke-width='2' x1='%d' y1='%d' x2='%d' y2='%d'/><text x='%d' y='%d'>%s</text>\n",
			s.colour, s.dashes(), x, y-4, x+20, y-4, x+26, y, html.EscapeString(s.Name))
	}
}

func (s Series) dashes() string {
	if s.Dashed {
		return " d"
	}
	return ""
}

// grid draws lines across the field, what stands beside them, and the names of the axes.
func (c Chart) grid(b *bytes.Buffer, x, y span) {
	var lines strings.Builder
	for _, v := range y.ticks() {
		at := y.at(v)
		fmt.Fprintf(&lines, "M0 %sH%d", short(at), width-left-right)
		fmt.Fprintf(b, "<text x='-8' y='%s' text-anchor='end'>%s</text>\n", short(at+4), html.EscapeString(c.Y.label(v)))
	}
	for _, v := range x.ticks() {
		at := x.at(v)
		fmt.Fprintf(&lines, "M%s 0V%d", short(at), tall)
		fmt.Fprintf(b, "<text x='%s' y='%d' text-anchor='middle'>%s</text>\n", short(at), tall+18, html.EscapeString(c.X.label(v)))
	}
	fmt.Fprintf(b, "<path class='g' d='%s'/>\n<path class='a' fill='none' d='M0 0V%dH%d'/>\n", &lines, tall, width-left-right)
	fmt.Fprintf(b, "<text x='%d' y='%d' text-anchor='middle'>%s</text>\n", (width-left-right)/2, tall+38, html.EscapeString(c.X.Name))
	fmt.Fprintf(b, "<text transform='translate(-62 %d) rotate(-90)' text-anchor='middle'>%s</text>\n", tall/2, html.EscapeString(c.Y.Name))
}

func (a Axis) label(v float64) string {
	if a.Label != nil {
		return a.Label(v)
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

func (s entry) draw(b *bytes.Buffer, x, y span) {
	var points, dots []string
	for _, p := range s.Points {
		at := short(x.at(p.X)) + " " + short(y.at(p.Y))
		points = append(points, at)
		dots = append(dots, "M"+at+"h0")
	}
	fmt.Fprintf(b, "<polyline class='c%d%s' style='fill:none' points='%s'/>\n", s.colour, s.dashes(), strings.Join(points, ","))
	fmt.Fprintf(b, "<path class='c%d' stroke-width='7' stroke-linecap='round' d='%s'/>\n", s.colour, strings.Join(dots, ""))
}

// short is a coordinate, to a tenth.
func short(v float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(math.Round(v*10)/10+0, 'f', 1, 64), ".0") // + 0: no -0
}
