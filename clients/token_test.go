//go:build clients

package clients

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestToken: a web client that a site has given a token logs in with that, by OAUTHBEARER, since there is nothing else.
func TestToken(t *testing.T) {
	t.Parallel()
	const secret = "what the site and the server know"
	h := &house{form: strings.Replace(configuration, `authentication = "internal_hashed"`, `authentication = "jwt"
rosterd_token_secret = "`+secret+`"
rosterd_token_audience = { "chat" }
rosterd_token_as_password = false`, 1)}
	h.open(t)
	h.lists = cast()
	h.tell(t, "romeo")
	e := base64.RawURLEncoding
	signed := e.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
		e.EncodeToString(fmt.Appendf(nil, `{"sub":"romeo","aud":"chat","exp":%d}`, time.Now().Add(time.Hour).Unix()))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(signed))
	token := signed + "." + e.EncodeToString(mac.Sum(nil))
	ctx, cancel := context.WithTimeout(t.Context(), atMost)
	defer cancel()
	for _, service := range []string{webSocket(h), bosh(h)} {
		r := stage{t, ctx, h.node(t, "strophe.js", map[string]any{"service": service, "domain": domain, "username": "romeo", "password": token})}
		r.sees("Capulets / Juliet: offline", "Montagues / Benvolio: offline", "Montagues / Mercutio: offline")
		r.must(r.client.leave(ctx))
	}
	if logins := h.log.find(`msg="logged in"`, "user="+romeo); len(logins) != 2 {
		t.Errorf("%d logins of %s, want two", len(logins), romeo)
	}
}
