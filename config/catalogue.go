package config

import "strings"

// moduleTable is the one registry of modules: what rosterd provides, what needs no providing, and
// what the absence of the others means. Names that are not here are Missing without an explanation.
var moduleTable = map[string]moduleSpec{
	"c2s":                     {Honoured, "connections of clients"},
	"saslauth":                {Honoured, "logging in"},
	"tls":                     {Honoured, "STARTTLS"},
	"presence":                {Honoured, "presence"},
	"message":                 {Honoured, "messages"},
	"iq":                      {Honoured, "requests and answers"},
	"disco":                   {Honoured, "service discovery"},
	"ping":                    {Honoured, "XMPP ping"},
	"version":                 {Honoured, "software version"},
	"time":                    {Honoured, "entity time"},
	"announce":                {Honoured, "admins' messages to HOST/announce/online reach all users who are online"},
	"motd":                    {Honoured, "message of the day"},
	"welcome":                 {Honoured, "new users are welcomed, when they have registered over XMPP"},
	"server_contact_info":     {Honoured, "contact addresses in service discovery"},
	"limits":                  {Honoured, "limits of what a session may send"},
	"http":                    {Honoured, "the HTTP server"},
	"block_subscriptions":     {Honoured, "subscription requests are dropped"},
	"websocket":               {Honoured, "web clients by WebSocket"},
	"bosh":                    {Honoured, "web clients by BOSH"},
	"http_altconnect":         {Honoured, "host-meta, which tells web clients where to connect"},
	"http_files":              {Honoured, "static files over HTTP"},
	"http_openmetrics":        {Honoured, "/metrics, which is there in any case"},
	"prometheus":              {Honoured, "/metrics, which is there in any case"},
	"blocklist":               {Honoured, "users block whom they do not want to hear from"},
	"blocking":                {Honoured, "users block whom they do not want to hear from"},
	"pep":                     {Honoured, "personal events: avatars, nicknames, keys, bookmarks"},
	"pep_simple":              {Honoured, "the old name of pep"},
	"pep_plus":                {Honoured, "an old name of pep"},
	"vcard_legacy":            {Honoured, "vCards, whose pictures are avatars and the other way round"},
	"vcard4":                  {Honoured, "vCards of the new form"},
	"bookmarks":               {Honoured, "bookmarks, also for clients that look for them in the old places"},
	"vcard":                   {Honoured, "vCards"},
	"private":                 {Honoured, "clients store XML for themselves"},
	"lastactivity":            {Honoured, "when a user was last seen"},
	"uptime":                  {Honoured, "for how long the server has been running"},
	"register":                {Honoured, "users change their passwords and delete their accounts; with allow_registration, people make accounts"},
	"register_ibr":            {Honoured, "with allow_registration, people make accounts for themselves"},
	"register_limits":         {Honoured, "how often, in any case"},
	"user_account_management": {Honoured, "users change their passwords and delete their accounts"},
	"limit_auth":              {Honoured, "failed logins are limited, in any case"},
	"carbons":                 {Honoured, "messages reach the other clients of a user"},
	"mam":                     {Honoured, "what users say and hear is archived, and can be asked for"},
	"offline":                 {Honoured, "messages for users who are offline are kept until they come"},
	"smacks":                  {Honoured, "stream management: sessions whose connection is lost wait and are resumed"},
	"csi":                     {Honoured, "clients in the background, for csi_simple"},
	"csi_simple":              {Honoured, "what can wait for clients in the background does so"},

	"http_roster_admin": {Provider, "rosters from http_roster_url"},
	"http_ejabberd_api": {Honoured, "applications change rosters by ejabberd's HTTP commands"},
	"http_openfire_api": {Honoured, "applications change rosters by the calls of Openfire's REST plugin"},
	"groups":            {Honoured, "shared groups of groups_file, in rosters that users edit or alone"},
	"groups_sql":        {Honoured, "shared groups of a database, in rosters that users edit or alone"},
	"groups_ldap":       {Honoured, "shared groups of a directory, in rosters that users edit or alone"},
	"roster":            {Honoured, "rosters that users edit, where no other module supplies them"},

	"posix":             {Quiet, "built in"},
	"windows":           {Quiet, "built in"},
	"authz_internal":    {Quiet, "built in"},
	"storage_internal":  {Quiet, "storage drivers need no module"},
	"storage_memory":    {Quiet, "storage drivers need no module"},
	"lib_ldap":          {Quiet, "built in"},
	"storage_none":      {Quiet, "storage drivers need no module"},
	"storage_sql":       {Quiet, "storage drivers need no module"},
	"component":         {Quiet, "Component sections need no module"},
	"cron":              {Quiet, "nothing here needs it"},
	"compression":       {Quiet, "not offering it is safer"},
	"legacyauth":        {Quiet, "not offering it is safer"},
	"admin_shell":       {Quiet, "rosterd has commands of its own"},
	"admin_telnet":      {Quiet, "rosterd has commands of its own"},
	"admin_socket":      {Quiet, "rosterd has commands of its own"},
	"console":           {Quiet, "rosterd has commands of its own"},
	"reload_modules":    {Quiet, "nothing is loaded that could be reloaded"},
	"inotify_reload":    {Quiet, "nothing is loaded that could be reloaded"},
	"http_errors":       {Quiet, "pages for browsers"},
	"log_slow_events":   {Quiet, "figures of Prosody's inside"},
	"presence_cache":    {Quiet, "built in"},
	"presence_dedup":    {Quiet, "saves traffic only"},
	"throttle_presence": {Quiet, "saves traffic only"},
	"filter_chatstates": {Quiet, "saves traffic only"},
	"csi_battery_saver": {Quiet, "saves traffic only"},
	"debug_reset":       {Quiet, "for Prosody's developers"},
	"debug_sql":         {Quiet, "for Prosody's developers"},
	"debug_stanzas":     {Quiet, "for Prosody's developers"},
	"debug_traceback":   {Quiet, "for Prosody's developers"},
	"stanza_debug":      {Quiet, "for Prosody's developers"},
	"stanzadebug":       {Quiet, "for Prosody's developers"},
	"traceback":         {Quiet, "for Prosody's developers"},
	"proctitle":         {Quiet, "for Prosody's process"},

	"onions":  {Moot, "this server does not talk to other servers"},
	"darknet": {Moot, "this server does not talk to other servers"},

	"cloud_notify":      {Missing, "no push notifications to phones"},
	"http_file_share":   {Missing, "no file transfer over HTTP"},
	"http_upload":       {Missing, "no file transfer over HTTP"},
	"proxy65":           {Missing, "no file transfer through the server"},
	"admin_adhoc":       {Missing, "no administration by ad-hoc commands"},
	"adhoc":             {Missing, "no ad-hoc commands"},
	"invites":           {Missing, "no invitations"},
	"turn_external":     {Missing, "clients are not told of a TURN server"},
	"external_services": {Missing, "clients are not told of other services"},
	"muc_mam":           {Missing, "no archive of rooms"},
}

// Prefixes of modules that have something in common.
var modulePrefixes = []struct {
	prefix string
	moduleSpec
}{
	{"measure_", moduleSpec{Quiet, "figures of Prosody's inside"}},
	{"s2s_", moduleSpec{Moot, "this server does not talk to other servers"}},
	{"compat_", moduleSpec{Quiet, "for old clients and modules"}},
}

// moduleInfo is the registry's row for a module, by name or by prefix.
func moduleInfo(name string) moduleSpec {
	if s, ok := moduleTable[name]; ok {
		return s
	}
	for _, p := range modulePrefixes {
		if strings.HasPrefix(name, p.prefix) {
			return p.moduleSpec
		}
	}
	return moduleSpec{}
}

// federation are the modules that ask for connections to other servers.
var federation = map[string]bool{"s2s": true, "dialback": true, "s2s_bidi": true, "compat_dialback": true}

// refusals are modules without which a host would be more open than under Prosody.
var refusals = map[string]string{
	"isolate_host":        "users of the host could talk to users of other hosts",
	"restrict_xmpp":       "what it restricts would be allowed",
	"http_authentication": "HTTP requests would not have to authenticate; for refreshes there is rosterd_refresh_token",
	"client_proxy":        "stanzas would not go through the proxy",
	"auth_ccert":          "accounts by client certificate are not available",
}

// strangers are those of them without which people would get at something who should not get at anything.
var strangers = map[string]bool{"http_authentication": true, "auth_ccert": true}

// restrictions are modules that hold something back, or watch it, for the users' sake rather than to
// keep anybody out. Their absence must be seen.
var restrictions = map[string]string{
	"privacy":                "privacy lists of users are not applied",
	"privacy_lists":          "privacy lists of users are not applied",
	"firewall":               "its rules are not applied",
	"block_strangers":        "strangers can send messages",
	"block_outgoing":         "messages to other places are not blocked",
	"block_subscribes":       "subscription requests to groups are not blocked",
	"block_registrations":    "nobody can register while it is enabled",
	"host_guard":             "access to components is not guarded",
	"host_blacklist":         "the hosts it names are not blocked",
	"readonly":               "what it keeps from being changed can be changed",
	"anti_spam":              "spam is not filtered",
	"spam_reporting":         "users cannot report spam",
	"watch_spam_reports":     "nobody is told of spam",
	"e2e_policy":             "unencrypted messages are not warned of",
	"require_otr":            "unencrypted messages are not refused",
	"otr":                    "unencrypted messages are not refused",
	"omemo_all_access":       "access to OMEMO keys is what it is without it",
	"watchregistrations":     "nobody is told of registrations",
	"mimicking":              "names that look alike can be created",
	"tombstones":             "names of deleted users can be given again",
	"log_auth":               "failed logins are not logged in its form",
	"audit":                  "nothing is audited",
	"audit_auth":             "logins are not audited",
	"audit_status":           "starts are not audited",
	"audit_user_accounts":    "changes of accounts are not audited",
	"audit_tokens":           "tokens are not audited",
	"tls_policy":             "ciphers are not checked by its policy",
	"warn_legacy_tls":        "users of old TLS are not warned",
	"c2s_limit_sessions":     "rosterd_max_sessions limits the sessions of an account",
	"c2s_conn_throttle":      "rosterd_connections_per_address limits connections",
	"throttle_unsolicited":   "messages to strangers are not limited",
	"admin_blocklist":        "what administrators block is not blocked for all",
	"secure_interfaces":      "no interface counts as secure without TLS",
	"conformance_restricted": "clients are not held to its rules",
	"filter_words":           "words are not filtered",
	"password_policy":        "passwords that users choose are not checked",
	"deny_omemo":             "OMEMO is not refused",
	"dnsbl":                  "addresses are not looked up in blocklists",
	"message_logging":        "messages are not logged",
}

// mootOptions are options, by name, that tune or guard something that is not here.
var mootOptions = map[string]string{
	"allow_anonymous_s2s":             noFederation,
	"use_dane":                        noFederation,
	"dialback_secret":                 noFederation,
	"disallow_s2s":                    noFederation,
	"s2s_dns_resolvers":               noFederation,
	"component_ssl":                   "components connect without TLS",
	"smacks_enabled_s2s":              noFederation,
	"smacks_s2s_resend":               noFederation,
	"smacks_max_queue_size":           "rosterd_outbox_hard limits what is kept for a client, in bytes",
	"smacks_max_ack_delay":            "there are no push notifications for clients that do not answer",
	"restrict_room_creation":          "there are no rooms",
	"migrate_legacy_blocking":         "privacy lists are not read",
	"vcard_store_name":                "vCards are in the store \"vcard\"",
	"storage_memory_temporary":        "what is kept in memory is never written to disk",
	"storage_memory_temporary_stores": "what is kept in memory is never written to disk",
	"additional_registration_fields":  "who registers is asked for a username and a password only",
	"bosh_ports":                      "BOSH is served on http_ports and https_ports",
	"bosh_port":                       "BOSH is served on http_ports and https_ports",
	"bosh_ssl":                        "BOSH is served on http_ports and https_ports",
	"bosh_interface":                  "BOSH is served on http_interfaces and https_interfaces",
	"bosh_interfaces":                 "BOSH is served on http_interfaces and https_interfaces",
	"http_max_content_size":           "rosterd_refresh_body limits requests",
	"http_max_buffer_size":            "rosterd_refresh_body limits requests",
	"authorization":                   "nobody but admins has a role",
}

const (
	noFederation   = "this server does not talk to other servers"
	noRegistration = "registration has no such part here"
)

// mootPrefixes are the same by the beginning of a name.
var mootPrefixes = []struct{ prefix, why string }{
	{"s2s_", noFederation},
	{"component_admins_as_room_owners", "there are no rooms"},
	{"muc_", "there are no rooms"},
	{"access_control_", "http_cors_override says which other origins may use what"},
	{"ldap_", "admins = { … } says who the admins are"},
	{"cyrus_", "authentication by Cyrus is not available"},
	{"registration_", noRegistration},
	{"block_registrations_", noRegistration},
	{"min_seconds_between_registrations", noRegistration},
	{"allowlist_registration", noRegistration},
	{"whitelist_registration", noRegistration},
	{"blocklist_on_registration", noRegistration},
	{"blacklist_on_registration", noRegistration},
	{"captcha_", noRegistration},
	{"register_", noRegistration},
}

// mootOption says why an option has nothing to do here.
func mootOption(name string) (why string, ok bool) {
	if why, ok := mootOptions[name]; ok {
		return why, true
	}
	for _, p := range mootPrefixes {
		if strings.HasPrefix(name, p.prefix) {
			return p.why, true
		}
	}
	return "", false
}

// quietOptions are accepted without a word of their own: their work is built in, left to the service
// manager, or not needed.
var quietOptions = func() map[string]bool {
	set := map[string]bool{}
	for _, name := range strings.Fields(`
		daemonize no_daemonize run_as_root umask prosody_user prosody_group setuid setgid
		use_libevent network_backend network_settings network_default_read_size gc unbound dns_timeout
		tcp_keepalives c2s_tcp_keepalives component_tcp_keepalives c2s_close_timeout limits_resolution ssl_compression
		statistics statistics_interval statistics_config 
		plugin_server installer_plugin_path reload_modules reload_global_modules force_module_reload
		site_name muc_log_cleanup_interval archive_cleanup_interval archive_cleanup_date_cache_size
		sqlite_tune storage_archive_item_limit_cache_size syslog_facility prosodyctl_timeout
		admin_socket console_port console_ports console_interface console_interfaces console_banner console_prettyprint_settings
		http_errors_always_show http_errors_default_message http_errors_detailed http_errors_messages
		log_slow_events_threshold storage_async_check strict_deprecate_is_admin error_library
		hide_os_type os_version_command
		websocket_frame_buffer_limit websocket_frame_fragment_limit websocket_get_response_body websocket_get_response_text
		http_files_cache_max_file_size http_files_cache_size limit_auth_tarpit_delay pep_info_cache_size`) {
		set[name] = true
	}
	return set
}()

// restrictiveOptions belong to no module that is looked for, or are set where their module is built
// in, and hold something back.
var restrictiveOptions = map[string]string{
	"custom_roles":             "roles of your own are not available",
	"add_permissions":          "permissions of your own are not available",
	"default_provisioned_role": "roles of your own are not available",
	"remove_permissions":       "permissions cannot be taken from roles",
}
