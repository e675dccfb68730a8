//go:build !unix

package main

import "net"

func shorten(string, net.Listener) {}
