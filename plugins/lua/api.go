package lua

import "slices"

// Fit says how something of Prosody is here.
type Fit string

// The ways in which something can be here.
const (
	Same      Fit = "same"
	Different Fit = "different" // the note says how
	Absent    Fit = "absent"    // the note says what there is instead, if anything
	Own       Fit = "own"       // not in Prosody
)

// Entry is a part of Prosody's API for modules, or of rosterd's own.
type Entry struct {
	Name   string // "module:log", "util.jid", "event roster-load"
	Fit    Fit
	Note   string
	Fields []string // of a library: what it has here
}

// API is what people use of Prosody in modules, and what there is here, in the order in which it is read best.
func API() []Entry {
	list := slices.Concat(moduleAPI, eventAPI, libraryAPI)
	for i, e := range list {
		if lib := libraries[e.Name]; lib != nil {
			list[i].Fields = lib.names(e.Name)
		}
	}
	return list
}

var moduleAPI = []Entry{
	{Name: "module.host", Fit: Same},
	{Name: "module.name", Fit: Same},
	{Name: "module:get_name", Fit: Same},
	{Name: "module:get_host", Fit: Same},
	{Name: "module:get_host_type", Fit: Same, Note: `always "local"`},
	{Name: "module._log", Fit: Different, Note: "as module:log"},
	{Name: "module:log", Fit: Different, Note: "64 lines of 1 KiB a call; each names the module, the host, the user and the call; what the script says while it is read is said once, when it is loaded"},
	{Name: "module:get_option", Fit: Same},
	{Name: "module:get_option_string", Fit: Different, Note: "a value that cannot be read refuses the script, with file and line, as with all get_option methods; Prosody logs it and goes on with nil"},
	{Name: "module:get_option_number", Fit: Different, Note: "as get_option_string; bounds may follow the default"},
	{Name: "module:get_option_integer", Fit: Different, Note: "a fraction is an error; Prosody rounds"},
	{Name: "module:get_option_boolean", Fit: Different, Note: "as get_option_string"},
	{Name: "module:get_option_scalar", Fit: Different, Note: "a list of several values is an error; Prosody takes the first"},
	{Name: "module:get_option_array", Fit: Different, Note: "a util.array; a table with names is an error"},
	{Name: "module:get_option_set", Fit: Different, Note: "a util.set; a table with names is an error"},
	{Name: "module:get_option_inherited_set", Fit: Different, Note: "the host's value or else the global one, not both together"},
	{Name: "module:get_option_enum", Fit: Different, Note: "a word that is not allowed is an error"},
	{Name: "module:get_option_period", Fit: Different, Note: `"m" and "mo" are errors: Prosody takes them for months, and people mean minutes`},
	{Name: "module:get_option_path", Fit: Different, Note: "the text as it is: scripts have no files"},
	{Name: "module:get_option_url_template", Fit: Own, Note: "a function that puts a user name, percent-encoded, into the option's URL at %s"},
	{Name: `module:provides("roster")`, Fit: Own, Note: "fetch(user, req), map(body, user, req), edit(user, change), and vcard(request)"},
	{Name: `module:provides("auth")`, Fit: Different, Note: "test_password is called, or get_password where there is none, and is_enabled; what they return is true, false or nil. rosterd does SASL and the rest itself: other fields are not called, get_sasl_handler neither, so that what is checked only there belongs into test_password. A false in a call whose requests all failed, or were answered with 5xx, is an outage and no wrong password"},
	{Name: `module:provides("http")`, Fit: Different, Note: "default_path, name and route; http_paths and CORS are the server's; a path without its trailing slash is not redirected; no streaming uploads"},
	{Name: "module:provides, other kinds", Fit: Absent},
	{Name: "module:depends", Fit: Different, Note: "does nothing for what rosterd has in itself (http, roster, presence…), and is an error for anything else"},
	{Name: "module:hook", Fit: Different, Note: "knows one event, roster-load"},
	{Name: "module:add_timer", Fit: Different, Note: "a timer of the script itself is kept by the server: its function is called in a fresh environment each time, at most once a second; one that is set within a call ends with the call; stop and reschedule are for the latter"},
	{Name: "module:open_store", Fit: Different, Note: `"keyval" and "map", get and set, with a third value for seconds to keep; 1 MiB per script and host, values of 64 KiB and keys of 256 bytes; a keyval and a map of one name do not see each other's values`},
	{Name: "module:refresh_rosters", Fit: Own, Note: "has the rosters of a list of users fetched anew and waits until who is online was told: { updated, errors }, or nil, \"temporary\", text; in handlers of requests and in timers"},
	{Name: "module.load", Fit: Different, Note: "runs after the script itself, and so for each call"},
	{Name: "module.unload", Fit: Different, Note: "may be set and is not called: nothing has to be taken back"},
	{Name: "module.command", Fit: Different, Note: "may be set and is not called"},
	{Name: "module.add_host", Fit: Absent, Note: "a script is opened for each host that enables it"},
	{Name: "module.save, module.restore", Fit: Absent, Note: "the script itself runs for each call; module:open_store keeps values"},
	{Name: "module:add_extension", Fit: Absent, Note: "only rosters, passwords, routes and timers are for scripts"},
	{Name: "module:add_feature", Fit: Absent, Note: "only rosters, passwords, routes and timers are for scripts"},
	{Name: "module:add_identity", Fit: Absent, Note: "only rosters, passwords, routes and timers are for scripts"},
	{Name: "module:add_item", Fit: Absent, Note: "module:provides"},
	{Name: "module:broadcast", Fit: Absent},
	{Name: "module:context", Fit: Absent},
	{Name: "module:cron", Fit: Absent, Note: "module:add_timer"},
	{Name: "module:daily", Fit: Absent, Note: "module:add_timer"},
	{Name: "module:fire_event", Fit: Absent},
	{Name: "module:get_directory", Fit: Absent, Note: "scripts have no files"},
	{Name: "module:get_host_items", Fit: Absent},
	{Name: "module:get_status", Fit: Absent},
	{Name: "module:handle_items", Fit: Absent},
	{Name: "module:hook_global", Fit: Absent, Note: "module:hook knows roster-load alone"},
	{Name: "module:hook_object_event", Fit: Absent, Note: "module:hook knows roster-load alone"},
	{Name: "module:hook_stanza", Fit: Absent, Note: "module:hook knows roster-load alone"},
	{Name: "module:hook_tag", Fit: Absent, Note: "module:hook knows roster-load alone"},
	{Name: "module:hourly", Fit: Absent, Note: "module:add_timer"},
	{Name: "module:http_url", Fit: Absent},
	{Name: "module:load_resource", Fit: Absent, Note: "scripts have no files"},
	{Name: "module:log_status", Fit: Absent, Note: "module:log"},
	{Name: "module:measure", Fit: Absent, Note: "rosterd counts calls, errors, time and memory of each script"},
	{Name: "module:metric", Fit: Absent, Note: "rosterd counts calls, errors, time and memory of each script"},
	{Name: "module:remove_item", Fit: Absent},
	{Name: "module:require", Fit: Absent, Note: "a script is one file"},
	{Name: "module:send", Fit: Absent, Note: "scripts send no stanzas"},
	{Name: "module:send_iq", Fit: Absent, Note: "scripts send no stanzas"},
	{Name: "module:set_global", Fit: Absent, Note: "a script is opened for each host that enables it"},
	{Name: "module:set_status", Fit: Absent, Note: "module:log"},
	{Name: "module:shared", Fit: Absent, Note: "module:open_store"},
	{Name: "module:unhook", Fit: Absent},
	{Name: "module:weekly", Fit: Absent, Note: "module:add_timer"},
	{Name: "module:wrap_event", Fit: Absent},
	{Name: "module:wrap_global", Fit: Absent},
	{Name: "module:wrap_object_event", Fit: Absent},
}

var eventAPI = []Entry{
	{Name: "event roster-load", Fit: Different, Note: "the module provides the roster: what stands in event.roster afterwards is the roster, with the subscription both where a contact has none; and nil, \"temporary\", text is why there is none"},
	{Name: "other events", Fit: Absent, Note: "a roster is asked for when it is needed: module:provides(\"roster\"), and module:refresh_rosters for changes"},
	{Name: "prosody, hosts, full_sessions, bare_sessions", Fit: Absent, Note: "scripts see no sessions and no other hosts"},
}

var libraryAPI = []Entry{
	{Name: "net.http", Fit: Different, Note: "request with a callback; with a promise, in scripts that work with promises; and plainly: it waits, and returns the response, or nil and why there is none. 8 requests a call; the servers that the operator allows"},
	{Name: "util.array", Fit: Same},
	{Name: "util.async", Fit: Different, Note: "waiting is a loop in which the rest of the call goes on, and runner:run comes back when the work is done; what waits for what can never come is an error"},
	{Name: "util.cache", Fit: Different, Note: "a cache ends with the call: module:open_store"},
	{Name: "util.datamanager", Fit: Different, Note: "callbacks do nothing, since no rosters are stored; for values there is module:open_store"},
	{Name: "util.datetime", Fit: Different, Note: "fractions of seconds are written and read, as in Prosody 13"},
	{Name: "util.encodings", Fit: Different, Note: "without confusable; idna by the rules of today (UTS #46), mapped as in IDNA2003"},
	{Name: "util.hashes", Fit: Different, Note: "without BLAKE2; what PBKDF2 takes is charged to the call"},
	{Name: "util.hex", Fit: Same},
	{Name: "util.hmac", Fit: Same},
	{Name: "util.http", Fit: Same},
	{Name: "util.id", Fit: Same},
	{Name: "util.iterators", Fit: Same},
	{Name: "util.jid", Fit: Different, Note: "prep and prepped_split prepare as the server does (RFC 7622), not by the profiles of stringprep, which util.encodings has"},
	{Name: "util.json", Fit: Different, Note: "decode takes JSON and nothing else, 64 deep, 200000 values in a call; encode writes names in order and UTF-8 always, and what JSON has no form for is an error: functions, NaN, a table with holes or with both names and numbers (Prosody's __array and __hash); null is an error where a list is gone through"},
	{Name: "cjson", Fit: Different, Note: "reads and writes as util.json, raises as lua-cjson; null is that of util.json, a table; no settings"},
	{Name: "cjson.safe", Fit: Different, Note: "as cjson, but nil and the error"},
	{Name: "util.logger", Fit: Different, Note: "init gives a function like module._log, whatever the name"},
	{Name: "util.promise", Fit: Different, Note: "also any; a handler's error is the reason without a traceback, and if nobody catches it, the call's error; a function may return nil, reason, text to the end of a chain"},
	{Name: "util.random", Fit: Same},
	{Name: "util.sasl", Fit: Different, Note: "may stand in get_sasl_handler, which is not called: test_password is enough"},
	{Name: "util.set", Fit: Same},
	{Name: "util.stanza", Fit: Different, Note: "without stanza_mt; attributes are written in the order in which they were set; every control character that XML leaves out is refused; pretty_print has no colours"},
	{Name: "util.time", Fit: Same},
	{Name: "util.uuid", Fit: Same},
	{Name: "util.xml", Fit: Different, Note: "documents of 8 MiB, elements 64 deep, 200000 elements, attributes and texts in a call; UTF-8 and ISO 8859-1"},
	{Name: "core.usermanager", Fit: Different, Note: "may stand in get_sasl_handler, which is not called"},
	{Name: "util.adhoc", Fit: Absent},
	{Name: "util.cron", Fit: Absent, Note: "module:add_timer"},
	{Name: "util.dataforms", Fit: Absent},
	{Name: "util.datamapper", Fit: Absent},
	{Name: "util.error", Fit: Absent},
	{Name: "util.events", Fit: Absent},
	{Name: "util.filters", Fit: Absent},
	{Name: "util.format", Fit: Absent, Note: "module:log formats as it does"},
	{Name: "util.ip", Fit: Absent},
	{Name: "util.jwt", Fit: Absent},
	{Name: "util.multitable", Fit: Absent},
	{Name: "util.queue", Fit: Absent},
	{Name: "util.rsm", Fit: Absent},
	{Name: "util.serialization", Fit: Absent, Note: "util.json"},
	{Name: "util.session", Fit: Absent},
	{Name: "util.sql", Fit: Absent, Note: "an HTTP service in front of the database"},
	{Name: "util.startup", Fit: Absent},
	{Name: "util.template", Fit: Absent},
	{Name: "util.throttle", Fit: Absent},
	{Name: "util.timer", Fit: Absent, Note: "module:add_timer"},
	{Name: "util.x509", Fit: Absent},
	{Name: "core.configmanager", Fit: Absent, Note: "module:get_option"},
	{Name: "core.hostmanager", Fit: Absent},
	{Name: "core.moduleapi", Fit: Absent},
	{Name: "core.modulemanager", Fit: Absent},
	{Name: "core.rostermanager", Fit: Absent, Note: "fetch returns the roster; module:refresh_rosters has it fetched again"},
	{Name: "core.sessionmanager", Fit: Absent, Note: "scripts see no sessions and no other hosts"},
	{Name: "core.storagemanager", Fit: Absent, Note: "module:open_store"},
	{Name: "net.adns", Fit: Absent},
	{Name: "net.http.errors", Fit: Absent},
	{Name: "net.http.parser", Fit: Absent},
	{Name: "net.http.server", Fit: Absent, Note: `module:provides("http")`},
	{Name: "net.server", Fit: Absent},
	{Name: "net.websocket", Fit: Absent},
	{Name: "lfs, socket, ssl, lxp, luasql", Fit: Absent, Note: "scripts have neither files nor sockets"},
}

// languageAPI is what Lua has and scripts have not, as far as there is something instead.
var languageAPI = []Entry{
	{Name: "io, dofile, loadfile", Fit: Absent, Note: "scripts have no files; the configuration reads them: FileContents, FileLines"},
	{Name: "os.getenv", Fit: Absent, Note: "scripts have no environment; the configuration has it: ENV_NAME"},
	{Name: "socket.http, ssl.https", Fit: Absent, Note: "net.http"},
	{Name: "ltn12, mime", Fit: Absent, Note: "net.http, util.encodings"},
	{Name: "lualdap", Fit: Absent, Note: "an HTTP service in front of the directory"},
	{Name: "DBI, luasql.mysql, luasql.postgres, luasql.sqlite3", Fit: Absent, Note: "an HTTP service in front of the database"},
}
