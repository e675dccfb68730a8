package target

import (
	"errors"
	"time"
)

// Memory is what a server and the processes that it has started hold, in bytes.
type Memory struct {
	RSS int64 // resident; what several processes share is counted for each
	PSS int64 // resident; what several processes share is divided among them
}

// Cost is what something took.
type Cost struct {
	CPU     time.Duration // of the server, all its processes
	Wall    time.Duration
	LoadCPU time.Duration // of the load program and the backend, which are one process

	ServerProcessors, LoadProcessors int // that each could use
}

// Per is the CPU time of the server for each of n, in a unit.
func (c Cost) Per(n int, unit time.Duration) float64 {
	return float64(c.CPU) / float64(max(n, 1)) / float64(unit)
}

// Rate is how many of n there were in a second, by the clock.
func (c Cost) Rate(n int) float64 { return float64(n) / c.Wall.Seconds() }

// Busy is the share of their processors that the server and the load program have used, 0 to 1.
func (c Cost) Busy() (server, load float64) {
	share := func(cpu time.Duration, processors int) float64 {
		return float64(cpu) / float64(max(c.Wall, 1)) / float64(max(processors, 1))
	}
	return share(c.CPU, c.ServerProcessors), share(c.LoadCPU, c.LoadProcessors)
}

// Bound says why figures by the clock (Rate, latencies) say nothing of the server: the load program had no more time
// to give, and the server did. It is "" if that was not so. CPU times are good in any case.
func (c Cost) Bound() string {
	server, load := c.Busy()
	if load < 0.9 || server > 0.9 {
		return ""
	}
	return "the load program was the bottleneck: it used more than nine tenths of its processors, and the server did not"
}

// During is what f cost.
func (s *Server) During(f func() error) (Cost, error) {
	c := Cost{ServerProcessors: s.processors, LoadProcessors: loadProcessors()}
	keep, err := s.profile()
	if err != nil {
		return c, err
	}
	cpu, load, start := s.CPU(), CPU(0), time.Now()
	err = f()
	c.CPU, c.LoadCPU, c.Wall = s.CPU()-cpu, CPU(0)-load, time.Since(start)
	return c, errors.Join(err, keep())
}

// CPU is the time that all processes of the server have used so far.
func (s *Server) CPU() (all time.Duration) {
	for _, pid := range Family(s.PID()) {
		all += CPU(pid)
	}
	return all
}
