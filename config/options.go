package config

import (
	"math"
	"net/netip"
	"path/filepath"
	"time"
)

// The honoured options, by what they are about. Scope, default and meaning are Prosody's unless the
// name starts with rosterd_; Prosody ignores those, so one file can drive both servers.

const (
	kib = 1 << 10
	mib = 1 << 20
)

// Modules. Hosts join and subtract the two lists by rules of their own: see Host.Has.
var (
	ModulesEnabled = declare(Spec{Name: "modules_enabled", Risk: Security,
		Doc: "modules to load; a host's list adds to the global one"}, moduleNames, nil)
	ModulesDisabled = declare(Spec{Name: "modules_disabled", Risk: Security,
		Doc: "modules not to load; a host's list wins over everything"}, moduleNames, nil)
	PluginPaths = declare(Spec{Name: "plugin_paths", Scope: ScopeGlobal,
		Doc: "directories with modules of your own"}, listOf(configPath), nil)
	PluginIsolation = declare(Spec{Name: "rosterd_plugin_isolation", Risk: Security,
		Doc: "where modules of your own run: process is one of their own, inproc is the server's, for those that you trust"}, oneOf("process", "inproc"), "process")
	PluginCache = declareFor(Spec{Name: "rosterd_plugin_cache", Scope: ScopeGlobal, Risk: Security,
		Doc: "folder of the compiled code of modules in WebAssembly, to which nobody but the server may write; relative to data_path"}, dataPath,
		func(h *Host) string { return filepath.Join(DataPath.Get(h), "rosterd-plugins") })
	PluginOverride = declare(Spec{Name: "rosterd_plugin_override", Scope: ScopeGlobal, Risk: Security,
		Doc: "modules of rosterd's own that a file in plugin_paths takes the place of"}, moduleNames, nil)
)

// Accounts and logging in.
var (
	Authentication = declare(Spec{Name: "authentication", Risk: Security,
		Doc: "where accounts are: internal_hashed, internal_plain; anonymous for none; a provider that asks somebody else; or NAME of a plugin mod_auth_NAME in plugin_paths"}, authProvider, "internal_hashed")
	AnonymousLogin = declare(Spec{Name: "anonymous_login", Risk: Security,
		Doc: "old switch for authentication = \"anonymous\", before which it goes"}, boolean, false)
	PasswordHash = declare(Spec{Name: "password_hash", Risk: Security,
		Doc: "hash of stored passwords, and of the SCRAM mechanism offered"}, oneOf("SHA-1", "SHA-256"), "SHA-1")
	IterationCount = declare(Spec{Name: "default_iteration_count", Risk: Security,
		Doc: "iterations of the hash of new passwords"}, integer(4096, 10_000_000), 10_000)
	DisableSASLMechanisms = declare(Spec{Name: "disable_sasl_mechanisms", Risk: Security,
		Doc: "SASL mechanisms that are never offered"}, listOf(text), []string{"DIGEST-MD5"})
	AllowUnencryptedPlainAuth = declare(Spec{Name: "allow_unencrypted_plain_auth", Risk: Security,
		Doc: "offer PLAIN without TLS"}, boolean, false)
	InsecureSASLMechanisms = declareFor(Spec{Name: "insecure_sasl_mechanisms", Risk: Security,
		Doc: "SASL mechanisms that are offered only under TLS; none if allow_unencrypted_plain_auth"}, listOf(text),
		func(h *Host) []string {
			if AllowUnencryptedPlainAuth.Get(h) {
				return nil
			}
			return []string{"PLAIN", "LOGIN"}
		})
	C2SRequireEncryption = declare(Spec{Name: "c2s_require_encryption", Aliases: []string{"require_encryption"}, Old: true, Risk: Security,
		Doc: "clients must use TLS before they log in"}, boolean, true)
	ConflictResolve = declare(Spec{Name: "conflict_resolve",
		Doc: "what happens to a resource that is bound again"}, oneOf("kick_old", "kick_new", "random", "increment"), "kick_old")
	Admins = declare(Spec{Name: "admins", Scope: ScopeInherited, Risk: Security,
		Doc: "bare JIDs of the administrators: whom server_contact_info names, and who may announce"}, listOf(adminJID), nil)
	AuthTimeout = declare(Spec{Name: "rosterd_auth_timeout", Aliases: []string{"c2s_timeout"}, Scope: ScopeGlobal, Risk: Security,
		Doc: "time from connecting to being authenticated"}, period(time.Second, time.Hour), 15*time.Second)
	BindTimeout = declare(Spec{Name: "rosterd_bind_timeout", Scope: ScopeGlobal, Risk: Security,
		Doc: "time from being authenticated to having bound a resource"}, period(time.Second, time.Hour), 15*time.Second)
	AuthAttempts = declare(Spec{Name: "rosterd_auth_attempts", Scope: ScopeGlobal, Risk: Security,
		Doc: "SASL attempts in one stream"}, integer(1, 100), 3)
	PreauthBytes = declare(Spec{Name: "rosterd_preauth_bytes", Scope: ScopeGlobal, Risk: Security,
		Doc: "bytes read from a client before it is authenticated"}, size(4*kib, 10*mib), 16*kib)
	ConnectionsPerAddress = declare(Spec{Name: "rosterd_connections_per_address", Scope: ScopeGlobal, Risk: Security,
		Doc: "connections of one address that are not yet authenticated"}, integer(1, math.MaxInt32), 20)
	AuthFailuresPerAccount = declare(Spec{Name: "rosterd_auth_failures_per_account", Scope: ScopeGlobal, Risk: Security,
		Doc: "failed logins of one account in a period, beyond which it answers more and more slowly"}, integer(1, math.MaxInt32), 10)
	AuthFailuresPerAddress = declare(Spec{Name: "rosterd_auth_failures_per_address", Aliases: []string{"limit_auth_max"}, Scope: ScopeGlobal, Risk: Security,
		Doc: "failed logins from one address in a period, beyond which it has to wait"}, integer(1, math.MaxInt32), 50)
	AuthFailuresPeriod = declare(Spec{Name: "rosterd_auth_failures_period", Aliases: []string{"limit_auth_period"}, Scope: ScopeGlobal, Risk: Security,
		Doc: "the period in which failed logins are counted"}, period(time.Second, 24*time.Hour), time.Minute)
)

// Storage.
var (
	DataPath = declareFor(Spec{Name: "data_path", Scope: ScopeGlobal, Risk: Security,
		Doc: "Prosody's data folder; else PROSODY_DATADIR, else /var/lib/prosody"}, configPath, defaultDataPath)
	Database = declareFor(Spec{Name: "rosterd_database", Scope: ScopeGlobal, Risk: Security,
		Doc: "file of the embedded database; relative to data_path"}, dataPath,
		func(h *Host) string { return filepath.Join(DataPath.Get(h), "rosterd.sqlite") })
	storageOption = declare(Spec{Name: "storage", Risk: Security,
		Doc: "driver of all stores, or of each"}, storageTable, Storage{})
	defaultStorageOption = declare(Spec{Name: "default_storage", Risk: Security,
		Doc: "driver of the stores that storage does not name"}, nonEmpty, "internal")
)

// The process.
var (
	Log = declareFor(Spec{Name: "log", Scope: ScopeGlobal,
		Doc: "where log lines go, by level"}, logSinks, defaultLog)
	LogLevels = declare(Spec{Name: "rosterd_log_levels", Scope: ScopeGlobal, Risk: Security, // what is not logged cannot be looked into
		Doc: "least levels of log lines by part of the server: admin, c2s, engine, http, plugins, server, store"}, logLevels, nil)
	LogFormat = declare(Spec{Name: "rosterd_log_format", Scope: ScopeGlobal, Risk: Security,
		Doc: "text is key=value, json an object a line"}, oneOf("text", "json"), "text")
	Debug = declare(Spec{Name: "debug", Scope: ScopeGlobal,
		Doc: "include debug lines where log does not say"}, boolean, false)
	PidFile = declare(Spec{Name: "pidfile", Scope: ScopeGlobal,
		Doc: "file for the process id; relative to data_path"}, dataPath, "")
	AdminSocket = declareFor(Spec{Name: "rosterd_admin_socket", Scope: ScopeGlobal, Risk: Security,
		Doc: "socket by which the commands of the program reach the running server; relative to data_path"}, dataPath,
		func(h *Host) string { return filepath.Join(DataPath.Get(h), "rosterd.sock") })
	MetricsAllowIPs = declare(Spec{Name: "openmetrics_allow_ips", Scope: ScopeGlobal, Risk: Security,
		Doc: "addresses that may read /metrics"}, listOf(network), loopbacks())
	MetricsAllowCIDR = declare(Spec{Name: "openmetrics_allow_cidr", Scope: ScopeGlobal, Risk: Security,
		Doc: "a network whose addresses may read /metrics"}, network, netip.Prefix{})
)

// Network. What is listened on is put together by Config.Listeners.
var (
	Interfaces = declare(Spec{Name: "interfaces", Aliases: []string{"interface"}, Old: true, Scope: ScopeGlobal, Risk: Security,
		Doc: "addresses to listen on"}, listOf(iface), nil)
	LocalInterfaces = declare(Spec{Name: "local_interfaces", Scope: ScopeGlobal, Risk: Security,
		Doc: "addresses for services that are private unless told otherwise"}, listOf(iface), nil)
	UseIPv4 = declare(Spec{Name: "use_ipv4", Scope: ScopeGlobal, Risk: Security,
		Doc: "listen on IPv4 where no address is named"}, boolean, true)
	UseIPv6 = declare(Spec{Name: "use_ipv6", Scope: ScopeGlobal, Risk: Security,
		Doc: "listen on IPv6 where no address is named"}, boolean, true)
	C2SPorts = declare(Spec{Name: "c2s_ports", Scope: ScopeGlobal, Risk: Security,
		Doc: "ports for clients"}, ports, []int{5222})
	C2SInterfaces = declare(Spec{Name: "c2s_interfaces", Aliases: []string{"c2s_interface"}, Old: true, Scope: ScopeGlobal, Risk: Security,
		Doc: "addresses for clients"}, listOf(iface), nil)
	C2SDirectTLSPorts = declare(Spec{Name: "c2s_direct_tls_ports", Aliases: []string{"legacy_ssl_ports"}, Old: true, Scope: ScopeGlobal, Risk: Security,
		Doc: "ports for clients where TLS starts at once (XEP-0368)"}, ports, nil)
	C2SDirectTLSInterfaces = declare(Spec{Name: "c2s_direct_tls_interfaces", Aliases: []string{"c2s_direct_tls_interface", "legacy_ssl_interfaces", "legacy_ssl_interface"}, Old: true, Scope: ScopeGlobal, Risk: Security,
		Doc: "addresses for clients that start with TLS"}, listOf(iface), nil)
	HTTPPorts = declare(Spec{Name: "http_ports", Scope: ScopeGlobal, Risk: Security,
		Doc: "ports for HTTP"}, ports, []int{5280})
	HTTPInterfaces = declare(Spec{Name: "http_interfaces", Aliases: []string{"http_interface"}, Old: true, Scope: ScopeGlobal, Risk: Security,
		Doc: "addresses for HTTP; loopback unless named"}, listOf(iface), nil)
	HTTPSPorts = declare(Spec{Name: "https_ports", Scope: ScopeGlobal, Risk: Security,
		Doc: "ports for HTTPS"}, ports, []int{5281})
	HTTPSInterfaces = declare(Spec{Name: "https_interfaces", Aliases: []string{"https_interface"}, Old: true, Scope: ScopeGlobal, Risk: Security,
		Doc: "addresses for HTTPS"}, listOf(iface), nil)
	TrustedProxies = declare(Spec{Name: "trusted_proxies", Scope: ScopeGlobal, Risk: Security,
		Doc: "addresses and networks of proxies: what they say of their clients is believed, and their connections are not counted by address"}, listOf(network), loopbacks())
	Limits = declare(Spec{Name: "limits", Scope: ScopeGlobal, Risk: Security, Owner: "limits",
		Doc: "bytes a second, by kind of session"}, rateLimits, defaultLimits())
	UnlimitedJIDs = declare(Spec{Name: "unlimited_jids", Scope: ScopeInherited, Risk: Security, Owner: "limits",
		Doc: "bare JIDs that limits does not apply to"}, listOf(bareJID), nil)
)

// HTTP.
var (
	HTTPHost = declareFor(Spec{Name: "http_host",
		Doc: "HTTP Host header that means this VirtualHost; its own name otherwise"}, hostname,
		func(h *Host) string { return h.Name })
	HTTPDefaultHost = declare(Spec{Name: "http_default_host", Scope: ScopeGlobal,
		Doc: "VirtualHost for requests that name none that we have"}, hostname, "")
	httpPaths = declare(Spec{Name: "http_paths",
		Doc: "paths by module: roster_admin, websocket, bosh, files, ejabberd_api, openfire_api; $host stands for the host"}, pathTable, nil)
	HTTPExternalURL = declare(Spec{Name: "http_external_url",
		Doc: "URL at which the HTTP server is reached from outside, for what rosterd hands out (host-meta)"}, httpURL, "")
	corsOverride = declare(Spec{Name: "http_cors_override", Risk: Security,
		Doc: "which other origins may use what, by module: { bosh = { enabled = true, origins = { \"https://example.com\" } } }"}, corsTable, nil)
	HTTPFilesDir = declare(Spec{Name: "http_files_dir", Aliases: []string{"http_path"}, Old: true, Risk: Security, Owner: "http_files",
		Doc: "directory of the files to serve, relative to the configuration"}, configPath, "")
	HTTPIndexFiles = declare(Spec{Name: "http_index_files", Owner: "http_files",
		Doc: "files that are served in place of their directory"}, listOf(nonEmpty), []string{"index.html", "index.htm"})
	HTTPDirListing = declare(Spec{Name: "http_dir_listing", Risk: Security, Owner: "http_files",
		Doc: "list directories without such a file"}, boolean, false)
)

// Web clients: WebSocket (RFC 7395) and BOSH (XEP-0124).
var (
	ConsiderWebSocketSecure = declare(Spec{Name: "consider_websocket_secure", Scope: ScopeGlobal, Risk: Security, Owner: "websocket",
		Doc: "WebSocket connections over plain HTTP count as encrypted: a proxy that does TLS stands before them"}, boolean, false)
	ConsiderBOSHSecure = declare(Spec{Name: "consider_bosh_secure", Scope: ScopeGlobal, Risk: Security, Owner: "bosh",
		Doc: "BOSH requests over plain HTTP count as encrypted: a proxy that does TLS stands before them"}, boolean, false)
	crossDomainWebSocket = declare(Spec{Name: "cross_domain_websocket", Risk: Security, Owner: "websocket",
		Doc: "pages of which other origins may open a WebSocket: true is all, false none, or a list; all if it is not set"}, crossDomain, cors{})
	crossDomainBOSH = declare(Spec{Name: "cross_domain_bosh", Risk: Security, Owner: "bosh",
		Doc: "the same for BOSH"}, crossDomain, cors{})
	WebSocketPing = declare(Spec{Name: "rosterd_websocket_ping", Scope: ScopeGlobal,
		Doc: "how long a WebSocket may be silent before its client is asked whether it is there"}, period(time.Second, time.Hour), 45*time.Second)
	BOSHMaxInactivity = declare(Spec{Name: "bosh_max_inactivity", Scope: ScopeGlobal, Risk: Security, Owner: "bosh",
		Doc: "time without a request after which a session ends"}, period(5*time.Second, time.Hour), time.Minute)
	BOSHMaxPolling = declare(Spec{Name: "bosh_max_polling", Scope: ScopeGlobal, Owner: "bosh",
		Doc: "shortest time between two empty requests"}, period(0, time.Minute), 5*time.Second)
	BOSHMaxWait = declare(Spec{Name: "bosh_max_wait", Scope: ScopeGlobal, Owner: "bosh",
		Doc: "longest time that a request is held"}, period(time.Second, time.Hour), 2*time.Minute)
)

// Certificates: see Host.Certificate.
var (
	Certificates = declareFor(Spec{Name: "certificates", Scope: ScopeGlobal, Risk: Security,
		Doc: "directory with certificates, relative to the configuration"}, configPath,
		func(h *Host) string { return filepath.Join(h.cfg.Dir, "certs") })
	certificateOption = declare(Spec{Name: "certificate", Risk: Security,
		Doc: "certificate of the host: a file, or a directory to look in"}, configPath, "")
	httpsCertificate = declare(Spec{Name: "https_certificate", Scope: ScopeGlobal, Risk: Security,
		Doc: "certificate for HTTPS: a file, or a directory to look in, or a table of those by port, and default"}, pathsByPort, portPaths{})
	directTLSCertificate = declare(Spec{Name: "c2s_direct_tls_certificate", Aliases: []string{"legacy_ssl_certificate"}, Old: true, Scope: ScopeGlobal, Risk: Security,
		Doc: "certificate for clients that start with TLS, as https_certificate"}, pathsByPort, portPaths{})
	sslOption = declare(Spec{Name: "ssl", Risk: Security,
		Doc: "key, certificate and protocol for TLS"}, tlsTable, tlsSettings{})
	c2sSSL = declare(Spec{Name: "c2s_ssl", Risk: Security,
		Doc: "key, certificate and protocol for clients"}, tlsTable, tlsSettings{})
	directTLS = declare(Spec{Name: "c2s_direct_tls_ssl", Aliases: []string{"legacy_ssl_ssl"}, Old: true, Risk: Security,
		Doc: "key, certificate and protocol for clients that start with TLS"}, tlsTable, tlsSettings{})
	httpsSSL = declare(Spec{Name: "https_ssl", Risk: Security,
		Doc: "key, certificate and protocol for HTTPS"}, tlsTable, tlsSettings{})
	tlsProfile = declare(Spec{Name: "tls_profile", Scope: ScopeGlobal, Risk: Security,
		Doc: "least TLS version: modern is 1.3, everything else 1.2"}, oneOf("modern", "intermediate", "old", "legacy"), "intermediate")
)

// What clients are shown.
var (
	Name = declare(Spec{Name: "name",
		Doc: "name of the server in service discovery"}, text, "rosterd")
	ContactInfo = declareFor(Spec{Name: "contact_info", Owner: "server_contact_info",
		Doc: "addresses of those who run the server, as URIs, by abuse, admin, feedback, sales, security, status, support; else the admins"}, contactTable, contactAdmins)
	DiscoItems = declare(Spec{Name: "disco_items",
		Doc: "further items in service discovery"}, listOf(discoItem), nil)
)

// Hosts. Load has acted on it; it is declared so that it counts as honoured.
var enabledOption = declare(Spec{Name: "enabled", Risk: Security,
	Doc: "false: the host is not served"}, boolean, true)

// The backend.
var (
	HTTPRosterURL = declare(Spec{Name: "http_roster_url", Risk: Security, Owner: "http_roster_admin",
		Doc: "URL of a user's roster, %s stands for the username"}, nonEmpty, "")
	BackendHeaders = declare(Spec{Name: "rosterd_backend_headers", Risk: Security, Secret: true,
		Doc: "HTTP headers sent to the backend, such as credentials"}, headers, nil)
	PluginHTTPAllow = declare(Spec{Name: "rosterd_plugin_http_allow", Risk: Security,
		Doc: "servers that plugins may ask beside those of their own options: names, or scheme://host:port"}, listOf(nonEmpty), nil)
	PluginSecrets = declare(Spec{Name: "rosterd_plugin_secrets", Risk: Security, Secret: true,
		Doc: "what plugins send and never see, by name: {{secret:NAME}} in a header or in the query of a URL stands for it"}, secrets, nil)
	PluginMemory = declare(Spec{Name: "rosterd_plugin_memory",
		Doc: "memory that one call of a plugin may take"}, size(8*mib, 4<<30), 64*mib)
	PluginReuse = declare(Spec{Name: "rosterd_plugin_reuse", Risk: Security,
		Doc: "pooled: an instance of a module in WebAssembly serves one call after the other; fresh: each call has one of its own"}, oneOf("pooled", "fresh"), "pooled")
	BackendTimeout = declare(Spec{Name: "rosterd_backend_timeout",
		Doc: "time that one call of the backend may take"}, period(100*time.Millisecond, time.Minute), 5*time.Second)
	BackendParallel = declare(Spec{Name: "rosterd_backend_parallel",
		Doc: "calls of the backend at a time"}, integer(1, 10000), 16)
	BackendMaxAnswer = declare(Spec{Name: "rosterd_backend_max_answer",
		Doc: "bytes of one answer of the backend"}, size(kib, 1<<30), 16*mib)
	RosterItems = declare(Spec{Name: "rosterd_roster_items",
		Doc: "contacts in one roster"}, integer(1, 10_000_000), 100_000)
	MissingUser = declare(Spec{Name: "rosterd_missing_user",
		Doc: "what a 404 means for a user whose roster is known: last-good keeps it, empty empties it"}, oneOf("last-good", "empty"), "last-good")
	BackendBreaker = declare(Spec{Name: "rosterd_backend_breaker",
		Doc: "failures of the backend in a row after which it is left alone for a while; 0: never"}, integer(0, math.MaxInt32), 5)
	ShrinkGuard = declare(Spec{Name: "rosterd_shrink_guard",
		Doc: "an answer that takes away more than so many percent of a roster's contacts is held back; 0: none is"}, integer(0, 100), 0)
	RosterSteps = declare(Spec{Name: "rosterd_roster_steps",
		Doc: "changes of a roster that are remembered for clients that come back, the last 25 of them also while nobody of the user's is there; 0: none"}, integer(0, 10_000), 100)
	KeepRosters = declare(Spec{Name: "rosterd_keep_rosters",
		Doc: "keep the last good rosters on disk"}, boolean, true)
	RosterEdit = declare(Spec{Name: "rosterd_roster_edit", Risk: Security,
		Doc: "what happens when a client edits a roster of the backend: refuse; writeback, the backend is asked and decides; or personal, users keep contacts of their own beside those of the backend. Where rosters are kept here, an explicit refuse leaves them to applications (http_ejabberd_api, http_openfire_api)"}, oneOf("refuse", "writeback", "personal"), "refuse")
)

// The refresh API.
var (
	RefreshToken = declare(Spec{Name: "rosterd_refresh_token", Risk: Security, Secret: true,
		Doc: "bearer token that refreshes must carry"}, token, "")
	RefreshHMACSecret = declare(Spec{Name: "rosterd_refresh_hmac_secret", Risk: Security, Secret: true,
		Doc: "secret by which the bodies of refreshes must be signed"}, secret, "")
	RefreshClientCA = declare(Spec{Name: "rosterd_refresh_client_ca", Risk: Security,
		Doc: "PEM file with the authorities whose client certificates refreshes must show"}, configPath, "")
	RefreshTimeout = declare(Spec{Name: "rosterd_refresh_timeout",
		Doc: "time after which a refresh is answered whatever happens; of one that is answered line by line, how long nothing may be done"}, period(time.Second, 10*time.Minute), 30*time.Second)
	RefreshBody = declare(Spec{Name: "rosterd_refresh_body", Scope: ScopeGlobal, Risk: Security,
		Doc: "bytes of the body of a refresh"}, size(kib, 1<<30), 4*mib)
	RefreshNames = declare(Spec{Name: "rosterd_refresh_names", Scope: ScopeGlobal, Risk: Security,
		Doc: "usernames in one refresh"}, integer(1, 10_000_000), 100_000)
	RefreshOtherSide = declare(Spec{Name: "rosterd_refresh_other_side",
		Doc: "refresh the other side of a changed pair, if it is online"}, boolean, true)
)

// Sessions.
var (
	MaxSessions = declare(Spec{Name: "rosterd_max_sessions", Risk: Security,
		Doc: "connected resources of one account"}, integer(1, 10000), 20)
	StanzaSize = declare(Spec{Name: "rosterd_stanza_size", Aliases: []string{"c2s_stanza_size_limit"}, Scope: ScopeGlobal, Risk: Security,
		Doc: "bytes of one stanza"}, size(10_000, 64*mib), 256*kib) // RFC 6120 §13.12: not below 10000
	StanzaDepth = declare(Spec{Name: "rosterd_stanza_depth", Scope: ScopeGlobal, Risk: Security,
		Doc: "elements within elements of one stanza"}, integer(8, 1000), 64)
	StanzaAttributes = declare(Spec{Name: "rosterd_stanza_attributes", Scope: ScopeGlobal, Risk: Security,
		Doc: "attributes of one element"}, integer(8, 1000), 64)
	OutboxSoft = declare(Spec{Name: "rosterd_outbox_soft", Scope: ScopeGlobal, Risk: Security,
		Doc: "unsent bytes at which a session is not read from any more"}, size(16*kib, 1<<30), 256*kib)
	OutboxHard = declare(Spec{Name: "rosterd_outbox_hard", Scope: ScopeGlobal, Risk: Security,
		Doc: "unsent bytes at which a session is closed"}, size(64*kib, 1<<30), mib)
	OutboxTimeout = declare(Spec{Name: "rosterd_outbox_timeout", Scope: ScopeGlobal, Risk: Security,
		Doc: "time that a write to a client may take"}, period(time.Second, time.Hour), 20*time.Second)
)
