package bosh

import "rosterd/xmppcore/stream"

var _ stream.Named = (*session)(nil)

// Name implements stream.Named.
func (s *session) Name() string { return "bosh" }
