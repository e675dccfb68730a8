package xmppcore

import (
	"rosterd/xmppcore/registry"
	"rosterd/xmppcore/scan"
	"rosterd/xmppcore/xep"
)

// clientState is XEP-0352 §4. It is false where it is not offered.
func (s *Server) clientState(res *registry.Resource, st *scan.Stanza) bool {
	host := s.host(res.Full.Domain())
	if host.Host == nil || host.ClientState == nil {
		return false
	}
	switch string(st.Name) {
	case "inactive":
		res.SetInactive(host.ClientState)
	case "active":
		res.SetInactive(nil)
	default:
		return false
	}
	return true
}

// stateFeature offers it.
func (h *Host) stateFeature() string {
	if h.ClientState == nil {
		return ""
	}
	return "<csi xmlns='" + xep.NSClientState + "'/>"
}
