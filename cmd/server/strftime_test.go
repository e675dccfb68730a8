package main

import (
	"testing"
	"time"
)

func TestStrftime(t *testing.T) {
	at := time.Date(2026, 2, 3, 4, 5, 6, 0, time.FixedZone("CET", 3600))
	for format, want := range map[string]string{
		"%b %d %H:%M:%S": "Feb 03 04:05:06", "%Y-%m-%dT%T%z": "2026-02-03T04:05:06+0100", "%e|%j|%%|%p": " 3|034|%|AM", "%Q %": "%Q %", "": "", "plain": "plain",
	} {
		if got := strftime(format, at); got != want {
			t.Errorf("%q: got %q, want %q", format, got, want)
		}
	}
}
