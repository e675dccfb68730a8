package stream

import "context"

// startTLS answers <starttls/> (RFC 6120 §5.4.2).
func (n *negotiation) startTLS(ctx context.Context) error {
	if !n.offersTLS() {
		if err := n.c.Write([]byte("<failure xmlns='" + nsTLS + "'/>")); err != nil {
			return err
		}
		return errNoTLS // ends the stream without a stream error (§5.4.2.2)
	}
	if err := n.c.Write([]byte("<proceed xmlns='" + nsTLS + "'/>")); err != nil {
		return err
	}
	n.opened = false
	if err := n.tcp.startTLS(ctx, n.host.TLS, &n.server.keys); err != nil {
		return err
	}
	return n.open()
}
