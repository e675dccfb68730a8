package xmppcore

import (
	"net"

	"rosterd/xmppcore/component"
	"rosterd/xmppcore/stream"
)

// openComponents lets stanzas go to components, and from them.
func (s *Server) openComponents(c component.Config) {
	s.components.Route, s.components.Lost, s.components.Log = s.router.RouteFrom, s.router.Return, s.log
	s.components.Reconfigure(c)
	s.router.Component, s.router.Awaited = s.components.Session, s.components.Serves
	s.presence.Component = s.components.Session
}

// ServeComponents accepts components (XEP-0114) until Shutdown, and always returns an error.
func (s *Server) ServeComponents(ln net.Listener) error {
	return s.accept(ln, func(nc net.Conn, _ stream.Acceptor) error { return s.components.Serve(s.ctx, nc) })
}
