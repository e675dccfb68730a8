package plugins

import "time"

// Work is what a plugin is called for.
type Work string

// The kinds of work.
const (
	WorkRoster Work = "roster"
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
