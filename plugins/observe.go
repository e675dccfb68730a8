package plugins

import (
	"context"
	"errors"
	"time"

	"rosterd/engine"
)

// Work is what a plugin is called for.
type Work string

// The kinds of work.
const (
	WorkRoster Work = "roster"
	WorkEdit   Work = "edit"
	WorkCard   Work = "vcard"
	WorkAuth   Work = "auth"
	WorkHTTP   Work = "http"
	WorkTimer  Work = "timer"
)

// Called is what one call of a plugin came to.
type Called struct {
	Plugin, Host string
	Work         Work
	Took         time.Duration
	Err          error // nil, or as the plugin answered
}

// Outcomes are what calls come to, for who counts them: those of the faults are the kinds of engine.FaultError.
var Outcomes = []string{
	"ok", "unknown-user", "denied", "temporary", "permanent", "timeout", "canceled",
	"deadline", "instructions", "memory", "trap", "protocol", "fault",
}

// Outcome is one of Outcomes.
func (c Called) Outcome() string {
	var permanent *engine.PermanentError
	var fault *engine.FaultError
	switch {
	case c.Err == nil:
		return "ok"
	case errors.As(c.Err, &fault): // before the end of time, which may be its cause
		switch fault.Kind {
		case "deadline", "instructions", "memory", "trap", "protocol":
			return fault.Kind
		}
		return "fault"
	case errors.Is(c.Err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(c.Err, engine.ErrUnknownUser):
		return "unknown-user"
	case errors.Is(c.Err, engine.ErrDenied):
		return "denied"
	case errors.Is(c.Err, context.Canceled):
		return "canceled"
	case errors.As(c.Err, &permanent):
		return "permanent"
	}
	return "temporary"
}

// Usage is what a plugin takes of the machine beside this process.
type Usage struct {
	Memory   int64 // bytes that are resident; 0 if that is not known
	Restarts int64 // of its process, since the plugin was opened
}

// Used is what a plugin implements that has a process of its own.
type Used interface{ Usage() Usage }
