package plugins_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"rosterd/plugins/lua"
)

// prosody is what modules find in Prosody 0.12, and what 13 adds, by the names that lua.API has. What is only for
// Prosody itself is left out.
var prosody = map[string]string{
	"module": `add_extension add_feature add_identity add_item add_timer broadcast context cron daily default_permission
		default_permissions depends fire_event get_directory get_host get_host_items get_host_type get_name get_option
		get_option_array get_option_boolean get_option_enum get_option_inherited_set get_option_integer get_option_number
		get_option_path get_option_period get_option_scalar get_option_set get_option_string get_status handle_items hook
		hook_global hook_object_event hook_tag host hourly load_resource log log_status may measure metric name once open_store
		provides remove_item require send send_iq set_global set_status shared unhook unhook_object_event weekly wrap_event
		wrap_global wrap_object_event`,
	"net.http":       "default.new default.request destroy_request formdecode formencode new request urldecode urlencode",
	"util.array":     "collect filter map pluck reverse slice sort unique",
	"util.async":     "guarder ready runner sleep wait wait_for waiter",
	"util.cache":     "new",
	"util.datetime":  "date datetime legacy parse time",
	"util.encodings": "base64.decode base64.encode confusable.skeleton idna.to_ascii idna.to_unicode stringprep.nameprep stringprep.nodeprep stringprep.resourceprep stringprep.saslprep utf8.length utf8.valid",
	"util.format":    "format",
	"util.hashes":    "equals hmac_md5 hmac_sha1 hmac_sha256 hmac_sha512 md5 pbkdf2_hmac_sha1 pbkdf2_hmac_sha256 scram_Hi_sha1 sha1 sha224 sha256 sha384 sha512",
	"util.hex":       "decode encode from to",
	"util.hmac":      "md5 sha1 sha256 sha512",
	"util.http":      "contains_token formdecode formencode normalize_path urldecode urlencode",
	"util.id":        "custom long medium short tiny",
	"util.iterators": "count filter head join keys range reverse ripairs select skip sorted_pairs tail to_array to_table unique values",
	"util.jid":       "bare compare escape host join node prep prepped_split resource split unescape",
	"util.json":      "decode encode encode_array encode_ordered null",
	"util.promise":   "all all_settled any is_promise join new race reject resolve try",
	"util.queue":     "new",
	"util.random":    "bytes",
	"util.set":       "difference intersection is_set new union xor",
	"util.stanza":    "clone deserialize error_reply iq is_stanza message presence preserialize reply stanza xml_escape",
	"util.time":      "monotonic now",
	"util.timer":     "add_task reschedule stop",
	"util.uuid":      "generate get_nibbles",
	"util.xml":       "parse",
}

// different is what is there and not as in Prosody.
var different = map[string]string{
	"module:add_timer":          "in the script itself, outside of functions: kept by the server, and called in an environment of its own each time. Within a call: ends with the call",
	"module:depends":            "names of what rosterd has built in are accepted; it returns an empty table",
	"module:get_option_path":    "text: scripts have no files",
	"module:get_option_boolean": "a value that cannot be used is an error that names file and line of the configuration, not the default. So it is for all of `get_option_…`",
	"module:hook":               "`roster-load`; no other event",
	"module:log":                "a bounded number of lines a call: see [Limits](#limits)",
	"module:open_store":         "`get` and `set` of types `keyval` and `map`, in rosterd's database; `set` takes a time to live. What Prosody's stores hold is not to be had",
	"module:provides":           "`roster` (rosterd's own), `auth`, `http`",
	"net.http.request":          "three styles beside the callback: see [HTTP](#http). Only allowed servers; no `insecure`, `sslctx`, `streaming_handler`",
	"net.http.destroy_request":  "does nothing: requests end with the call",
	"util.promise.new":          "handlers of what is not settled yet run while the script waits, and before the call ends",
	"util.random.bytes":         "the same ones each time in a case of `rosterd plugin test`",
	"module:get_option_integer": "a fraction is an error; Prosody rounds",
	"module:get_option_period":  `"m" and "mo" are errors: Prosody takes them for months, people mean minutes`,
	"util.json.decode":          "within the limits; `null` is `json.null` as in Prosody, and going through it as through a list is an error",
	"util.json.encode":          "the names in objects are sorted",
}

// own is what rosterd has and Prosody has not.
var own = map[string]string{
	"module:get_option_url_template": "a function that puts a user name into the option's URL, percent-encoded, in the place of `%s`; a URL that cannot be used refuses the script",
	"module:refresh_rosters":         "has the rosters of these users fetched anew: see [Requests from outside](#requests-from-outside)",
}

// calls sorts the names of a library into those that are as in Prosody, different, rosterd's own and absent.
func calls(t *testing.T, library, sep string) (same, diff, new, absent []string) {
	t.Helper()
	theirs := strings.Fields(prosody[library])
	ours := lua.API()[library]
	for _, name := range ours {
		full := library + sep + name
		switch {
		case own[full] != "":
			new = append(new, name)
		case different[full] != "":
			diff = append(diff, name)
		default:
			same = append(same, name)
		}
	}
	for _, name := range theirs {
		if !slices.Contains(ours, name) {
			absent = append(absent, name)
		}
	}
	slices.Sort(absent)
	return same, diff, new, absent
}

func quoted(names []string) string {
	if len(names) == 0 {
		return "–"
	}
	return "`" + strings.Join(names, "`, `") + "`"
}

func moduleCalls(t *testing.T) string {
	same, diff, new, absent := calls(t, "module", ":")
	var b strings.Builder
	b.WriteString("| `module` | |\n| --- | --- |\n")
	fmt.Fprintf(&b, "| %s | as in Prosody |\n", quoted(same))
	for _, name := range diff {
		fmt.Fprintf(&b, "| `%s` | %s |\n", name, different["module:"+name])
	}
	for _, name := range new {
		fmt.Fprintf(&b, "| `%s` | not in Prosody: %s |\n", name, own["module:"+name])
	}
	fmt.Fprintf(&b, "| %s | absent |\n", quoted(absent))
	return b.String()
}

func libraryCalls(t *testing.T) string {
	all := lua.API()
	var b strings.Builder
	b.WriteString("| `require` | there | different | absent |\n| --- | --- | --- | --- |\n")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !strings.Contains(name, ".") && name != "cjson" {
			continue
		}
		same, diff, new, absent := calls(t, name, ".")
		var remarks []string
		for _, d := range diff {
			remarks = append(remarks, fmt.Sprintf("`%s`: %s", d, different[name+"."+d]))
		}
		there := slices.Sorted(slices.Values(slices.Concat(same, diff, new)))
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, quoted(there), strings.Join(remarks, ". "), strings.TrimPrefix(quoted(absent), "–"))
	}
	var missing []string
	for name := range prosody {
		if _, ok := all[name]; !ok {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	if len(missing) > 0 {
		fmt.Fprintf(&b, "| %s, and what is not named here | | | all |\n", quoted(missing))
	}
	return b.String()
}

func luaNames(*testing.T) string {
	all := lua.API()
	var b strings.Builder
	b.WriteString("| of Lua | there |\n| --- | --- |\n")
	for _, name := range append([]string{"globals"}, "coroutine", "math", "os", "string", "table", "utf8") {
		what := name
		if name != "globals" {
			what = "`" + name + "`"
		}
		fmt.Fprintf(&b, "| %s | %s |\n", what, quoted(all[name]))
	}
	return b.String()
}

// TestRemarks: what is said of a call is said of one that there is.
func TestRemarks(t *testing.T) {
	all := lua.API()
	for full := range maps.Keys(different) {
		if !exists(all, full) {
			t.Errorf("%s is said to be different, and is not there", full)
		}
	}
	for full := range own {
		if library, name, _ := strings.Cut(full, ":"); !exists(all, full) || slices.Contains(strings.Fields(prosody[library]), name) {
			t.Errorf("%s is said to be rosterd's own", full)
		}
	}
}

func exists(all map[string][]string, full string) bool {
	for library, names := range all {
		if name, ok := strings.CutPrefix(full, library); ok && name != "" && slices.Contains(names, name[1:]) {
			return true
		}
	}
	return false
}
