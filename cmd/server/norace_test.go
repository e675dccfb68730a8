//go:build !race

package main

const slower = 1

const shadowed = false
