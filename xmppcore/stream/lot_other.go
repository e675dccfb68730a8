//go:build !linux

package stream

// Elsewhere each idle connection has a goroutine that waits.
func (c *conn) park() bool { return false }
func (c *conn) unpark()    {}
