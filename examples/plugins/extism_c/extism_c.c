// Contacts from a list of lines, with the functions of Extism's kit for C. They are declared as extism-pdk.h declares them,
// of which no more is needed: the list is read out of Extism's memory, and the answer written into it, eight bytes at a time.
#include <stdbool.h>
#include <stdint.h>

typedef uint64_t handle; // of a block, 0 being none

#define ENV(name) __attribute__((import_module("extism:host/env"), import_name(name))) extern
#define EXPORT(name) __attribute__((export_name(name)))

ENV("input_length") uint64_t input_length(void);
ENV("input_load_u8") uint8_t input_load_u8(uint64_t at);
ENV("alloc") handle alloc(uint64_t n);
ENV("free") void release(handle h);
ENV("length") uint64_t length(handle h);
ENV("load_u8") uint8_t load_u8(uint64_t at);
ENV("load_u64") uint64_t load_u64(uint64_t at);
ENV("store_u8") void store_u8(uint64_t at, uint8_t v);
ENV("store_u64") void store_u64(uint64_t at, uint64_t v);
ENV("output_set") void output_set(uint64_t at, uint64_t n);
ENV("error_set") void error_set(handle text);
ENV("config_get") handle config_get(handle name);

enum { OK, NOT_FOUND, TEMPORARY, PERMANENT };

// block makes one of a text.
static handle block(const char *text) {
	uint64_t n = 0;
	while (text[n]) n++;
	handle h = alloc(n);
	for (uint64_t i = 0; i < n; i++) store_u8(h + i, (uint8_t)text[i]);
	return h;
}

// option is what the configuration says, 0 if it does not.
static handle option(const char *name) {
	handle h = block(name), value = config_get(h);
	release(h);
	return value;
}

static int32_t fail(int32_t code, const char *why) {
	error_set(block(why));
	return code;
}

// A reader goes through a block.
typedef struct {
	uint64_t at, end, word;
	unsigned have; // bytes of word
} reader;

static reader of(handle h) { return (reader){h, h + length(h), 0, 0}; }

// next is a byte, -1 at the end.
static int next(reader *r) {
	if (!r->have) {
		if (r->at == r->end) return -1;
		if (r->end - r->at < 8) return load_u8(r->at++);
		r->word = load_u64(r->at);
		r->at += 8;
		r->have = 8;
	}
	int c = (int)(r->word & 0xff);
	r->word >>= 8;
	r->have--;
	return c;
}

// A writer without a block only counts.
typedef struct {
	handle to;
	uint64_t n, word;
} writer;

static void put(writer *w, int c) {
	w->word = w->word >> 8 | (uint64_t)(uint8_t)c << 56;
	w->n++;
	if (w->to && w->n % 8 == 0) store_u64(w->to + w->n - 8, w->word);
}

// finish writes what is left of the last eight bytes.
static void finish(writer *w) {
	unsigned left = w->n % 8;
	for (unsigned i = 0; w->to && i < left; i++) store_u8(w->to + w->n - left + i, (uint8_t)(w->word >> (64 - 8 * (left - i))));
}

static void write(writer *w, const char *text) {
	while (*text) put(w, *text++);
}

// quoted puts a byte of a text that is in quotation marks (RFC 8259 §7).
static void quoted(writer *w, int c) {
	static const char hex[] = "0123456789abcdef";
	if (c == '"' || c == '\\') put(w, '\\');
	if (c >= 0x20) {
		put(w, c);
		return;
	}
	write(w, "\\u00");
	put(w, hex[c >> 4]);
	put(w, hex[c & 15]);
}

// is_utf8 says whether a block is such (RFC 3629 §4). JSON can be nothing else.
static bool is_utf8(handle h) {
	reader r = of(h);
	for (int c = next(&r); c >= 0; c = next(&r)) {
		if (c < 0x80) continue;
		int more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : 1;
		if (c < 0xC2 || c > 0xF4) return false;
		int low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80, high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
		for (; more; more--, low = 0x80, high = 0xBF) {
			c = next(&r);
			if (c < low || c > high) return false;
		}
	}
	return true;
}

// The group of all contacts. Blocks last for one call, so that it is kept in the module's own memory.
static uint8_t group[1023];
static unsigned group_len;

EXPORT("roster_init") int32_t roster_init(void) {
	reader name = of(option("extism_c_group"));
	if (name.end - name.at > sizeof group) return fail(PERMANENT, "extism_c_group is longer than the name of a group may be");
	for (int c = next(&name); c >= 0; c = next(&name)) group[group_len++] = (uint8_t)c;
	return OK;
}

// contact maps a line that begins with c: a JID, a space, and what the user calls him.
static void contact(writer *w, reader *list, int c) {
	write(w, "{\"jid\":\"");
	for (; c >= 0 && c != '\n' && c != ' '; c = next(list)) quoted(w, c);
	write(w, "\",\"name\":\"");
	if (c == ' ')
		for (c = next(list); c >= 0 && c != '\n'; c = next(list)) quoted(w, c);
	write(w, "\",\"groups\":[");
	if (group_len) {
		put(w, '"');
		for (unsigned i = 0; i < group_len; i++) quoted(w, group[i]);
		put(w, '"');
	}
	write(w, "]}");
}

// map writes the roster, and says whether the list has its end: a line that is a dot.
static bool map(writer *w, handle body) {
	reader list = of(body);
	const char *comma = "";
	write(w, "{\"items\":[");
	for (int c = next(&list); c >= 0; c = next(&list)) {
		if (c == '\n') continue;
		if (c == '#') {
			while (c >= 0 && c != '\n') c = next(&list);
			continue;
		}
		if (c == '.') {
			c = next(&list);
			write(w, "]}");
			finish(w);
			return c < 0 || c == '\n';
		}
		write(w, comma);
		comma = ",";
		contact(w, &list, c);
	}
	return false;
}

// body_of_input finds the block that the input names: "body":N. Texts have no quotation marks that are not escaped, and the header
// fields are texts.
static handle body_of_input(void) {
	static const char name[] = "\"body\":";
	const unsigned want = sizeof name - 1;
	unsigned have = 0;
	handle body = 0;
	for (uint64_t i = 0, n = input_length(); i < n; i++) {
		int c = input_load_u8(i);
		if (have == want && c >= '0' && c <= '9') {
			body = 10 * body + (handle)(c - '0');
			continue;
		}
		if (have == want && body) break;
		have = c == name[have] ? have + 1 : c == '"';
	}
	return body;
}

EXPORT("roster_transform") int32_t roster_transform(void) {
	handle body = body_of_input();
	if (!is_utf8(body)) return fail(TEMPORARY, "the list is not UTF-8");
	writer count = {0};
	if (!map(&count, body)) return fail(TEMPORARY, "the list does not end with a dot");
	writer out = {.to = alloc(count.n)};
	map(&out, body);
	output_set(out.to, out.n);
	return OK;
}
