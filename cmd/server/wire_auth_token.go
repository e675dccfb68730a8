package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"rosterd/config"
	"rosterd/engine/addr"
	"rosterd/passwords"
	"rosterd/passwords/token"
	"rosterd/xmppcore/auth"
)

// needs is the error for an option that is not set and has to be.
func needs(h *config.Host, name, example string) error {
	return &optionError{name: name, err: fmt.Errorf("authentication = %q needs it, such as %s", h.AuthProvider(), example)}
}

// tokenURL is the URL in an option, "" if it is not set.
func tokenURL(h *config.Host, o *config.Option[string]) (string, error) {
	raw, pos, _ := o.Lookup(h)
	if raw == "" {
		return "", nil
	}
	if strings.Contains(raw, "{{") {
		return "", &optionError{pos, o.Name, errors.New("the token is sent in the body of a POST (RFC 7662), and not put into the URL as the old module did, who let everybody in under one name")}
	}
	if err := token.CheckURL(raw); err != nil {
		return "", &optionError{pos, o.Name, err}
	}
	return raw, nil
}

func tokenClient(h *config.Host, name, secret string) *token.Client {
	return token.NewClient(name, secret, "rosterd/"+fullVersion(), config.AuthParallel.Get(h))
}

func tokenRules(h *config.Host) token.Rules {
	return token.Rules{
		Issuer: config.TokenIssuer.Get(h), Audience: config.TokenAudience.Get(h), Scope: config.TokenScope.Get(h),
		Leeway: config.TokenLeeway.Get(h), Username: config.TokenUsername.Get(h),
	}
}

// signedTokens are those of authentication = "jwt".
func signedTokens(h *config.Host) (passwords.Source, error) {
	rules := tokenRules(h)
	if len(rules.Audience) == 0 { // else whoever has a token for anything of the same issuer is let in
		return nil, needs(h, config.TokenAudience.Name, `{ "xmpp" }: what stands in aud of tokens for this service`)
	}
	j := &token.JWT{Rules: rules, Algorithms: h.TokenSignatures(), Secret: []byte(config.TokenSecret.Get(h)), NotAsPassword: !config.TokenAsPassword.Get(h)}
	if err := tokenSecret(h, j); err != nil {
		return nil, err
	}
	var err error
	if j.Keys, err = tokenKeys(h, j); err != nil {
		return nil, err
	}
	return j, nil
}

// tokenSecret looks whether secret and algorithms fit. One that is shorter than the hash can be guessed (RFC 7518 §3.2).
func tokenSecret(h *config.Host, j *token.JWT) error {
	_, pos, _ := config.TokenSecret.Lookup(h)
	used := false
	for _, a := range j.Algorithms {
		bytes := map[string]int{"HS256": 32, "HS384": 48, "HS512": 64}[a]
		switch {
		case !token.Symmetric(a):
			continue
		case len(j.Secret) == 0:
			return &optionError{name: config.TokenSecret.Name, err: fmt.Errorf("%s needs it", a)}
		case len(j.Secret) < bytes:
			return &optionError{pos, config.TokenSecret.Name, fmt.Errorf("%s needs %d bytes or more, these are %d", a, bytes, len(j.Secret))}
		}
		used = true
	}
	if len(j.Secret) > 0 && !used {
		return &optionError{pos, config.TokenSecret.Name, errors.New("no algorithm in rosterd_token_algorithms uses it")}
	}
	return nil
}

// tokenKeys are the public keys of a host, from one place; nil where there is a secret alone.
func tokenKeys(h *config.Host, j *token.JWT) (token.Keys, error) {
	url, err := tokenURL(h, config.TokenKeysURL)
	if err != nil {
		return nil, err
	}
	file, filePos, _ := config.TokenKeyFile.Lookup(h)
	public := false
	for _, a := range j.Algorithms {
		public = public || !token.Symmetric(a)
	}
	switch {
	case url != "" && file != "":
		return nil, &optionError{filePos, config.TokenKeyFile.Name, errors.New("keys come from here or from rosterd_token_jwks_url, not both")}
	case !public && (url != "" || file != ""):
		_, pos, _ := config.TokenAlgorithms.Lookup(h)
		return nil, &optionError{pos, config.TokenAlgorithms.Name, errors.New("no algorithm uses the public keys that are named")}
	case !public:
		return nil, nil
	case url != "":
		return &token.Published{Client: tokenClient(h, "", ""), URL: url}, nil
	case file != "":
		return keysIn(file, filePos)
	}
	issuer, err := tokenURL(h, config.TokenIssuer)
	if err != nil {
		return nil, err
	}
	if issuer == "" {
		return nil, needs(h, config.TokenKeysURL.Name, `"https://id.example.com/keys"; or rosterd_token_issuer, rosterd_token_key_file or rosterd_token_secret`)
	}
	return &token.Published{Client: tokenClient(h, "", ""), Discovery: strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration", Issuer: issuer}, nil
}

// keepKeys lets what knows the tokens of a host go on with the published keys of what has known them before.
func keepKeys(now passwords.Source, before *passwords.Guarded) {
	j, ok := now.(*token.JWT)
	if !ok || before == nil {
		return
	}
	was, ok := before.Source().(*token.JWT)
	if !ok {
		return
	}
	published, ok := j.Keys.(*token.Published)
	if old, same := was.Keys.(*token.Published); ok && same {
		published.After(old)
	}
}

func keysIn(file string, pos config.Pos) (token.Keys, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, &optionError{pos, config.TokenKeyFile.Name, err}
	}
	keys, err := token.ParseKeys(data)
	if err != nil {
		return nil, &optionError{pos, config.TokenKeyFile.Name, fmt.Errorf("%s: %w", file, err)}
	}
	return keys, nil
}

// askedTokens are those of authentication = "oauthbearer".
func askedTokens(h *config.Host) (passwords.Source, error) {
	url, err := tokenURL(h, config.OAuthURL)
	if err != nil {
		return nil, err
	}
	if url == "" {
		return nil, needs(h, config.OAuthURL.Name, `"https://id.example.com/introspect" (RFC 7662)`)
	}
	if config.OAuthClientID.Get(h) == "" {
		return nil, needs(h, config.OAuthClientID.Name, `"rosterd"`)
	}
	return &token.Introspection{
		Rules: tokenRules(h), URL: url, NotAsPassword: !config.TokenAsPassword.Get(h),
		Client: tokenClient(h, config.OAuthClientID.Get(h), config.OAuthClientSecret.Get(h)),
	}, nil
}

// externalTokens are those of authentication = "oauth_external".
func externalTokens(h *config.Host) (passwords.Source, error) {
	validation, err := tokenURL(h, config.OAuthValidationEndpoint)
	if err != nil {
		return nil, err
	}
	grant, err := tokenURL(h, config.OAuthTokenEndpoint)
	if err != nil {
		return nil, err
	}
	if !config.OAuthResourceOwnerPassword.Get(h) {
		grant = ""
	}
	if validation == "" && grant == "" {
		return nil, needs(h, config.OAuthValidationEndpoint.Name, `"https://id.example.com/userinfo"; or oauth_external_token_endpoint`)
	}
	return &token.External{
		Rules:      token.Rules{Username: config.OAuthUsernameField.Get(h), Split: config.OAuthUsernameMapping.Get(h) == "split", Escape: true},
		Client:     tokenClient(h, config.OAuthExternalClientID.Get(h), config.OAuthExternalClientSecret.Get(h)),
		Validation: validation, Token: grant, Scopes: config.OAuthExternalScope.Get(h), Join: config.OAuthSASLUsernameMapping.Get(h) == "join",
	}, nil
}

// oneTimeTokens are those of authentication = "token". Another module of that name is for conferences, has clients show
// signed tokens in the URL, and lets them in under names of their own.
func oneTimeTokens(h *config.Host) (passwords.Source, error) {
	for _, name := range []string{"app_id", "app_secret", "asap_key_server"} {
		if _, pos, set := h.PluginOption(name); set {
			return nil, &optionError{pos, name, errors.New(`signed tokens in the URL of a web client, for conferences, are not available; authentication = "jwt" takes signed tokens by OAUTHBEARER and as passwords`)}
		}
	}
	secret, seed := config.OneTimeSecret.Get(h), config.OneTimeSeed.Get(h)
	switch {
	case secret == "":
		return nil, needs(h, config.OneTimeSecret.Name, "FileLine(\"token.secret\")")
	case seed == "":
		return nil, needs(h, config.OneTimeSeed.Name, `"XVGR73KMZH2M4XMY"`)
	}
	key, err := token.ParseSeed(seed)
	if err != nil {
		_, pos, _ := config.OneTimeSeed.Lookup(h)
		return nil, &optionError{pos, config.OneTimeSeed.Name, err}
	}
	return &token.OneTime{Seed: key, Secret: []byte(secret), Used: &usedTokens}, nil
}

// usedTokens outlive a reload, after which nobody is let in with a token that has been used.
var usedTokens token.Used

// offerTokens has SASL ask for tokens where the source of a host knows them, and for passwords unless it does not.
func offerTokens(sasl *auth.Host, h *config.Host, g *passwords.Guarded) {
	switch s := g.Source().(type) {
	case *token.JWT, *token.Introspection:
		sasl.Tokens = byToken{g}
		sasl.TokenHelp = auth.TokenHelp{Scope: config.TokenScope.Get(h), Discovery: discovery(h)}
		if !config.TokenAsPassword.Get(h) {
			sasl.Passwords = nil
		}
	case *token.External:
		if s.Validation != "" {
			sasl.Tokens = byToken{g}
			sasl.TokenHelp = auth.TokenHelp{Scope: s.Scopes, Discovery: config.OAuthDiscoveryURL.Get(h)}
		}
		if s.Token == "" {
			sasl.Passwords = nil
		}
	}
}

// discovery is where clients find out how to have a token.
func discovery(h *config.Host) string {
	if issuer := config.TokenIssuer.Get(h); token.CheckURL(issuer) == nil {
		return strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration"
	}
	return ""
}

// byToken turns the errors of whoever is asked into those of SASL.
type byToken struct{ source *passwords.Guarded }

var _ auth.Tokens = byToken{}

func (t byToken) CheckToken(ctx context.Context, domain, text string) (addr.Bare, error) {
	user, err := t.source.CheckToken(ctx, domain, text)
	return user, saslError(err)
}
