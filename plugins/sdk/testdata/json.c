// Tells what it reads in the body of an answer, a line for each part: for TestJSON.
#include "rosterd.h"

#ifdef WITH_LIBC
#include <stdlib.h>
#include <string.h>
#endif

static void line(rosterd_buf *b, const char *mark, rosterd_str text) {
	rosterd_append(b, rosterd_str_of(mark));
	rosterd_append(b, text);
	rosterd_append(b, ROSTERD_STR("\n"));
}

static rosterd_str quoted(rosterd_str s) {
	rosterd_buf b = {0};
	rosterd_append_json(&b, s);
	return b.text;
}

static rosterd_str number(rosterd_json v) {
	static const char digits[] = "0123456789abcdef";
	char bits[16];
	union {
		double d;
		uint64_t u;
	} x = {0};
	int64_t n;
	if (!rosterd_json_double(v, &x.d)) return ROSTERD_STR("no number");
	for (int i = 0; i < 16; i++) bits[i] = digits[x.u >> (60 - 4 * i) & 15];
	return rosterd_cat(rosterd_json_int(v, &n) ? rosterd_int(n) : ROSTERD_STR("-"), ROSTERD_STR(" "), ((rosterd_str){bits, 16}));
}

// A name stands for the last value that has it.
static bool last_of_name(rosterd_json in, rosterd_json v) {
	rosterd_json last = NULL;
	for (rosterd_json w = rosterd_json_first(in); w; w = rosterd_json_next(w))
		if (rosterd_same(rosterd_json_name(v), rosterd_json_name(w))) last = w;
	return rosterd_json_find(in, rosterd_json_name(v)) == last;
}

static void tell(rosterd_buf *b, rosterd_json v) {
	rosterd_str s;
	size_t n = 0;
	bool object = rosterd_json_kind(v) == ROSTERD_JSON_OBJECT;
	switch (rosterd_json_kind(v)) {
	case ROSTERD_JSON_NONE: line(b, "none", ROSTERD_STR("")); return;
	case ROSTERD_JSON_NULL: line(b, "null", ROSTERD_STR("")); return;
	case ROSTERD_JSON_TRUE: line(b, "true", ROSTERD_STR("")); return;
	case ROSTERD_JSON_FALSE: line(b, "false", ROSTERD_STR("")); return;
	case ROSTERD_JSON_NUMBER: line(b, "#", number(v)); return;
	case ROSTERD_JSON_STRING: line(b, "", rosterd_json_text(v, &s) ? quoted(s) : ROSTERD_STR("no text")); return;
	case ROSTERD_JSON_ARRAY:
	case ROSTERD_JSON_OBJECT: break;
	}
	line(b, object ? "{" : "[", ROSTERD_STR(""));
	for (rosterd_json w = rosterd_json_first(v); w; w = rosterd_json_next(w), n++) {
		if (object) line(b, "", quoted(rosterd_json_name(w)));
		if (object && rosterd_json_len(v) < 50 && !last_of_name(v, w)) line(b, "not what is last", ROSTERD_STR(""));
		tell(b, w);
	}
	if (n != rosterd_json_len(v)) line(b, "not as many as are said", ROSTERD_STR(""));
	line(b, object ? "}" : "]", ROSTERD_STR(""));
}

static rosterd_str told(rosterd_str text) {
	rosterd_buf b = {0};
	rosterd_str problem;
	rosterd_json v = rosterd_json_parse(text, &problem);
	if (v) tell(&b, v);
	else line(&b, "!", problem);
	return b.text;
}

static int fetch(const rosterd_request *req) {
	(void)req;
#ifdef WITH_LIBC
	// The memory of the C library lies between what rosterd_alloc gives.
	static char *mine[64];
	static size_t calls;
	size_t size = 1000 * (1 + calls % 64);
	char **place = &mine[calls++ % 64];
	free(*place);
	*place = malloc(size);
	memset(*place, (int)calls, size);
#endif
	rosterd_str out = told(rosterd_body(rosterd_http_get(ROSTERD_STR("http://localhost/"))));
	rosterd_v1_output_write(out.ptr, (uint32_t)out.len);
#ifdef WITH_LIBC
	for (size_t i = 0; i < size; i++)
		if ((*place)[i] != (char)calls) return ROSTERD_DENIED;
#endif
	return ROSTERD_OK;
}

ROSTERD_FETCH(fetch)
