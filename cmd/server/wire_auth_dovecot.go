package main

import (
	"cmp"
	"net"
	"strconv"

	"rosterd/config"
	"rosterd/passwords"
	"rosterd/passwords/dovecot"
)

// dovecotService is that of authentication = "dovecot".
func dovecotService(h *config.Host) (passwords.Source, error) {
	s := &dovecot.Source{
		Network: "unix", Address: config.DovecotSocket.Get(h), Service: config.DovecotService.Get(h),
		Split: config.DovecotAppended.Get(h) == "split", CheckDomain: config.DovecotCheckHost.Get(h),
	}
	if port := config.DovecotPort.Get(h); port != 0 {
		s.Network, s.Address = "tcp", net.JoinHostPort(config.DovecotHost.Get(h), strconv.Itoa(port))
	}
	if config.DovecotAppendHost.Get(h) {
		s.Realm = cmp.Or(config.Realm.Get(h), h.Name)
	}
	return s, nil
}
