package token_test

import (
	"encoding/base64"
	"testing"
	"time"

	"rosterd/passwords/token"
)

// TestRFC7515 is its examples A.1 and A.3: tokens of joe that ended in 2011.
func TestRFC7515(t *testing.T) {
	keys, err := token.ParseKeys([]byte(`{"keys":[{"kty":"EC","crv":"P-256",
		"x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	secret, err := base64.RawURLEncoding.DecodeString("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
	if err != nil {
		t.Fatal(err)
	}
	const claims = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
	for name, text := range map[string]string{
		"A.1, HS256": "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." + claims + ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
		"A.3, ES256": "eyJhbGciOiJFUzI1NiJ9." + claims + ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
	} {
		for now, want := range map[int64]string{1300819379: "joe@example.com", 1300819380: "refused"} {
			t.Run(name+", "+want, func(t *testing.T) {
				j := &token.JWT{
					Rules: token.Rules{Username: "iss"}, Algorithms: []string{"ES256", "HS256"}, Keys: keys, Secret: secret,
					Now: func() time.Time { return time.Unix(now, 0) },
				}
				user, err := j.CheckToken(t.Context(), "example.com", text)
				wantUser(t, user, err, want)
			})
		}
	}
}
