// Asks for all that the SDK has. The path of a request from outside says what, and what came of it is the answer.
#include "rosterd.h"

#define S ROSTERD_STR
#define is(text, literal) rosterd_same(text, ROSTERD_STR(literal))

static rosterd_str url;

static int configure(const rosterd_request *req) {
	(void)req;
	bool refuse = false;
	int code = rosterd_option_bool("all_refuse", &refuse);
	if (code) return code;
	if (refuse) return rosterd_fail(ROSTERD_PERMANENT, S("all_refuse is true"));
	code = rosterd_option("all_url", &url);
	if (!code && !url.len) return rosterd_fail(ROSTERD_PERMANENT, S("option all_url is not set"));
	return code;
}

static rosterd_contact *add(rosterd_roster *r, rosterd_str jid, rosterd_str name, int subscription) {
	rosterd_contact *c = rosterd_add(r, jid);
	c->name = name;
	c->subscription = (uint8_t)subscription;
	return c;
}

static void add_groups(rosterd_contact *c, int n) {
	for (int i = 0; i < n; i++) rosterd_add_group(c, rosterd_int(i));
}

static int roster(const rosterd_request *q) {
	rosterd_roster r = {.rev = S("7"), .max_age = 90};
	if (is(q->rev, "7")) return rosterd_answer(&(rosterd_roster){.unchanged = true});
	add(&r, rosterd_cat(q->local, S("-"), q->reason, S("@"), q->host), S(""), ROSTERD_BOTH);
	rosterd_contact *c = add(&r, S("to@example.org"), S("Tö"), ROSTERD_TO);
	rosterd_add_group(c, S("A"));
	rosterd_add_group(c, S("B"));
	rosterd_add_group(c, S("A"));
	c = add(&r, S("from@example.org"), S("From"), ROSTERD_FROM);
	rosterd_add_group(c, S("A"));
	rosterd_add_group(c, S("B"));
	c->ask = true;
	add(&r, S("none@example.org"), S(""), ROSTERD_NONE)->approved = true;
	rosterd_buf name = {0};
	for (int i = 0; i < 40000; i++) rosterd_append(&name, S("ö"));
	add(&r, S("long@example.org"), name.text, ROSTERD_BOTH);
	if (is(q->reason, "webhook")) {
		add_groups(add(&r, S("fit@example.org"), S(""), ROSTERD_BOTH), 256);
		add_groups(add(&r, S("many@example.org"), S("\x01\""), ROSTERD_BOTH), 300);
	}
	return rosterd_answer(&r);
}

static int login(const rosterd_request *q) {
	if (is(q->password, "right")) return ROSTERD_OK;
	if (is(q->password, "unknown")) return rosterd_fail(ROSTERD_NOT_FOUND, q->user);
	return rosterd_fail(ROSTERD_DENIED, rosterd_cat(S("wrong password of "), q->local, S(" at "), q->host));
}

static int edit(const rosterd_request *q) {
	rosterd_str action = rosterd_wanted(q, "action"), contact = rosterd_wanted(q, "contact");
	if (is(action, "subscribe")) return ROSTERD_OK;
	if (is(action, "remove")) return rosterd_fail(ROSTERD_NOT_FOUND, contact);
	if (is(action, "unsubscribe")) return rosterd_fail(ROSTERD_TEMPORARY, contact);
	rosterd_str text = rosterd_cat(q->user, S(" "), rosterd_wanted(q, "id"), S(" "), action, S(" "), contact, S(" "), rosterd_wanted(q, "name"), S(" "),
		rosterd_wanted(q, "subscription"));
	text = rosterd_cat(text, S(" "), rosterd_wanted(q, "ask"));
	bool approved = rosterd_json_kind(rosterd_json_get(q->input, "approved")) == ROSTERD_JSON_TRUE;
	text = rosterd_cat(text, approved ? S(" true") : S(" false"));
	rosterd_str group;
	for (rosterd_json g = rosterd_json_first(rosterd_json_get(q->input, "groups")); g; g = rosterd_json_next(g))
		if (rosterd_json_text(g, &group)) text = rosterd_cat(text, S(" "), group);
	return rosterd_fail(ROSTERD_DENIED, text);
}

static int vcard(const rosterd_request *q) {
	rosterd_str email[] = {S("j@example.com"), S("\"j\"@example.com")}, tel[] = {S("+49 1")};
	if (is(q->local, "john"))
		return rosterd_card_with(&(rosterd_card){
			.fn = S("J\"\\é\n<&"), .given = S("John"), .family = S("Doe"), .nickname = S("Jo"), .email = email, .email_len = 2, .tel = tel, .tel_len = 1, .org = S("O"),
			.title = S("T"), .role = S("R"), .url = S("http://h/?a&b"), .bday = S("1990-02-28"), .note = S("N"), .photo = S("\x89PNG\0\xff\xfe\x01"), .photo_type = S("image/png"),
		});
	if (is(q->local, "given")) return rosterd_card_with(&(rosterd_card){.photo_base64 = S("R0lG\nODlh")});
	if (is(q->local, "nothing")) return rosterd_card_with(&(rosterd_card){0});
	if (is(q->local, "silent")) return ROSTERD_OK;
	if (is(q->local, "nobody")) return ROSTERD_NOT_FOUND;
	if (is(q->local, "later")) return rosterd_fail_for(9, q->user);
	return rosterd_card_with(&(rosterd_card){.photo = q->local, .photo_type = S("image/x-test")});
}

static int say(rosterd_str body) { return rosterd_reply_with(&(rosterd_reply){.status = 200, .body = body}); }

static rosterd_str in_brackets(rosterd_str s) { return rosterd_cat(S("["), s, S("]")); }

static int echo(const rosterd_request *c) {
	rosterd_str secure = c->secure ? S("true") : S("false"), gap = S(" ");
	return say(rosterd_cat(c->host, gap, c->method, gap, c->path, gap, c->rest, gap, c->query, gap, secure, gap, c->from, gap,
		in_brackets(rosterd_json_text_or(rosterd_json_get(c->headers, "x-test"), S(""))), gap,
		in_brackets(rosterd_json_text_or(rosterd_json_get(c->headers, "x-absent"), S(""))), gap, rosterd_body(c->response)));
}

static rosterd_str value(void) {
	static const char hex[] = "0123456789abcdef";
	rosterd_str v;
	rosterd_buf b = {0};
	if (!rosterd_kv_get(S("key"), &v)) return S("absent");
	for (size_t i = 0; i < v.len; i++) {
		char byte[] = {hex[(unsigned char)v.ptr[i] >> 4], hex[v.ptr[i] & 15]};
		if (i) rosterd_append(&b, S(", "));
		rosterd_append(&b, (rosterd_str){byte, 2});
	}
	return in_brackets(b.text);
}

static int kept(void) {
	static char long_key[1000];
	rosterd_str gap = S(" "), first = value(), second, third, fourth;
	if (rosterd_kv_set(S("key"), S(""), 0)) return ROSTERD_TEMPORARY;
	second = value();
	if (rosterd_kv_set(S("key"), S("\0\xff"), 3600)) return ROSTERD_TEMPORARY;
	third = value();
	if (rosterd_kv_delete(S("key"))) return ROSTERD_TEMPORARY;
	fourth = value();
	for (size_t i = 0; i < sizeof long_key; i++) long_key[i] = 'k';
	bool limit = rosterd_kv_set((rosterd_str){long_key, sizeof long_key}, S(""), 0) == ROSTERD_LIMIT;
	return say(rosterd_cat(first, gap, second, gap, third, gap, fourth, gap, limit ? S("limit") : S("no limit")));
}

static rosterd_str field(rosterd_response r, const char *name) {
	rosterd_str s = S("");
	rosterd_header_of(r, name, &s);
	return s;
}

static int get(const rosterd_http_request *r) {
	rosterd_response a = rosterd_http(r);
	rosterd_str gap = S(" ");
	if (a.status < 0) return rosterd_fail_response(a, S("the answer"));
	rosterd_str said = rosterd_cat(rosterd_int(a.status), gap, field(a, "X-Answer"), gap, rosterd_int((int64_t)field(a, "x-long").len), gap,
		in_brackets(field(a, "x-absent")), gap, rosterd_int(rosterd_retry_after(a)), gap, rosterd_body(a));
	rosterd_http_close(a);
	return say(said);
}

static int put(rosterd_str method) {
	rosterd_header headers[] = {{S("x-one"), S("1")}, {S("x-two"), S("\"\\u0001\x7f" "é😀\\\\/\"")}};
	return get(&(rosterd_http_request){
		.method = method, .url = url, .body = S("two\nlines"), .headers = headers, .headers_len = 2, .timeout_ms = 1500, .redirects = 2, .rev = S("a\"b"),
	});
}

static int refused(rosterd_str at) {
	static const char *names[] = {"", "Absent", "Refused", "Limit", "Network", "Argument", "Deadline"};
	rosterd_response a = rosterd_http_get(at);
	if (a.status >= 0) return say(S("no error"));
	return say(rosterd_cat(rosterd_str_of(names[-a.status]), S(": "), rosterd_error()));
}

static int failure(rosterd_str word) {
	rosterd_str text = S("because \"é\"");
	if (is(word, "not-found")) return rosterd_fail(ROSTERD_NOT_FOUND, text);
	if (is(word, "temporary")) return rosterd_fail_for(77, text);
	if (is(word, "permanent")) return rosterd_fail(ROSTERD_PERMANENT, text);
	return rosterd_fail(ROSTERD_DENIED, text);
}

static int option(rosterd_str name, rosterd_str kind) {
	char *key = rosterd_alloc(name.len + 1);
	rosterd_str text = S("absent");
	bool b = true;
	int64_t n = 5;
	int code;
	for (size_t i = 0; i < name.len; i++) key[i] = name.ptr[i];
	key[name.len] = 0;
	if (is(kind, "boolean")) {
		code = rosterd_option_bool(key, &b);
		text = b ? S("true") : S("false");
	} else if (is(kind, "integer")) {
		code = rosterd_option_int(key, 1, 8, &n);
		text = rosterd_int(n);
	} else {
		code = rosterd_option(key, &text);
	}
	return code ? code : say(text);
}

static int chance(void) {
	char a[16], b[16];
	rosterd_random(a, sizeof a);
	rosterd_random(b, sizeof b);
	bool differ = !rosterd_same((rosterd_str){a, sizeof a}, (rosterd_str){b, sizeof b});
	return say(rosterd_cat(differ ? S("true ") : S("false "), rosterd_int(rosterd_now())));
}

static int fill(rosterd_str template, rosterd_str name) {
	const char *problem = rosterd_url_problem(template);
	rosterd_str filled;
	if (problem) return say(rosterd_str_of(problem));
	if (!rosterd_url(template, name, &filled)) return rosterd_fail(ROSTERD_PERMANENT, rosterd_cat(S("user name \""), name, S("\" cannot stand in the path of a URL")));
	return say(filled);
}

static int called(const rosterd_request *c) {
	size_t n = 0;
	while (n < c->rest.len && c->rest.ptr[n] != '/') n++;
	rosterd_str command = {c->rest.ptr, n}, argument = {c->rest.ptr + n + 1, n < c->rest.len ? c->rest.len - n - 1 : 0};
	if (is(command, "echo")) return echo(c);
	if (is(command, "option") || is(command, "boolean") || is(command, "integer")) return option(argument, command);
	if (is(command, "kept")) return kept();
	if (is(command, "get")) return get(&(rosterd_http_request){.url = url});
	if (is(command, "send")) return put(argument);
	if (is(command, "ok")) return rosterd_fail_response(rosterd_http_get(url), S("GET https://example.net/a?b"));
	if (is(command, "error")) return refused(argument);
	if (is(command, "fail")) return failure(argument);
	if (is(command, "panic")) rosterd_panic(rosterd_cat(S("all is lost: "), argument));
	if (is(command, "log")) {
		rosterd_info(argument);
		rosterd_warn(S("two"));
		return say(S(""));
	}
	if (is(command, "chance")) return chance();
	if (is(command, "url")) return fill(c->query, argument);
	if (is(command, "refresh")) {
		rosterd_str users[] = {S("john"), S("ma\"rie")};
		rosterd_header headers[] = {{S("x-all"), S("\"yes\"")}};
		return rosterd_reply_with(&(rosterd_reply){
			.refresh = users, .refresh_len = 2, .status = 202, .headers = headers, .headers_len = 1, .body = S("done\n"),
		});
	}
	if (is(command, "nothing")) return ROSTERD_OK;
	return rosterd_fail(ROSTERD_NOT_FOUND, c->path);
}

ROSTERD_INIT(configure)
ROSTERD_FETCH(roster)
ROSTERD_AUTH(login)
ROSTERD_EDIT(edit)
ROSTERD_VCARD(vcard)
ROSTERD_WEBHOOK(called)
