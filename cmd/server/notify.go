package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// supervisor is who started us and wants to know how we are: systemd, by the protocol of sd_notify(3). The zero value
// is nobody, to whom nothing is said.
type supervisor struct {
	socket string        // NOTIFY_SOCKET: a path, or @ and an abstract name
	alive  time.Duration // say that we are alive so often; 0 is never
}

// takeSupervisor reads the environment, and takes it from there: processes that we start have nothing to say.
func takeSupervisor() (supervisor, error) {
	s := supervisor{socket: os.Getenv("NOTIFY_SOCKET")}
	period, pid := os.Getenv("WATCHDOG_USEC"), os.Getenv("WATCHDOG_PID")
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
		if err := os.Unsetenv(name); err != nil {
			return s, err
		}
	}
	if s.socket == "" || period == "" || pid != "" && pid != strconv.Itoa(os.Getpid()) { // sd_watchdog_enabled(3)
		return s, nil
	}
	µs, err := strconv.ParseInt(period, 10, 64)
	if err != nil || µs <= 0 {
		return s, fmt.Errorf("WATCHDOG_USEC=%q is no time in microseconds", period)
	}
	s.alive = time.Duration(µs) * time.Microsecond / 2
	return s, nil
}

func (s supervisor) tell(state string) error {
	if s.socket == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: s.socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("tell the supervisor: %w", err)
	}
	_, err = conn.Write([]byte(state))
	if err = errors.Join(err, conn.Close()); err != nil {
		return fmt.Errorf("tell the supervisor: %w", err)
	}
	return nil
}

// ready says that a start or a reload has ended, and what the server is doing.
func (s supervisor) ready(status string) error { return s.tell("READY=1\nSTATUS=" + status) }

// reloading says when the reload began, by which systemd tells it from others (Type=notify-reload).
func (s supervisor) reloading() error {
	if s.socket == "" {
		return nil
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return fmt.Errorf("tell the supervisor: %w", err)
	}
	return s.tell(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/1000))
}

func (s supervisor) stopping() error { return s.tell("STOPPING=1") }

// watch says that we are alive until its result is called.
func (s supervisor) watch() (stop func()) {
	if s.alive == 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(s.alive)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_ = s.tell("WATCHDOG=1") // if nobody hears it, systemd acts
			case <-ctx.Done():
				return
			}
		}
	})
	return func() { cancel(); done.Wait() }
}
