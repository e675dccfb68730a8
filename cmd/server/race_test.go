//go:build race

package main

// slower is how much longer a pause may be: the race detector looks at every byte of a copy, and is not interrupted.
const slower = 5
