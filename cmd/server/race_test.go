//go:build race

package main

// slower is how much longer a pause may be: the race detector looks at every byte of a copy, and is not interrupted.
const slower = 5

// shadowed says that what a process keeps has a shadow several times as large, which counts against the worker's limit: what
// takes much memory, and is else refused for what it returns, may end for that.
const shadowed = true
