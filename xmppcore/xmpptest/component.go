package xmpptest

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"rosterd/xmppcore/scan"
)

const nsComponent = "jabber:component:accept"

// Attach makes the client the component of its domain (XEP-0114 §3). It must say who its stanzas are from; those that
// are not to be written out are from the domain. Whoever it pings is itself, by way of the server.
func (c *Client) Attach(ctx context.Context, secret string) error {
	err := c.Send(ctx, "<stream:stream to='"+escape(c.Domain)+"' xmlns='"+nsComponent+"' xmlns:stream='"+scan.NSStream+"'>")
	if err != nil {
		return err
	}
	if err := c.ReadHeader(ctx); err != nil {
		return err
	}
	c.from, c.JID = c.Domain, c.Domain
	sum := sha1.Sum([]byte(c.Header.ID + secret))
	if err := c.Send(ctx, "<handshake>"+hex.EncodeToString(sum[:])+"</handshake>"); err != nil {
		return err
	}
	e, err := c.Next(ctx)
	if err == nil && e.Name.Local != "handshake" {
		err = fmt.Errorf("handshake refused: %s", e)
	}
	return err
}

func (p *play) attach(ctx context.Context, st step) error {
	domain, secret, ok := strings.Cut(strings.Trim(st.text, "[]"), ",")
	if !ok {
		return errors.New("domain and secret belong in brackets")
	}
	if p.clients[st.actor] != nil {
		return fmt.Errorf("%s is connected already", st.actor)
	}
	nc, err := p.stage.DialComponent(ctx)
	if err != nil {
		return err
	}
	c := New(nc, domain)
	p.clients[st.actor] = c
	return c.Attach(ctx, strings.TrimSpace(secret))
}
