package wasm

import "rosterd/plugins"

// initialize is what toolchains call the function that sets up a module without a main function.
const initialize = "_initialize"

// op is what a module is called for, and the export that is called.
type op int

const (
	opInit op = iota
	opTransform
	opFetch
	opAuth
	opWebhook
	opEdit
	opCard
	ops // how many there are
)

var opNames = [ops]string{"init", "transform", "fetch", "auth", "webhook", "edit", "vcard"}

func (o op) String() string { return opNames[o] }

// export is the function for it.
func (o op) export() string { return "rosterd_" + opNames[o] }

// work is what it counts as.
func (o op) work() plugins.Work {
	switch o {
	case opEdit:
		return plugins.WorkEdit
	case opCard:
		return plugins.WorkCard
	case opAuth:
		return plugins.WorkAuth
	case opWebhook:
		return plugins.WorkHTTP
	}
	return plugins.WorkRoster
}
