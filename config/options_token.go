package config

import (
	"math"
	"slices"
	"time"
)

// Access tokens (authentication = "jwt", "oauthbearer", "oauth_external").
var (
	TokenIssuer = declare(Spec{Name: "rosterd_token_issuer", Risk: Security,
		Doc: "whose tokens count (iss), an https URL; where no key is named, its metadata say where the keys are"}, nonEmpty, "")
	TokenAudience = declare(Spec{Name: "rosterd_token_audience", Risk: Security,
		Doc: "for whom tokens have to be made (aud), any of these; authentication = \"jwt\" needs it"}, listOf(nonEmpty), nil)
	TokenScope = declare(Spec{Name: "rosterd_token_scope", Risk: Security,
		Doc: "what tokens have to be good for (scope or scp), with spaces between"}, text, "")
	TokenUsername = declareFor(Spec{Name: "rosterd_token_username", Risk: Security,
		Doc: "the claim that names the user, by name or address at the host; sub for \"jwt\", username for \"oauthbearer\""}, nonEmpty,
		func(h *Host) string {
			if h.AuthProvider() == "oauthbearer" {
				return "username"
			}
			return "sub"
		})
	TokenLeeway = declare(Spec{Name: "rosterd_token_leeway", Risk: Security,
		Doc: "that clocks may differ"}, period(0, 10*time.Minute), 30*time.Second)
	TokenKeysURL = declare(Spec{Name: "rosterd_token_jwks_url", Risk: Security, Owner: "auth_jwt",
		Doc: "where the keys are published that tokens are signed with (JSON Web Key Set)"}, nonEmpty, "")
	TokenKeyFile = declare(Spec{Name: "rosterd_token_key_file", Risk: Security, Owner: "auth_jwt",
		Doc: "file with public keys that tokens are signed with, PEM or a JSON Web Key Set; read at the start and at a reload"}, configPath, "")
	TokenSecret = declare(Spec{Name: "rosterd_token_secret", Risk: Security, Secret: true, Owner: "auth_jwt",
		Doc: "secret that tokens are signed with (HS256 and the like), 32 bytes or more"}, secret, "")
	TokenAlgorithms = declare(Spec{Name: "rosterd_token_algorithms", Risk: Security, Owner: "auth_jwt",
		Doc: "signatures that count; RS256, ES256 and EdDSA where there are keys, HS256 where there is a secret"},
		listOf(oneOf("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512")), nil)
	TokenAsPassword = declare(Spec{Name: "rosterd_token_as_password", Risk: Security,
		Doc: "clients that do not know OAUTHBEARER may send a token as the password (\"jwt\" and \"oauthbearer\")"}, boolean, true)
)

// What Prosody's community modules auth_oauthbearer and auth_oauth_external read.
var (
	OAuthURL = declare(Spec{Name: "oauth_url", Risk: Security, Owner: "auth_oauthbearer",
		Doc: "where the authorization server is asked about tokens (RFC 7662)"}, nonEmpty, "")
	OAuthClientID = declare(Spec{Name: "oauth_client_id", Risk: Security, Owner: "auth_oauthbearer",
		Doc: "rosterd's name at the authorization server"}, text, "")
	OAuthClientSecret = declare(Spec{Name: "oauth_client_secret", Risk: Security, Secret: true, Owner: "auth_oauthbearer",
		Doc: "rosterd's secret there"}, text, "")

	OAuthIssuer = declare(Spec{Name: "oauth_external_issuer", Owner: oauthExternal,
		Doc: "the authorization server, for oauth_external_discovery_url"}, text, "")
	OAuthDiscoveryURL = declareFor(Spec{Name: "oauth_external_discovery_url", Owner: oauthExternal,
		Doc: "what clients are told whose token is refused: the URL of the authorization server's metadata; below oauth_external_issuer"}, text,
		func(h *Host) string {
			if issuer := OAuthIssuer.Get(h); issuer != "" {
				return issuer + "/.well-known/oauth-authorization-server"
			}
			return ""
		})
	OAuthValidationEndpoint = declare(Spec{Name: "oauth_external_validation_endpoint", Risk: Security, Owner: oauthExternal,
		Doc: "URL that answers a token with who its user is, such as OpenID Connect's userinfo"}, text, "")
	OAuthTokenEndpoint = declare(Spec{Name: "oauth_external_token_endpoint", Risk: Security, Owner: oauthExternal,
		Doc: "URL that gives a token for a password"}, text, "")
	OAuthUsernameField = declare(Spec{Name: "oauth_external_username_field", Risk: Security, Owner: oauthExternal,
		Doc: "what in that answer is the user's name"}, nonEmpty, "preferred_username")
	OAuthUsernameMapping = declare(Spec{Name: "oauth_external_username_mapping", Risk: Security, Owner: oauthExternal,
		Doc: "split: what is before its @ is"}, oneOf("", "split"), "")
	OAuthSASLUsernameMapping = declare(Spec{Name: "oauth_external_sasl_username_mapping", Risk: Security, Owner: oauthExternal,
		Doc: "join: the user's whole address is sent along with a password"}, oneOf("", "join"), "")
	OAuthResourceOwnerPassword = declare(Spec{Name: "oauth_external_resource_owner_password", Risk: Security, Owner: oauthExternal,
		Doc: "users log in with passwords, which oauth_external_token_endpoint is asked about"}, boolean, true)
	OAuthExternalClientID = declare(Spec{Name: "oauth_external_client_id", Risk: Security, Owner: oauthExternal,
		Doc: "rosterd's name there"}, text, "")
	OAuthExternalClientSecret = declare(Spec{Name: "oauth_external_client_secret", Risk: Security, Secret: true, Owner: oauthExternal,
		Doc: "rosterd's secret there"}, text, "")
	OAuthExternalScope = declare(Spec{Name: "oauth_external_scope", Risk: Security, Owner: oauthExternal,
		Doc: "what tokens are asked for, and what clients are told whose token is refused"}, text, "openid")
)

const oauthExternal = "auth_oauth_external"

// One-time tokens of an application (authentication = "token").
var (
	OneTimeSecret = declare(Spec{Name: "token_secret", Risk: Security, Secret: true, Owner: "auth_token",
		Doc: "secret that one-time tokens are signed with"}, nonEmpty, "")
	OneTimeSeed = declare(Spec{Name: "otp_seed", Risk: Security, Secret: true, Owner: "auth_token",
		Doc: "seed of the codes in them, base32"}, nonEmpty, "")
)

// Dovecot (authentication = "dovecot").
var (
	DovecotSocket = declare(Spec{Name: "dovecot_auth_socket", Risk: Security, Owner: dovecot,
		Doc: "where Dovecot's authentication service listens"}, nonEmpty, "/var/run/dovecot/auth-login")
	DovecotHost = declare(Spec{Name: "dovecot_auth_host", Risk: Security, Owner: dovecot,
		Doc: "where, if dovecot_auth_port is set"}, nonEmpty, "127.0.0.1")
	DovecotPort = declare(Spec{Name: "dovecot_auth_port", Risk: Security, Owner: dovecot,
		Doc: "its port, where it listens on one"}, integer(1, math.MaxUint16), 0)
	DovecotService = declare(Spec{Name: "service_name", Risk: Security, Owner: dovecot,
		Doc: "what Dovecot is told that users log in to"}, nonEmpty, "xmpp")
	DovecotAppendHost = declare(Spec{Name: "auth_append_host", Risk: Security, Owner: dovecot,
		Doc: "Dovecot knows users by name@host"}, boolean, false)
	DovecotCheckHost = declare(Spec{Name: "validate_append_host", Risk: Security, Owner: dovecot,
		Doc: "and has to say so of who has logged in"}, boolean, false)
	Realm = declare(Spec{Name: "realm", Risk: Security,
		Doc: "what auth_append_host appends; the host"}, text, "")
	DovecotAppended = declareFor(Spec{Name: "handle_appended", Risk: Security, Owner: dovecot,
		Doc: "split: what is before the @ of what Dovecot calls a user is his name; escape: the whole is; split if auth_append_host is set"}, oneOf("split", "escape"),
		func(h *Host) string {
			if DovecotAppendHost.Get(h) {
				return "split"
			}
			return "escape"
		})
)

const dovecot = "auth_dovecot"

// TokenSignatures are those that count on a host.
func (h *Host) TokenSignatures() []string {
	if list := TokenAlgorithms.Get(h); len(list) > 0 {
		return slices.Clone(list)
	}
	var list []string
	if TokenSecret.Get(h) == "" || TokenKeysURL.Get(h) != "" || TokenKeyFile.Get(h) != "" {
		list = append(list, "RS256", "ES256", "EdDSA")
	}
	if TokenSecret.Get(h) != "" {
		list = append(list, "HS256")
	}
	return list
}
