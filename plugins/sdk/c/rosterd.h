/* rosterd.h is all that a plugin in C needs to supply rosters to rosterd: the ABI rosterd_v1 of docs/PLUGINS.md.
 *
 *     #include "rosterd.h"
 *
 *     static rosterd_str url; // with %s for the user
 *
 *     static int init(const rosterd_request *req) {
 *         (void)req;
 *         return rosterd_option_url("intranet_url", &url);
 *     }
 *
 *     static int fetch(const rosterd_request *req) {
 *         rosterd_roster roster = {0};
 *         rosterd_str filled, login;
 *         if (!rosterd_url(url, req->local, &filled)) return ROSTERD_NOT_FOUND;
 *         rosterd_response response = rosterd_http_get(filled);
 *         if (response.status != 200) return rosterd_fail_response(response, rosterd_cat(ROSTERD_STR("the people of "), req->user));
 *         rosterd_json people = rosterd_json_get(rosterd_json_parse(rosterd_body(response), NULL), "people");
 *         if (rosterd_json_kind(people) != ROSTERD_JSON_ARRAY) return rosterd_fail(ROSTERD_TEMPORARY, ROSTERD_STR("people are no list"));
 *         for (rosterd_json person = rosterd_json_first(people); person; person = rosterd_json_next(person)) {
 *             if (!rosterd_json_text(rosterd_json_get(person, "login"), &login))
 *                 return rosterd_fail(ROSTERD_TEMPORARY, ROSTERD_STR("somebody without login"));
 *             rosterd_contact *contact = rosterd_add(&roster, rosterd_cat(login, ROSTERD_STR("@"), req->host));
 *             rosterd_json_text(rosterd_json_get(person, "name"), &contact->name);
 *         }
 *         return rosterd_answer(&roster);
 *     }
 *
 *     ROSTERD_INIT(init)
 *     ROSTERD_FETCH(fetch)
 *
 * ROSTERD_TRANSFORM, ROSTERD_AUTH and ROSTERD_WEBHOOK are for functions of the same kind: one that maps req->response, the answer
 * that rosterd has asked for; one that knows whether req->password is right, and returns ROSTERD_OK or ROSTERD_DENIED; and one
 * that reads a request from outside, req->method, req->rest and req->response with its header and body, and ends with
 * return rosterd_reply_with(&reply), which names the users whose rosters have changed. ROSTERD_EDIT is for what users want of their
 * rosters: see rosterd_wanted. ROSTERD_VCARD is for who they are: see rosterd_card_with.
 *
 * It needs no C library:
 *
 *     clang --target=wasm32 -ffreestanding -mbulk-memory -O2 -c plugin.c -o plugin.o
 *     wasm-ld --no-entry --strip-debug -o plugin.wasm plugin.o
 *
 * nor does it mind one: clang --target=wasm32-wasi -O2 -c plugin.c -o plugin.o &&
 * clang --target=wasm32-wasi -mexec-model=reactor -o plugin.wasm plugin.o. Compiled for another machine it takes the
 * imports from whoever links it, such as a test.
 *
 * Memory comes from rosterd_alloc and is never given back: all of it is taken anew for the next call, but for what was
 * allocated in rosterd_init. Nothing else of a call may therefore be kept in a variable that outlives it. Where there is
 * no more memory the call ends with a trap, and rosterd says that it was for want of memory. */

#ifndef ROSTERD_H
#define ROSTERD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROSTERD__USED __attribute__((unused))
#define ROSTERD__FN static ROSTERD__USED
#define ROSTERD__APART static __attribute__((noinline, unused)) /* one is enough of these */
#define ROSTERD__INLINE static inline __attribute__((always_inline, unused))
#define ROSTERD__LIKELY(x) __builtin_expect(!!(x), 1)

#ifdef __wasm__
#define ROSTERD_IMPORT(name) __attribute__((import_module("rosterd_v1"), import_name(#name)))
#define ROSTERD_EXPORT(name) __attribute__((export_name(#name)))
#else
#define ROSTERD_IMPORT(name)
#define ROSTERD_EXPORT(name)
#endif
#if !defined(__wasm__) || defined(__wasi__)
#include <stdlib.h>
#endif

/* ---- The ABI as it is -------------------------------------------------------------------------------------------- */

ROSTERD_IMPORT(input_len) int32_t rosterd_v1_input_len(void);
ROSTERD_IMPORT(input_read) int32_t rosterd_v1_input_read(void *dst, uint32_t off, uint32_t len);
ROSTERD_IMPORT(output_write) int32_t rosterd_v1_output_write(const void *ptr, uint32_t len);
ROSTERD_IMPORT(fail) void rosterd_v1_fail(int32_t code, uint32_t retry_after_s, const void *ptr, uint32_t len);
ROSTERD_IMPORT(error_text) int32_t rosterd_v1_error_text(void *dst, uint32_t cap);
ROSTERD_IMPORT(config_get) int32_t rosterd_v1_config_get(const void *key, uint32_t key_len, void *dst, uint32_t cap);
ROSTERD_IMPORT(http_request) int32_t rosterd_v1_http_request(const void *req, uint32_t req_len, const void *body, uint32_t body_len);
ROSTERD_IMPORT(http_status) int32_t rosterd_v1_http_status(int32_t h);
ROSTERD_IMPORT(http_header) int32_t rosterd_v1_http_header(int32_t h, const void *name, uint32_t name_len, void *dst, uint32_t cap);
ROSTERD_IMPORT(http_rev) int32_t rosterd_v1_http_rev(int32_t h, void *dst, uint32_t cap);
ROSTERD_IMPORT(http_body_len) int32_t rosterd_v1_http_body_len(int32_t h);
ROSTERD_IMPORT(http_body_read) int32_t rosterd_v1_http_body_read(int32_t h, void *dst, uint32_t off, uint32_t len);
ROSTERD_IMPORT(http_close) int32_t rosterd_v1_http_close(int32_t h);
ROSTERD_IMPORT(kv_get) int32_t rosterd_v1_kv_get(const void *key, uint32_t key_len, void *dst, uint32_t cap);
ROSTERD_IMPORT(kv_set) int32_t rosterd_v1_kv_set(const void *key, uint32_t key_len, const void *val, uint32_t val_len, uint32_t ttl_s);
ROSTERD_IMPORT(kv_delete) int32_t rosterd_v1_kv_delete(const void *key, uint32_t key_len);
ROSTERD_IMPORT(log) void rosterd_v1_log(int32_t level, const void *ptr, uint32_t len);
ROSTERD_IMPORT(now_ms) int64_t rosterd_v1_now_ms(void);
ROSTERD_IMPORT(random) int32_t rosterd_v1_random(void *dst, uint32_t len);

/* What a call may return. */
enum { ROSTERD_OK, ROSTERD_NOT_FOUND, ROSTERD_TEMPORARY, ROSTERD_PERMANENT, ROSTERD_DENIED };

/* What an import may return instead of a result. */
enum {
	ROSTERD_ABSENT = -1, ROSTERD_REFUSED = -2, ROSTERD_LIMIT = -3,
	ROSTERD_NETWORK = -4, ROSTERD_ARGUMENT = -5, ROSTERD_LATE = -6
};

/* ---- Memory ------------------------------------------------------------------------------------------------------ */

/* The pieces of memory, one behind the other as they were asked for. */
typedef struct rosterd__piece {
	struct rosterd__piece *next;
	char *end;
} rosterd__piece;

typedef struct {
	char *at, *end; /* what is free of the piece in use */
	rosterd__piece *piece, *first, *last;
	char *kept; /* what was allocated in rosterd_init ends there */
	rosterd__piece *kept_piece;
} rosterd__memory;

/* Weak: the files of a plugin share it. */
__attribute__((weak)) rosterd__memory rosterd__mem;

#define ROSTERD__PAGE ((size_t)65536)

/* Where there is a C library the memory is its own: it may take for its heap whatever there was when it was first asked. */
#if defined(__wasm__) && !defined(__wasi__)
ROSTERD__FN char *rosterd__pages(size_t n) {
	size_t was = __builtin_wasm_memory_grow(0, n);
	if (was == (size_t)-1) __builtin_trap();
	return (char *)(was * ROSTERD__PAGE);
}
#else
ROSTERD__FN char *rosterd__pages(size_t n) {
	char *p = malloc(n * ROSTERD__PAGE);
	if (!p) __builtin_trap();
	return p;
}
#endif

ROSTERD__FN void rosterd__use(rosterd__piece *p) {
	rosterd__mem.piece = p;
	rosterd__mem.at = (char *)(p + 1);
	rosterd__mem.end = p->end;
}

/* rosterd__more finds n bytes: in a later piece, behind the last one, or in a new one. */
ROSTERD__APART void rosterd__more(size_t n) {
	rosterd__memory *m = &rosterd__mem;
	while (m->piece && m->piece->next) {
		rosterd__use(m->piece->next);
		if ((size_t)(m->end - m->at) >= n) return;
	}
	size_t pages = 1 + (n + sizeof(rosterd__piece)) / ROSTERD__PAGE;
	size_t had = m->last ? (size_t)(m->last->end - (char *)m->last) / ROSTERD__PAGE : 0;
	if (pages < had && had <= 16) pages = had; /* asking takes longer than having */
	char *p = rosterd__pages(pages);
	if (m->last && p == m->last->end) {
		m->last->end = m->end = p + pages * ROSTERD__PAGE;
		return;
	}
	rosterd__piece *fresh = (rosterd__piece *)p;
	fresh->next = NULL;
	fresh->end = p + pages * ROSTERD__PAGE;
	if (m->last) m->last->next = fresh;
	else m->first = fresh;
	m->last = fresh;
	rosterd__use(fresh);
}

/* rosterd_alloc gives n bytes for the rest of the call; they hold anything. */
ROSTERD__FN void *rosterd_alloc(size_t n) {
	if (n > SIZE_MAX / 2) __builtin_trap();
	n = (n + 7) & ~(size_t)7;
	if (!ROSTERD__LIKELY((size_t)(rosterd__mem.end - rosterd__mem.at) >= n)) rosterd__more(n);
	char *p = rosterd__mem.at;
	rosterd__mem.at += n;
	return p;
}

/* rosterd__copy copies what does not overlap. Most texts are short. */
ROSTERD__APART void rosterd__copy(char *dst, const char *src, size_t n) {
	uint64_t a, b;
	if (n > 64) {
		__builtin_memcpy(dst, src, n);
		return;
	}
	if (n >= 8) {
		__builtin_memcpy(&b, src + n - 8, 8);
		for (size_t i = 0; i + 8 < n; i += 8) {
			__builtin_memcpy(&a, src + i, 8);
			__builtin_memcpy(dst + i, &a, 8);
		}
		__builtin_memcpy(dst + n - 8, &b, 8);
		return;
	}
	if (n >= 4) {
		uint32_t c, d;
		__builtin_memcpy(&c, src, 4);
		__builtin_memcpy(&d, src + n - 4, 4);
		__builtin_memcpy(dst, &c, 4);
		__builtin_memcpy(dst + n - 4, &d, 4);
		return;
	}
	while (n--) *dst++ = *src++;
}

/* rosterd__larger moves n bytes to where there is room for cap; if they are the last that were allocated they stay. */
ROSTERD__APART void *rosterd__larger(void *old, size_t n, size_t cap) {
	size_t had = (n + 7) & ~(size_t)7;
	if (old && (char *)old + had == rosterd__mem.at) {
		rosterd__mem.at = old;
		char *p = rosterd_alloc(cap);
		if (p != old) __builtin_memmove(p, old, n);
		return p;
	}
	char *p = rosterd_alloc(cap);
	if (n) __builtin_memcpy(p, old, n);
	return p;
}

/* rosterd__cut gives back what is behind the first n bytes of the last that was allocated. */
ROSTERD__FN void rosterd__cut(void *p, size_t n) { rosterd__mem.at = (char *)p + ((n + 7) & ~(size_t)7); }

ROSTERD__FN void rosterd__reset(void) {
	rosterd__memory *m = &rosterd__mem;
	if (m->kept_piece) {
		m->piece = m->kept_piece;
		m->at = m->kept;
		m->end = m->piece->end;
	} else if (m->first) {
		rosterd__use(m->first);
	}
}

ROSTERD__FN void rosterd__keep(void) {
	rosterd__mem.kept = rosterd__mem.at;
	rosterd__mem.kept_piece = rosterd__mem.piece;
}

/* ---- Texts ------------------------------------------------------------------------------------------------------- */

/* A text: len bytes of UTF-8, without a zero behind them. */
typedef struct {
	const char *ptr;
	size_t len;
} rosterd_str;

/* ROSTERD_STR is the text of a literal. */
#define ROSTERD_STR(literal) ((rosterd_str){(literal), sizeof(literal) - 1})

/* rosterd_str_of is a text that ends with a zero, which is no part of it. */
ROSTERD__INLINE rosterd_str rosterd_str_of(const char *s) {
	if (__builtin_constant_p(__builtin_strlen(s))) return (rosterd_str){s, __builtin_strlen(s)};
	size_t n = 0;
	while (s[n]) n++;
	return (rosterd_str){s, n};
}

ROSTERD__FN bool rosterd_same(rosterd_str a, rosterd_str b) {
	if (a.len != b.len) return false;
	size_t i = 0;
	for (; i + 8 <= a.len; i += 8) {
		uint64_t x, y;
		__builtin_memcpy(&x, a.ptr + i, 8);
		__builtin_memcpy(&y, b.ptr + i, 8);
		if (x != y) return false;
	}
	for (; i < a.len; i++)
		if (a.ptr[i] != b.ptr[i]) return false;
	return true;
}

/* rosterd_concat joins n texts; rosterd_cat(a, b, c) those that are named. */
ROSTERD__APART rosterd_str rosterd_concat(const rosterd_str *parts, size_t n) {
	size_t len = 0;
	for (size_t i = 0; i < n; i++)
		if (__builtin_add_overflow(len, parts[i].len, &len)) __builtin_trap();
	char *p = rosterd_alloc(len), *at = p;
	for (size_t i = 0; i < n; at += parts[i++].len) rosterd__copy(at, parts[i].ptr, parts[i].len);
	return (rosterd_str){p, len};
}
#define rosterd_cat(...) \
	rosterd_concat((rosterd_str[]){__VA_ARGS__}, sizeof((rosterd_str[]){__VA_ARGS__}) / sizeof(rosterd_str))

/* rosterd_int is a number in digits. */
ROSTERD__APART rosterd_str rosterd_int(int64_t n) {
	char *p = rosterd_alloc(24), *at = p + 24;
	uint64_t left = n < 0 ? -(uint64_t)n : (uint64_t)n;
	do *--at = (char)('0' + left % 10);
	while (left /= 10);
	if (n < 0) *--at = '-';
	return (rosterd_str){at, (size_t)(p + 24 - at)};
}

/* rosterd_parse_int reads digits, with a sign or without. It is false if that is not all there is, or too much. */
ROSTERD__APART bool rosterd_parse_int(rosterd_str s, int64_t *n) {
	size_t i = 0;
	bool minus = s.len && s.ptr[0] == '-';
	if (s.len && (minus || s.ptr[0] == '+')) i++;
	if (i == s.len || s.len - i > 18) return false;
	int64_t sum = 0;
	for (; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9') return false;
		sum = 10 * sum + (s.ptr[i] - '0');
	}
	*n = minus ? -sum : sum;
	return true;
}

/* A text that grows. All zero it is empty; text is what has been added. */
typedef struct {
	rosterd_str text;
	char *ptr;
	size_t cap;
} rosterd_buf;

/* rosterd__room gives the place for n bytes more. */
ROSTERD__FN char *rosterd__room(rosterd_buf *b, size_t n) {
	size_t need;
	if (__builtin_add_overflow(b->text.len, n, &need)) __builtin_trap();
	if (need > b->cap) {
		size_t cap = need < 128 ? 256 : 2 * need;
		b->ptr = rosterd__larger(b->ptr, b->cap, cap);
		b->cap = cap;
		b->text.ptr = b->ptr;
	}
	return b->ptr + b->text.len;
}

ROSTERD__APART void rosterd_append(rosterd_buf *b, rosterd_str s) {
	rosterd__copy(rosterd__room(b, s.len), s.ptr, s.len);
	b->text.len += s.len;
}

/* rosterd_append_json adds a text as JSON has it, in quotes. */
ROSTERD__APART void rosterd_append_json(rosterd_buf *b, rosterd_str s) {
	static const char hex[] = "0123456789abcdef";
	if (s.len > SIZE_MAX / 8) __builtin_trap();
	char *at = rosterd__room(b, 6 * s.len + 2), *p = at;
	*p++ = '"';
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		if (c == '"' || c == '\\') {
			*p++ = '\\';
			*p++ = (char)c;
		} else if (c < ' ') {
			__builtin_memcpy(p, "\\u00", 4);
			p[4] = hex[c >> 4];
			p[5] = hex[c & 15];
			p += 6;
		} else {
			*p++ = (char)c;
		}
	}
	*p++ = '"';
	b->text.len += (size_t)(p - at);
}

/* rosterd__field adds a field of JSON, if it is not empty. */
ROSTERD__APART void rosterd__field(rosterd_buf *b, rosterd_str name, rosterd_str value) {
	if (!value.len) return;
	rosterd_append(b, name);
	rosterd_append_json(b, value);
}

ROSTERD__FN bool rosterd__unreserved(unsigned char c) {
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
}

ROSTERD__APART void rosterd__percent(rosterd_buf *b, unsigned char c) {
	static const char hex[] = "0123456789ABCDEF";
	char *p = rosterd__room(b, 3);
	p[0] = '%';
	p[1] = hex[c >> 4];
	p[2] = hex[c & 15];
	b->text.len += 3;
}

/* rosterd_append_url adds a text percent-encoded, all but the unreserved characters of RFC 3986. */
ROSTERD__APART void rosterd_append_url(rosterd_buf *b, rosterd_str s) {
	for (size_t i = 0; i < s.len; i++) {
		if (rosterd__unreserved((unsigned char)s.ptr[i])) rosterd_append(b, (rosterd_str){s.ptr + i, 1});
		else rosterd__percent(b, (unsigned char)s.ptr[i]);
	}
}

/* ---- JSON -------------------------------------------------------------------------------------------------------- */

/* How deep values may be in one another, and how many names and values a text may have. */
#ifndef ROSTERD_JSON_DEPTH
#define ROSTERD_JSON_DEPTH 64
#endif
#ifndef ROSTERD_JSON_VALUES
#define ROSTERD_JSON_VALUES 1000000
#endif

typedef enum {
	ROSTERD_JSON_NONE, ROSTERD_JSON_NULL, ROSTERD_JSON_FALSE, ROSTERD_JSON_TRUE,
	ROSTERD_JSON_NUMBER, ROSTERD_JSON_STRING, ROSTERD_JSON_ARRAY, ROSTERD_JSON_OBJECT
} rosterd_json_type;

enum {
	ROSTERD__CODED = 1,  /* the text has escapes, or bytes that are no UTF-8 */
	ROSTERD__MORE = 2,   /* another value follows in the same array or object */
	ROSTERD__MEMBER = 4, /* of an object: the name is the entry before */
};

/* An entry of the list that a text is read into: each value, and before it its name if it has one, in the order of the text.
 * An array or object is followed by all that is in it. */
struct rosterd_json_entry {
	uint8_t type, flags;
	uint32_t size;   /* entries that the value takes */
	const char *ptr; /* where it stands, of a string without the quotes */
	uint32_t len;    /* bytes; of an array or object: values in it */
};

/* A value in a text. NULL is one that is not there, which all functions take: it has no type, no text and no members. */
typedef const struct rosterd_json_entry *rosterd_json;

/* rosterd__utf8 is the length of the character at p, 0 if it is none (RFC 3629 §4). */
ROSTERD__APART size_t rosterd__utf8(const unsigned char *p, const unsigned char *end) {
	unsigned char c = p[0];
	size_t n = c < 0x80 ? 1 : c < 0xC2 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;
	if (n < 2) return n;
	if ((size_t)(end - p) < n) return 0;
	unsigned char low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80, high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
	if (p[1] < low || p[1] > high) return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xC0) != 0x80) return 0;
	return n;
}

ROSTERD__FN int rosterd__hex(unsigned char c) {
	if (c >= '0' && c <= '9') return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* rosterd__unit is the number of the four digits at p, -1 if they are none. */
ROSTERD__FN int32_t rosterd__unit(const unsigned char *p, const unsigned char *end) {
	if (end - p < 4) return -1;
	int32_t u = 0;
	for (int i = 0; i < 4; i++) {
		int d = rosterd__hex(p[i]);
		if (d < 0) return -1;
		u = u << 4 | d;
	}
	return u;
}

/* rosterd__special marks, of eight bytes of a string, those that need a look: quotes, backslashes, controls, and what is
 * not ASCII. The lowest mark is right; there may be wrong ones above it. */
ROSTERD__INLINE uint64_t rosterd__special(uint64_t x) {
	const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
	uint64_t quote = x ^ (ones * '"'), slash = x ^ (ones * '\\');
	return (((quote - ones) & ~quote) | ((slash - ones) & ~slash) | (x - ones * ' ') | x) & tops;
}

/* rosterd__string reads a string from behind its quote to behind the other one; NULL if it is none, and then *bad is where. */
ROSTERD__INLINE const unsigned char *rosterd__string(const unsigned char *p, const unsigned char *end, uint8_t *flags, const unsigned char **bad) {
	for (;;) {
		while (end - p >= 8) {
			uint64_t x;
			__builtin_memcpy(&x, p, 8);
			uint64_t marks = rosterd__special(x);
			if (marks) {
				p += __builtin_ctzll(marks) >> 3;
				break;
			}
			p += 8;
		}
		*bad = p;
		if (p == end) return NULL;
		unsigned char c = *p;
		if (c == '"') return p + 1;
		if (c >= 0x80) {
			size_t n = rosterd__utf8(p, end);
			if (!n) *flags |= ROSTERD__CODED;
			p += n ? n : 1;
		} else if (c == '\\') {
			*flags |= ROSTERD__CODED;
			if (++p == end) return NULL;
			switch (*p++) {
			case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
				break;
			case 'u':
				if (rosterd__unit(p, end) < 0) return NULL;
				p += 4;
				break;
			default:
				return NULL;
			}
		} else if (c < ' ') {
			return NULL;
		} else {
			p++;
		}
	}
}

ROSTERD__INLINE bool rosterd__digit(const unsigned char *p, const unsigned char *end) { return p < end && *p >= '0' && *p <= '9'; }

/* rosterd__number reads a number (RFC 8259 §6); NULL if it is none. */
ROSTERD__FN const unsigned char *rosterd__number(const unsigned char *p, const unsigned char *end) {
	if (*p == '-') p++;
	if (!rosterd__digit(p, end)) return NULL;
	if (*p == '0') p++;
	else
		while (rosterd__digit(p, end)) p++;
	if (p < end && *p == '.') {
		if (!rosterd__digit(++p, end)) return NULL;
		while (rosterd__digit(p, end)) p++;
	}
	if (p < end && (*p | 0x20) == 'e') {
		p++;
		if (p < end && (*p == '+' || *p == '-')) p++;
		if (!rosterd__digit(p, end)) return NULL;
		while (rosterd__digit(p, end)) p++;
	}
	return p;
}

ROSTERD__INLINE const unsigned char *rosterd__blank(const unsigned char *p, const unsigned char *end) {
	while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) {
		uint64_t x;
		for (p++; end - p >= 8; p += 8) { /* lines are indented */
			__builtin_memcpy(&x, p, 8);
			if (x != 0x2020202020202020u) break;
		}
	}
	return p;
}

ROSTERD__INLINE bool rosterd__word(const unsigned char *p, const unsigned char *end, rosterd_str word) {
	if ((size_t)(end - p) < word.len) return false;
	for (size_t i = 0; i < word.len; i++)
		if (p[i] != (unsigned char)word.ptr[i]) return false;
	return true;
}

/* What is wrong with a text. */
typedef struct {
	const char *what;
	const unsigned char *at;
} rosterd__wrong;

typedef struct {
	struct rosterd_json_entry *list;
	uint32_t len, cap;
} rosterd__entries;

ROSTERD__INLINE struct rosterd_json_entry *rosterd__entry(rosterd__entries *e, uint8_t type, uint8_t flags, const unsigned char *p, size_t n) {
	if (!ROSTERD__LIKELY(e->len < e->cap)) {
		uint32_t cap = 2 * e->cap;
		e->list = rosterd__larger(e->list, e->cap * sizeof *e->list, cap * sizeof *e->list);
		e->cap = cap;
	}
	struct rosterd_json_entry *v = &e->list[e->len++];
	v->type = type;
	v->flags = flags;
	v->size = 1;
	v->ptr = (const char *)p;
	v->len = (uint32_t)n;
	return v;
}

/* rosterd__read fills the list. */
ROSTERD__FN bool rosterd__read(rosterd__entries *e, const unsigned char *p, const unsigned char *end, rosterd__wrong *w) {
	uint32_t open[ROSTERD_JSON_DEPTH], depth = 0, done;
	uint8_t in = 0; /* the flags of a value here */
	const unsigned char *from, *bad;
	uint8_t flags;

value:
	p = rosterd__blank(p, end);
	w->at = p;
	w->what = "a value is missing";
	if (p == end) return false;
	if (e->len >= ROSTERD_JSON_VALUES) {
		w->what = "too many values";
		return false;
	}
	done = e->len;
	switch (*p) {
	case '"':
		from = ++p;
		flags = in;
		if (!(p = rosterd__string(p, end, &flags, &bad))) goto wrong_string;
		rosterd__entry(e, ROSTERD_JSON_STRING, flags, from, (size_t)(p - 1 - from));
		break;
	case '{':
	case '[':
		if (depth == ROSTERD_JSON_DEPTH) {
			w->what = "nested too deep";
			return false;
		}
		open[depth++] = e->len;
		from = p;
		rosterd__entry(e, *p == '{' ? ROSTERD_JSON_OBJECT : ROSTERD_JSON_ARRAY, in, from, 0);
		in = *p == '{' ? ROSTERD__MEMBER : 0;
		p = rosterd__blank(p + 1, end);
		if (p < end && *p == (in ? '}' : ']')) goto close;
		if (in) goto name;
		goto value;
	case 't':
		if (!rosterd__word(p, end, ROSTERD_STR("true"))) return false;
		rosterd__entry(e, ROSTERD_JSON_TRUE, in, p, 4);
		p += 4;
		break;
	case 'f':
		if (!rosterd__word(p, end, ROSTERD_STR("false"))) return false;
		rosterd__entry(e, ROSTERD_JSON_FALSE, in, p, 5);
		p += 5;
		break;
	case 'n':
		if (!rosterd__word(p, end, ROSTERD_STR("null"))) return false;
		rosterd__entry(e, ROSTERD_JSON_NULL, in, p, 4);
		p += 4;
		break;
	case '-': case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9':
		from = p;
		if (!(p = rosterd__number(p, end))) return false;
		rosterd__entry(e, ROSTERD_JSON_NUMBER, in, from, (size_t)(p - from));
		break;
	default:
		return false;
	}

behind: /* the value at done */
	p = rosterd__blank(p, end);
	w->at = p;
	if (!depth) {
		w->what = "something follows the value";
		return p == end;
	}
	e->list[open[depth - 1]].len++;
	w->what = in ? "',' or '}' is missing" : "',' or ']' is missing";
	if (p == end) return false;
	if (*p == ',') {
		p++;
		e->list[done].flags |= ROSTERD__MORE;
		if (in) goto name;
		goto value;
	}
	if (*p != (in ? '}' : ']')) return false;

close:
	p++;
	done = open[--depth];
	e->list[done].size = e->len - done;
	in = e->list[done].flags & ROSTERD__MEMBER;
	goto behind;

name:
	p = rosterd__blank(p, end);
	w->at = p;
	w->what = "a name is missing";
	if (p == end || *p != '"') return false;
	from = ++p;
	flags = 0;
	if (!(p = rosterd__string(p, end, &flags, &bad))) goto wrong_string;
	rosterd__entry(e, ROSTERD_JSON_STRING, flags, from, (size_t)(p - 1 - from));
	p = rosterd__blank(p, end);
	w->at = p;
	w->what = "':' is missing";
	if (p == end || *p != ':') return false;
	p++;
	goto value;

wrong_string:
	w->at = bad;
	w->what = bad == end ? "a string without an end" : "a character that no string can have";
	return false;
}

/* rosterd_json_parse reads a text (RFC 8259), which must stay where it is as long as the values are used. If it is not JSON
 * the result is NULL, and *problem says why; problem may be NULL. */
ROSTERD__APART rosterd_json rosterd_json_parse(rosterd_str text, rosterd_str *problem) {
	const unsigned char *p = (const unsigned char *)text.ptr;
	rosterd__wrong w = {"too long", p};
	rosterd__entries e = {NULL, 0, 0};
	if (text.len < UINT32_MAX / 2) {
		e.cap = (uint32_t)(text.len / 16 + 16);
		e.list = rosterd_alloc(e.cap * sizeof *e.list);
		if (rosterd__read(&e, p, p + text.len, &w)) {
			rosterd__cut(e.list, e.len * sizeof *e.list);
			return e.list;
		}
		rosterd__cut(e.list, 0);
	}
	if (problem) *problem = rosterd_cat(ROSTERD_STR("not JSON: "), rosterd_str_of(w.what), ROSTERD_STR(" at byte "), rosterd_int(w.at - p));
	return NULL;
}

ROSTERD__FN rosterd_json_type rosterd_json_kind(rosterd_json v) { return v ? (rosterd_json_type)v->type : ROSTERD_JSON_NONE; }

ROSTERD__FN char *rosterd__put(char *p, uint32_t c) {
	if (c < 0x80) {
		*p++ = (char)c;
	} else if (c < 0x800) {
		*p++ = (char)(0xC0 | c >> 6);
		*p++ = (char)(0x80 | (c & 0x3F));
	} else if (c < 0x10000) {
		*p++ = (char)(0xE0 | c >> 12);
		*p++ = (char)(0x80 | (c >> 6 & 0x3F));
		*p++ = (char)(0x80 | (c & 0x3F));
	} else {
		*p++ = (char)(0xF0 | c >> 18);
		*p++ = (char)(0x80 | (c >> 12 & 0x3F));
		*p++ = (char)(0x80 | (c >> 6 & 0x3F));
		*p++ = (char)(0x80 | (c & 0x3F));
	}
	return p;
}

/* rosterd__decode resolves escapes. Halves of surrogate pairs and bytes that are no UTF-8 become U+FFFD. */
ROSTERD__APART rosterd_str rosterd__decode(const char *ptr, size_t len) {
	const unsigned char *p = (const unsigned char *)ptr, *end = p + len;
	char *text = rosterd_alloc(3 * len), *at = text;
	while (p < end) {
		if (*p < 0x80 && *p != '\\') {
			*at++ = (char)*p++;
			continue;
		}
		if (*p != '\\') {
			size_t n = rosterd__utf8(p, end);
			if (!n) at = rosterd__put(at, 0xFFFD);
			for (size_t i = 0; i < n; i++) *at++ = (char)p[i];
			p += n ? n : 1;
			continue;
		}
		p++;
		switch (*p++) {
		case 'b': *at++ = '\b'; break;
		case 'f': *at++ = '\f'; break;
		case 'n': *at++ = '\n'; break;
		case 'r': *at++ = '\r'; break;
		case 't': *at++ = '\t'; break;
		case 'u': {
			int32_t c = rosterd__unit(p, end), low;
			p += 4;
			if (c >= 0xD800 && c < 0xE000) {
				low = c < 0xDC00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u' ? rosterd__unit(p + 2, end) : -1;
				if (low >= 0xDC00 && low < 0xE000) {
					c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
					p += 6;
				} else {
					c = 0xFFFD;
				}
			}
			at = rosterd__put(at, (uint32_t)c);
			break;
		}
		default: *at++ = (char)p[-1];
		}
	}
	rosterd__cut(text, (size_t)(at - text));
	return (rosterd_str){text, (size_t)(at - text)};
}

ROSTERD__INLINE rosterd_str rosterd__text(rosterd_json v) {
	if (v->flags & ROSTERD__CODED) return rosterd__decode(v->ptr, v->len);
	return (rosterd_str){v->ptr, v->len};
}

/* rosterd_json_text is true if v is a string, and then *s is its text. */
ROSTERD__FN bool rosterd_json_text(rosterd_json v, rosterd_str *s) {
	if (rosterd_json_kind(v) != ROSTERD_JSON_STRING) return false;
	*s = rosterd__text(v);
	return true;
}

/* rosterd_json_text_or is the text of v, or another one if it is no string. */
ROSTERD__FN rosterd_str rosterd_json_text_or(rosterd_json v, rosterd_str other) {
	rosterd_json_text(v, &other);
	return other;
}

/* rosterd_json_double is true if v is a number. The last of its digits may not be exact. */
ROSTERD__APART bool rosterd_json_double(rosterd_json v, double *d) {
	if (rosterd_json_kind(v) != ROSTERD_JSON_NUMBER) return false;
	const char *p = v->ptr, *end = p + v->len;
	bool minus = *p == '-', fraction = false, down;
	uint64_t digits = 0;
	int32_t power = 0, exponent = 0;
	for (p += minus; p < end && (*p | 0x20) != 'e'; p++) {
		if (*p == '.') {
			fraction = true;
		} else if (digits < UINT64_MAX / 10 - 1) {
			digits = 10 * digits + (uint64_t)(*p - '0');
			power -= fraction;
		} else {
			power += !fraction;
		}
	}
	if (p < end) {
		p++;
		down = *p == '-';
		if (*p == '-' || *p == '+') p++;
		for (; p < end; p++)
			if (exponent < 100000) exponent = 10 * exponent + (*p - '0');
		power += down ? -exponent : exponent;
	}
	double n = (double)digits, ten = 10;
	down = power < 0;
	for (uint32_t left = down ? -(uint32_t)power : (uint32_t)power; left && n != 0; left >>= 1, ten *= ten)
		if (left & 1) n = down ? n / ten : n * ten;
	*d = minus ? -n : n;
	return true;
}

/* rosterd_json_int is true if v is a whole number, or the text of one. */
ROSTERD__APART bool rosterd_json_int(rosterd_json v, int64_t *n) {
	double d;
	switch (rosterd_json_kind(v)) {
	case ROSTERD_JSON_STRING:
		return rosterd_parse_int(rosterd__text(v), n);
	case ROSTERD_JSON_NUMBER:
		if (rosterd_parse_int((rosterd_str){v->ptr, v->len}, n)) return true;
		if (!rosterd_json_double(v, &d) || !(d > -9007199254740992.0 && d < 9007199254740992.0) || d != (double)(int64_t)d) return false;
		*n = (int64_t)d;
		return true;
	default:
		return false;
	}
}

/* rosterd_json_len is how many values are in an array or object; 0 for all else. */
ROSTERD__FN size_t rosterd_json_len(rosterd_json v) { return rosterd_json_kind(v) >= ROSTERD_JSON_ARRAY ? v->len : 0; }

/* rosterd_json_first and rosterd_json_next lead through an array or object:
 * for (rosterd_json v = rosterd_json_first(list); v; v = rosterd_json_next(v)) … */
ROSTERD__FN rosterd_json rosterd_json_first(rosterd_json v) {
	if (!rosterd_json_len(v)) return NULL;
	return v + (v->type == ROSTERD_JSON_OBJECT ? 2 : 1);
}

ROSTERD__FN rosterd_json rosterd_json_next(rosterd_json v) {
	if (!v || !(v->flags & ROSTERD__MORE)) return NULL;
	return v + v->size + (v->flags & ROSTERD__MEMBER ? 1 : 0);
}

/* rosterd_json_name is the name of a value in an object, empty for others. */
ROSTERD__FN rosterd_str rosterd_json_name(rosterd_json v) {
	return v && v->flags & ROSTERD__MEMBER ? rosterd__text(v - 1) : ROSTERD_STR("");
}

/* rosterd_json_find is what an object has under a name, the last if there are several. */
ROSTERD__APART rosterd_json rosterd_json_find(rosterd_json v, rosterd_str name) {
	rosterd_json found = NULL;
	if (rosterd_json_kind(v) != ROSTERD_JSON_OBJECT) return NULL;
	for (v = rosterd_json_first(v); v; v = rosterd_json_next(v)) {
		rosterd_json n = v - 1;
		if (n->flags & ROSTERD__CODED ? rosterd_same(rosterd__text(n), name) : n->len == name.len && rosterd_same((rosterd_str){n->ptr, n->len}, name))
			found = v;
	}
	return found;
}

ROSTERD__INLINE rosterd_json rosterd_json_get(rosterd_json v, const char *name) { return rosterd_json_find(v, rosterd_str_of(name)); }

/* ---- Failures and the log ---------------------------------------------------------------------------------------- */

/* rosterd_fail says why there is no result: return rosterd_fail(ROSTERD_TEMPORARY, why). The text is for the log. */
ROSTERD__APART int rosterd_fail(int code, rosterd_str why) {
	rosterd_v1_fail(code, 0, why.ptr, (uint32_t)why.len);
	return code;
}

/* rosterd_fail_for is a temporary failure, which nobody should try again before so many seconds. */
ROSTERD__APART int rosterd_fail_for(uint32_t seconds, rosterd_str why) {
	rosterd_v1_fail(ROSTERD_TEMPORARY, seconds, why.ptr, (uint32_t)why.len);
	return ROSTERD_TEMPORARY;
}

/* ROSTERD__GIVEN copies what an import gives, of which n bytes are there once it has been asked. */
#define ROSTERD__GIVEN(found, out, call)                          \
	uint32_t cap = 256;                                           \
	char *dst = rosterd_alloc(cap);                               \
	int32_t n = (call);                                           \
	while (n > (int32_t)cap) {                                    \
		rosterd__cut(dst, 0);                                     \
		cap = (uint32_t)n;                                        \
		dst = rosterd_alloc(cap);                                 \
		n = (call);                                               \
	}                                                             \
	rosterd__cut(dst, n > 0 ? (size_t)n : 0);                     \
	found = n;                                                    \
	if (n >= 0) *(out) = (rosterd_str){dst, (size_t)n}

/* rosterd_error is the text of what went wrong last in this call. */
ROSTERD__APART rosterd_str rosterd_error(void) {
	rosterd_str s = ROSTERD_STR("unknown error");
	int32_t found;
	ROSTERD__GIVEN(found, &s, rosterd_v1_error_text(dst, cap));
	(void)found;
	return s;
}

/* rosterd_panic ends the call as a fault, for what cannot be. The text goes to the log. */
static __attribute__((noinline, noreturn, unused)) void rosterd_panic(rosterd_str s) {
	rosterd_v1_log(3, s.ptr, (uint32_t)s.len);
	__builtin_trap();
}

ROSTERD__FN void rosterd_debug(rosterd_str s) { rosterd_v1_log(0, s.ptr, (uint32_t)s.len); }
ROSTERD__FN void rosterd_info(rosterd_str s) { rosterd_v1_log(1, s.ptr, (uint32_t)s.len); }
ROSTERD__FN void rosterd_warn(rosterd_str s) { rosterd_v1_log(2, s.ptr, (uint32_t)s.len); }
ROSTERD__FN void rosterd_log_error(rosterd_str s) { rosterd_v1_log(3, s.ptr, (uint32_t)s.len); }

/* ---- Options: read them in rosterd_init -------------------------------------------------------------------------- */

/* Functions that read an option return ROSTERD_OK, or else what rosterd_init is to return: why is said already. An option that
 * is not set leaves what is there, which so is the default. */

ROSTERD__APART int rosterd__wrong_option(const char *name, rosterd_str why) {
	return rosterd_fail(ROSTERD_PERMANENT, rosterd_cat(ROSTERD_STR("option "), rosterd_str_of(name), why));
}

ROSTERD__APART int rosterd__option(const char *name, rosterd_str *value, bool *set) {
	rosterd_str key = rosterd_str_of(name);
	int32_t found;
	ROSTERD__GIVEN(found, value, rosterd_v1_config_get(key.ptr, (uint32_t)key.len, dst, cap));
	*set = found >= 0;
	if (found >= 0 || found == ROSTERD_ABSENT) return ROSTERD_OK;
	return rosterd_fail(ROSTERD_PERMANENT, rosterd_error());
}

/* rosterd_option is the option as config_get has it. One that must be there is missing if value->len is still 0. */
ROSTERD__FN int rosterd_option(const char *name, rosterd_str *value) {
	bool set;
	return rosterd__option(name, value, &set);
}

/* rosterd_option_bool reads true or false. */
ROSTERD__FN int rosterd_option_bool(const char *name, bool *b) {
	rosterd_str s;
	bool set;
	int code = rosterd__option(name, &s, &set);
	if (code || !set) return code;
	*b = rosterd_same(s, ROSTERD_STR("true")) || rosterd_same(s, ROSTERD_STR("1"));
	if (*b || rosterd_same(s, ROSTERD_STR("false")) || rosterd_same(s, ROSTERD_STR("0"))) return ROSTERD_OK;
	return rosterd__wrong_option(name, rosterd_cat(ROSTERD_STR(": \""), s, ROSTERD_STR("\" is neither true nor false")));
}

/* rosterd_option_int reads a whole number. One that is not between least and most is moved there, with a line in the log. */
ROSTERD__APART int rosterd_option_int(const char *name, int64_t least, int64_t most, int64_t *n) {
	rosterd_str s;
	bool set;
	int64_t was;
	int code = rosterd__option(name, &s, &set);
	if (code || !set) return code;
	if (!rosterd_parse_int(s, &was)) return rosterd__wrong_option(name, rosterd_cat(ROSTERD_STR(": \""), s, ROSTERD_STR("\" is no integer")));
	*n = was < least ? least : was > most ? most : was;
	if (*n != was)
		rosterd_warn(rosterd_cat(ROSTERD_STR("option "), rosterd_str_of(name), ROSTERD_STR(": "), rosterd_int(was), ROSTERD_STR(" is not between "),
			rosterd_int(least), ROSTERD_STR(" and "), rosterd_int(most), ROSTERD_STR(", "), rosterd_int(*n), ROSTERD_STR(" is taken")));
	return ROSTERD_OK;
}

/* rosterd__placeholder is where "%s" stands in s, from i on; s.len if it does not. */
ROSTERD__FN size_t rosterd__placeholder(rosterd_str s, size_t i) {
	for (; i + 1 < s.len; i++) {
		if (s.ptr[i] != '%') continue;
		if (s.ptr[i + 1] == 's') return i;
		if (s.ptr[i + 1] == '%') i++;
	}
	return s.len;
}

/* rosterd__starts tells whether s begins with a word, in small letters or not. */
ROSTERD__FN bool rosterd__starts(rosterd_str s, rosterd_str word) {
	if (s.len < word.len) return false;
	for (size_t i = 0; i < word.len; i++)
		if ((s.ptr[i] | (word.ptr[i] >= 'a' ? 0x20 : 0)) != word.ptr[i]) return false;
	return true;
}

/* rosterd_url_problem says what is wrong with a URL that has %s for the user, NULL if nothing is. */
ROSTERD__APART const char *rosterd_url_problem(rosterd_str url) {
	size_t first = rosterd__placeholder(url, 0), from = rosterd__starts(url, ROSTERD_STR("https://")) ? 8 : 7, i, host = from;
	if (first == url.len) return "no %s in it, which stands for the user name";
	if (!rosterd__starts(url, ROSTERD_STR("http://")) && from == 7) return "not an http:// or https:// URL";
	for (i = from; i < url.len && url.ptr[i] != '/' && url.ptr[i] != '?' && url.ptr[i] != '#'; i++)
		if (url.ptr[i] == '@') host = i + 1;
	if (i == host || url.ptr[host] == ':') return "a URL without a host";
	if (first < i) return "%s may stand in the path and in the query only";
	for (; i < url.len && url.ptr[i] != '#'; i++) {}
	if (rosterd__placeholder(url, i) < url.len) return "%s may stand in the path and in the query only";
	size_t literal = 2; /* characters since the last percent sign that is one of the URL */
	for (i = 0; i + 1 < url.len; i++) {
		bool percent = url.ptr[i] == '%';
		if (percent && url.ptr[i + 1] == 's') {
			if (literal < 2) return "an incomplete escape before %s would swallow a part of the name";
			i++;
			continue;
		}
		if (percent && url.ptr[i + 1] == '%') i++;
		literal = percent ? 0 : literal + 1;
	}
	return NULL;
}

/* rosterd_option_url reads an option that must be there: a URL with %s for the user, for rosterd_url. */
ROSTERD__APART int rosterd_option_url(const char *name, rosterd_str *url) {
	bool set;
	int code = rosterd__option(name, url, &set);
	if (code) return code;
	if (!set) return rosterd__wrong_option(name, ROSTERD_STR(" is not set"));
	const char *problem = rosterd_url_problem(*url);
	if (problem) return rosterd__wrong_option(name, rosterd_cat(ROSTERD_STR(": "), rosterd_str_of(problem)));
	return ROSTERD_OK;
}

/* rosterd__dots tells whether a segment of the path is "." or "..", which everybody on the way may resolve. */
ROSTERD__FN bool rosterd__dots(rosterd_str url) {
	size_t from = 0;
	for (size_t i = 0; i <= url.len; i++) {
		bool path_ends = i == url.len || url.ptr[i] == '?';
		if (!path_ends && url.ptr[i] != '/') continue;
		size_t n = i - from;
		if ((n == 1 || n == 2) && url.ptr[from] == '.' && url.ptr[i - 1] == '.') return true;
		if (path_ends) return false;
		from = i + 1;
	}
	return false;
}

/* rosterd_url puts a user name, percent-encoded, for each %s of a URL; "%%" is a percent sign. It is false for names such as
 * "..", which cannot stand in the path of a URL: nobody has them. */
ROSTERD__APART bool rosterd_url(rosterd_str template, rosterd_str user, rosterd_str *url) {
	rosterd_buf b = {0};
	rosterd__room(&b, template.len + 3 * user.len + 64); /* as much as is needed, mostly */
	for (size_t i = 0; i < template.len; i++) {
		char next = i + 1 < template.len ? template.ptr[i + 1] : 0;
		unsigned char c = (unsigned char)template.ptr[i];
		if (c == '%' && next == 's') {
			rosterd_append_url(&b, user);
			i++;
			continue;
		}
		if (c == '%' && next == '%') i++;
		if (c <= ' ' || c >= 0x7F) rosterd__percent(&b, c);
		else rosterd_append(&b, (rosterd_str){(const char *)&c, 1});
	}
	*url = b.text;
	for (size_t i = 0; i < user.len; i++)
		if (user.ptr[i] != '.') return true;
	return !rosterd__dots(b.text);
}

/* ---- HTTP -------------------------------------------------------------------------------------------------------- */

typedef struct {
	rosterd_str name, value;
} rosterd_header;

/* A request. All but the URL may be left zero. */
typedef struct {
	rosterd_str method, url, body;
	const rosterd_header *headers;
	size_t headers_len;
	uint32_t timeout_ms, redirects;
	rosterd_str rev; /* of an answer that is held: the backend may then answer 304 */
} rosterd_http_request;

/* An answer, or if status is below 0 none: then rosterd_error() says why. */
typedef struct {
	int32_t handle, status;
} rosterd_response;

ROSTERD__FN void rosterd__headers(rosterd_buf *b, const rosterd_header *headers, size_t n) {
	if (!n) return;
	for (size_t i = 0; i < n; i++) {
		rosterd_append(b, i ? ROSTERD_STR(",") : ROSTERD_STR(",\"headers\":{"));
		rosterd_append_json(b, headers[i].name);
		rosterd_append(b, ROSTERD_STR(":"));
		rosterd_append_json(b, headers[i].value);
	}
	rosterd_append(b, ROSTERD_STR("}"));
}

/* rosterd_http sends a request and waits for the whole answer. */
ROSTERD__APART rosterd_response rosterd_http(const rosterd_http_request *r) {
	rosterd_buf b = {0};
	rosterd_append(&b, ROSTERD_STR("{\"url\":"));
	rosterd_append_json(&b, r->url);
	rosterd__field(&b, ROSTERD_STR(",\"method\":"), r->method);
	rosterd__field(&b, ROSTERD_STR(",\"rev\":"), r->rev);
	rosterd__headers(&b, r->headers, r->headers_len);
	if (r->timeout_ms) rosterd_append(&b, rosterd_cat(ROSTERD_STR(",\"timeout_ms\":"), rosterd_int(r->timeout_ms)));
	if (r->redirects) rosterd_append(&b, rosterd_cat(ROSTERD_STR(",\"redirects\":"), rosterd_int(r->redirects)));
	rosterd_append(&b, ROSTERD_STR("}"));
	int32_t h = rosterd_v1_http_request(b.text.ptr, (uint32_t)b.text.len, r->body.ptr, (uint32_t)r->body.len);
	return (rosterd_response){h, h < 0 ? h : rosterd_v1_http_status(h)};
}

ROSTERD__FN rosterd_response rosterd_http_get(rosterd_str url) { return rosterd_http(&(rosterd_http_request){.url = url}); }

/* rosterd_body is the body of an answer, empty if there is none. */
ROSTERD__APART rosterd_str rosterd_body(rosterd_response r) {
	int32_t len = r.handle < 0 ? 0 : rosterd_v1_http_body_len(r.handle);
	if (len <= 0) return ROSTERD_STR("");
	char *p = rosterd_alloc((size_t)len);
	int32_t n = rosterd_v1_http_body_read(r.handle, p, 0, (uint32_t)len);
	return (rosterd_str){p, n < 0 ? 0 : (size_t)n};
}

/* rosterd_header_of is true if the answer has such a field; *value is its value. */
ROSTERD__APART bool rosterd_header_of(rosterd_response r, const char *name, rosterd_str *value) {
	rosterd_str key = rosterd_str_of(name);
	int32_t found;
	ROSTERD__GIVEN(found, value, rosterd_v1_http_header(r.handle, key.ptr, (uint32_t)key.len, dst, cap));
	return found >= 0;
}

/* rosterd_rev_of is true if the backend has named the revision of the answer; *rev is for the next request. */
ROSTERD__APART bool rosterd_rev_of(rosterd_response r, rosterd_str *rev) {
	int32_t found;
	ROSTERD__GIVEN(found, rev, rosterd_v1_http_rev(r.handle, dst, cap));
	return found >= 0;
}

/* rosterd_http_close lets go of an answer before the call ends. */
ROSTERD__FN void rosterd_http_close(rosterd_response r) {
	if (r.handle >= 0) rosterd_v1_http_close(r.handle);
}

/* rosterd__part reads n digits at i, -1 if they are none. */
ROSTERD__FN int64_t rosterd__part(rosterd_str s, size_t i, size_t n) {
	int64_t v;
	return rosterd_parse_int((rosterd_str){s.ptr + i, n}, &v) && v >= 0 ? v : -1;
}

/* rosterd__date is the second since 1970 of a date such as "Thu, 01 Jan 2026 12:01:00 GMT" (RFC 9110 §5.6.7), -1 if it is none. */
ROSTERD__FN int64_t rosterd__date(rosterd_str s) {
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	if (s.len != 29) return -1;
	int64_t day = rosterd__part(s, 5, 2), month = 0, year = rosterd__part(s, 12, 4);
	int64_t hour = rosterd__part(s, 17, 2), minute = rosterd__part(s, 20, 2), second = rosterd__part(s, 23, 2);
	while (month < 12 && !rosterd_same((rosterd_str){months + 3 * month, 3}, (rosterd_str){s.ptr + 8, 3})) month++;
	if (day < 1 || month == 12 || year < 1970 || hour < 0 || minute < 0 || second < 0) return -1;
	if (month < 2) year--; /* years are counted from March on, so that the odd day is the last */
	int64_t days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * ((month + 10) % 12) + 2) / 5 + day - 1 - 719468;
	return ((days * 24 + hour) * 60 + minute) * 60 + second;
}

/* rosterd_retry_after is for how many seconds the server asks to be left alone (RFC 9110 §10.2.3), 0 if it does not say. */
ROSTERD__APART uint32_t rosterd_retry_after(rosterd_response r) {
	rosterd_str after;
	int64_t seconds;
	if (r.handle < 0 || !rosterd_header_of(r, "retry-after", &after)) return 0;
	if (!rosterd_parse_int(after, &seconds)) {
		seconds = rosterd__date(after);
		if (seconds >= 0) seconds -= rosterd_v1_now_ms() / 1000;
	}
	return seconds < 0 || seconds > INT32_MAX ? 0 : (uint32_t)seconds;
}

/* rosterd_fail_response is what an answer means that is none of those expected, or that did not come: 404 that there is no
 * such user, 401 and 403 that somebody must change something, all else that it did not work now. */
ROSTERD__APART int rosterd_fail_response(rosterd_response r, rosterd_str what) {
	if (r.status < 0) return rosterd_fail(ROSTERD_TEMPORARY, rosterd_cat(what, ROSTERD_STR(": "), rosterd_error()));
	rosterd_str why = rosterd_cat(what, ROSTERD_STR(": "), rosterd_int(r.status));
	switch (r.status) {
	case 404:
		return rosterd_fail(ROSTERD_NOT_FOUND, why);
	case 401:
	case 403:
		return rosterd_fail(ROSTERD_PERMANENT, rosterd_cat(why, ROSTERD_STR(": the backend refuses our credentials")));
	}
	return rosterd_fail_for(rosterd_retry_after(r), why);
}

/* ---- What is kept beyond the call -------------------------------------------------------------------------------- */

/* rosterd_kv_get is true if something is kept under the key. */
ROSTERD__APART bool rosterd_kv_get(rosterd_str key, rosterd_str *value) {
	int32_t found;
	ROSTERD__GIVEN(found, value, rosterd_v1_kv_get(key.ptr, (uint32_t)key.len, dst, cap));
	return found >= 0;
}

/* rosterd_kv_set keeps a value for so many seconds, 0 for ever. It is 0, or why it does not: ROSTERD_LIMIT above all. */
ROSTERD__FN int32_t rosterd_kv_set(rosterd_str key, rosterd_str value, uint32_t seconds) {
	return rosterd_v1_kv_set(key.ptr, (uint32_t)key.len, value.ptr, (uint32_t)value.len, seconds);
}

ROSTERD__FN int32_t rosterd_kv_delete(rosterd_str key) { return rosterd_v1_kv_delete(key.ptr, (uint32_t)key.len); }

/* rosterd_now is milliseconds since 1970. */
ROSTERD__FN int64_t rosterd_now(void) { return rosterd_v1_now_ms(); }

/* rosterd_random fills memory with what nobody can guess. */
ROSTERD__FN void rosterd_random(void *dst, size_t len) {
	if (rosterd_v1_random(dst, (uint32_t)len) < 0) __builtin_trap();
}

/* ---- Rosters ----------------------------------------------------------------------------------------------------- */

enum { ROSTERD_NONE, ROSTERD_TO, ROSTERD_FROM, ROSTERD_BOTH };

typedef struct rosterd_group {
	struct rosterd_group *next;
	rosterd_str name;
} rosterd_group;

/* A contact. All but groups may be set as one likes. */
typedef struct rosterd_contact {
	rosterd_str jid, name;
	uint8_t subscription; /* ROSTERD_BOTH, unless it is changed */
	bool approved, ask;
	rosterd_group *groups;
	uint32_t groups_len, hash;
	struct rosterd_contact *next, *beside; /* in the roster; in the same place of its table */
} rosterd_contact;

/* A roster. All zero it has no contacts. */
typedef struct {
	rosterd_str rev;  /* names this state, and comes back in the next request */
	uint32_t max_age; /* seconds in which nobody need ask again */
	bool unchanged;   /* what the request's rev names still holds, and there are no contacts here */

	rosterd_contact *first, *last, **table;
	uint32_t len, places;
} rosterd_roster;

ROSTERD__FN uint32_t rosterd__hash(rosterd_str s) {
	uint64_t h = s.len * 0x9E3779B97F4A7C15u, x;
	size_t i = 0;
	for (; i + 8 <= s.len; i += 8) {
		__builtin_memcpy(&x, s.ptr + i, 8);
		h = (h ^ x) * 0x9E3779B97F4A7C15u;
		h ^= h >> 32;
	}
	for (; i < s.len; i++) h = (h ^ (unsigned char)s.ptr[i]) * 0x100000001B3u;
	return (uint32_t)(h ^ h >> 32);
}

ROSTERD__APART rosterd_contact *rosterd__find(const rosterd_roster *r, rosterd_str jid, uint32_t hash) {
	if (!r->places) return NULL;
	for (rosterd_contact *c = r->table[hash & (r->places - 1)]; c; c = c->beside)
		if (c->hash == hash && rosterd_same(c->jid, jid)) return c;
	return NULL;
}

/* rosterd_find is the contact of a JID, NULL if there is none. */
ROSTERD__FN rosterd_contact *rosterd_find(const rosterd_roster *r, rosterd_str jid) { return rosterd__find(r, jid, rosterd__hash(jid)); }

ROSTERD__APART void rosterd__rehash(rosterd_roster *r) {
	r->places = r->places ? 4 * r->places : 64;
	r->table = rosterd_alloc(r->places * sizeof *r->table);
	for (uint32_t i = 0; i < r->places; i++) r->table[i] = NULL;
	for (rosterd_contact *c = r->first; c; c = c->next) {
		c->beside = r->table[c->hash & (r->places - 1)];
		r->table[c->hash & (r->places - 1)] = c;
	}
}

/* rosterd_add is the contact of a JID, a new one if there was none. The text must stay. */
ROSTERD__APART rosterd_contact *rosterd_add(rosterd_roster *r, rosterd_str jid) {
	uint32_t hash = rosterd__hash(jid);
	rosterd_contact *c = rosterd__find(r, jid, hash);
	if (c) return c;
	if (r->len == r->places) rosterd__rehash(r);
	rosterd_contact **place = &r->table[hash & (r->places - 1)];
	c = rosterd_alloc(sizeof *c);
	*c = (rosterd_contact){.jid = jid, .subscription = ROSTERD_BOTH, .hash = hash, .beside = *place};
	*place = c;
	if (r->last) r->last->next = c;
	else r->first = c;
	r->last = c;
	r->len++;
	return c;
}

/* rosterd_add_group puts a contact in a group, if it is not there yet. */
ROSTERD__FN void rosterd_add_group(rosterd_contact *c, rosterd_str name) {
	rosterd_group **g = &c->groups;
	for (; *g; g = &(*g)->next)
		if (rosterd_same((*g)->name, name)) return;
	*g = rosterd_alloc(sizeof **g);
	**g = (rosterd_group){NULL, name};
	c->groups_len++;
}

/* rosterd__fits tells whether the flat form has room for a contact. */
ROSTERD__FN bool rosterd__fits(const rosterd_contact *c, size_t *size) {
	size_t n = 1 + 2 + c->jid.len + 2 + c->name.len + 1;
	bool fits = c->jid.len <= UINT16_MAX && c->name.len <= UINT16_MAX && c->groups_len <= UINT8_MAX;
	for (const rosterd_group *g = c->groups; g && fits; g = g->next) {
		fits = g->name.len <= UINT16_MAX;
		n += 2 + g->name.len;
	}
	*size = n;
	return fits;
}

ROSTERD__FN int rosterd__written(const void *p, size_t n) {
	if (rosterd_v1_output_write(p, (uint32_t)n) < 0) return rosterd_fail(ROSTERD_TEMPORARY, rosterd_error());
	return ROSTERD_OK;
}

/* rosterd__answer_json writes what the flat form has no room for: rosterd says of it what it thinks. */
ROSTERD__APART int rosterd__answer_json(const rosterd_roster *r) {
	static const char *words[] = {"none", "to", "from", "both"};
	rosterd_buf b = {0};
	rosterd_append(&b, rosterd_cat(ROSTERD_STR("{\"max_age\":"), rosterd_int(r->max_age)));
	rosterd__field(&b, ROSTERD_STR(",\"rev\":"), r->rev);
	rosterd_append(&b, ROSTERD_STR(",\"items\":["));
	for (const rosterd_contact *c = r->first; c; c = c->next) {
		if (c != r->first) rosterd_append(&b, ROSTERD_STR(","));
		rosterd_append(&b, ROSTERD_STR("{\"jid\":"));
		rosterd_append_json(&b, c->jid);
		rosterd__field(&b, ROSTERD_STR(",\"name\":"), c->name);
		rosterd__field(&b, ROSTERD_STR(",\"subscription\":"), rosterd_str_of(words[c->subscription & 3]));
		if (c->approved) rosterd_append(&b, ROSTERD_STR(",\"approved\":true"));
		if (c->ask) rosterd_append(&b, ROSTERD_STR(",\"ask\":\"subscribe\""));
		rosterd_append(&b, ROSTERD_STR(",\"groups\":["));
		for (const rosterd_group *g = c->groups; g; g = g->next) {
			if (g != c->groups) rosterd_append(&b, ROSTERD_STR(","));
			rosterd_append_json(&b, g->name);
		}
		rosterd_append(&b, ROSTERD_STR("]}"));
	}
	rosterd_append(&b, ROSTERD_STR("]}"));
	return rosterd__written(b.text.ptr, b.text.len);
}

ROSTERD__INLINE char *rosterd__le(char *p, uint32_t n, int bytes) {
	for (; bytes--; n >>= 8) *p++ = (char)n;
	return p;
}

ROSTERD__INLINE char *rosterd__flat_text(char *p, rosterd_str s) {
	p = rosterd__le(p, (uint32_t)s.len, 2);
	rosterd__copy(p, s.ptr, s.len);
	return p + s.len;
}

ROSTERD__FN char *rosterd__flat_contact(char *p, const rosterd_contact *c) {
	*p++ = (char)((c->subscription & 3) | c->approved << 2 | c->ask << 3);
	p = rosterd__flat_text(p, c->jid);
	p = rosterd__flat_text(p, c->name);
	*p++ = (char)c->groups_len;
	for (const rosterd_group *g = c->groups; g; g = g->next) p = rosterd__flat_text(p, g->name);
	return p;
}

/* rosterd_answer writes the roster: return rosterd_answer(&roster). */
ROSTERD__APART int rosterd_answer(const rosterd_roster *r) {
	bool kept = r->rev.len || r->max_age;
	const rosterd_contact *first = r->unchanged ? NULL : r->first;
	size_t size = 4 + 4 + 2 + r->rev.len + 4, n;
	if (r->rev.len > UINT16_MAX) return rosterd__answer_json(r);
	for (const rosterd_contact *c = first; c; c = c->next) {
		if (!rosterd__fits(c, &n)) return rosterd__answer_json(r);
		if (__builtin_add_overflow(size, n, &size)) __builtin_trap();
	}
	char *out = rosterd_alloc(size), *p = out;
	*p++ = 'R';
	*p++ = 'F';
	*p++ = 1;
	*p++ = (char)(kept | r->unchanged << 1);
	if (kept) p = rosterd__flat_text(rosterd__le(p, r->max_age, 4), r->rev);
	p = rosterd__le(p, first ? r->len : 0, 4);
	for (const rosterd_contact *c = first; c; c = c->next) p = rosterd__flat_contact(p, c);
	return rosterd__written(out, (size_t)(p - out));
}

/* ---- Calls ------------------------------------------------------------------------------------------------------- */

/* What is asked. Fields that a call does not have are empty. */
typedef struct {
	rosterd_str user, local, host; /* bare JID, localpart, domainpart */
	rosterd_str reason, rev;       /* of a roster: why it is asked for, and the revision that is held */
	rosterd_str password;          /* rosterd_auth */
	rosterd_str method, path, rest, query, from;
	bool secure;               /* rosterd_webhook */
	rosterd_response response; /* rosterd_transform: the backend's answer; rosterd_webhook: the request, which has a body */
	rosterd_json headers;      /* of the same */
	rosterd_json input;        /* all of it */
} rosterd_request;

ROSTERD__APART rosterd_str rosterd__asked(rosterd_json input, const char *name) { return rosterd_json_text_or(rosterd_json_get(input, name), ROSTERD_STR("")); }

ROSTERD__APART bool rosterd__request(rosterd_request *r) {
	int32_t len = rosterd_v1_input_len();
	if (len < 0) return false;
	char *p = rosterd_alloc((size_t)len);
	if (rosterd_v1_input_read(p, 0, (uint32_t)len) != len) return false;
	rosterd_json in = rosterd_json_parse((rosterd_str){p, (size_t)len}, NULL);
	int64_t status = 0;
	rosterd_json_int(rosterd_json_get(in, "status"), &status);
	*r = (rosterd_request){
		.user = rosterd__asked(in, "user"), .local = rosterd__asked(in, "local"), .host = rosterd__asked(in, "host"),
		.reason = rosterd__asked(in, "reason"), .rev = rosterd__asked(in, "rev"), .password = rosterd__asked(in, "password"),
		.method = rosterd__asked(in, "method"), .path = rosterd__asked(in, "path"), .rest = rosterd__asked(in, "rest"),
		.query = rosterd__asked(in, "query"), .from = rosterd__asked(in, "from"),
		.secure = rosterd_json_kind(rosterd_json_get(in, "secure")) == ROSTERD_JSON_TRUE,
		.response = {0, (int32_t)status}, .headers = rosterd_json_get(in, "headers"), .input = in,
	};
	return in != NULL;
}

ROSTERD__INLINE int32_t rosterd__call(int (*f)(const rosterd_request *)) {
	rosterd_request r;
	rosterd__reset();
	if (!rosterd__request(&r)) return rosterd_fail(ROSTERD_PERMANENT, ROSTERD_STR("the input cannot be read"));
	return f(&r);
}

ROSTERD__INLINE int32_t rosterd__init(int (*f)(const rosterd_request *)) {
	int32_t code = rosterd__call(f);
	rosterd__keep();
	return code;
}

/* These make a function of the plugin, static int f(const rosterd_request *), one that rosterd calls. */
#define ROSTERD_INIT(f) ROSTERD_EXPORT(rosterd_init) int32_t rosterd_init(void); int32_t rosterd_init(void) { return rosterd__init(f); }
#define ROSTERD_FETCH(f) ROSTERD_EXPORT(rosterd_fetch) int32_t rosterd_fetch(void); int32_t rosterd_fetch(void) { return rosterd__call(f); }
#define ROSTERD_TRANSFORM(f) ROSTERD_EXPORT(rosterd_transform) int32_t rosterd_transform(void); int32_t rosterd_transform(void) { return rosterd__call(f); }
#define ROSTERD_AUTH(f) ROSTERD_EXPORT(rosterd_auth) int32_t rosterd_auth(void); int32_t rosterd_auth(void) { return rosterd__call(f); }
/* What a user wants of his roster: rosterd_wanted(req, "action"), "contact", "id", "name", "subscription", "ask" and "etag", and what else
 * is in req->input. ROSTERD_OK says that the backend has taken it; rosterd_fail(ROSTERD_DENIED, text) is its no, in words for the user. */
ROSTERD__INLINE rosterd_str rosterd_wanted(const rosterd_request *r, const char *name) { return rosterd__asked(r->input, name); }
#define ROSTERD_EDIT(f) ROSTERD_EXPORT(rosterd_edit) int32_t rosterd_edit(void); int32_t rosterd_edit(void) { return rosterd__call(f); }
/* Who req->user is, for others: return rosterd_card_with(&card), or ROSTERD_NOT_FOUND if nothing is known of him. */
#define ROSTERD_VCARD(f) ROSTERD_EXPORT(rosterd_vcard) int32_t rosterd_vcard(void); int32_t rosterd_vcard(void) { return rosterd__call(f); }
#define ROSTERD_WEBHOOK(f) ROSTERD_EXPORT(rosterd_webhook) int32_t rosterd_webhook(void); int32_t rosterd_webhook(void) { return rosterd__call(f); }

/* What rosterd_webhook answers. All zero: nobody is refreshed, and the answer is rosterd's own. */
typedef struct {
	const rosterd_str *refresh; /* users whose rosters are fetched anew before the answer is sent */
	size_t refresh_len;
	int status;
	const rosterd_header *headers;
	size_t headers_len;
	rosterd_str body;
} rosterd_reply;

/* rosterd_reply_with writes it: return rosterd_reply_with(&reply). */
ROSTERD__APART int rosterd_reply_with(const rosterd_reply *r) {
	rosterd_buf b = {0};
	rosterd_append(&b, ROSTERD_STR("{\"refresh\":["));
	for (size_t i = 0; i < r->refresh_len; i++) {
		if (i) rosterd_append(&b, ROSTERD_STR(","));
		rosterd_append_json(&b, r->refresh[i]);
	}
	rosterd_append(&b, ROSTERD_STR("]"));
	if (r->status) rosterd_append(&b, rosterd_cat(ROSTERD_STR(",\"status\":"), rosterd_int(r->status)));
	rosterd__headers(&b, r->headers, r->headers_len);
	rosterd__field(&b, ROSTERD_STR(",\"body\":"), r->body);
	rosterd_append(&b, ROSTERD_STR("}"));
	return rosterd__written(b.text.ptr, b.text.len);
}

/* What rosterd_vcard answers. What is empty is not said. */
typedef struct {
	rosterd_str fn; /* the name as it is shown */
	rosterd_str given, family, nickname, org, title, role, url, note;
	rosterd_str bday; /* such as 1990-02-28 */
	const rosterd_str *email, *tel;
	size_t email_len, tel_len;
	rosterd_str photo;        /* a picture: its bytes */
	rosterd_str photo_base64; /* the same in base64, where that is what there is */
	rosterd_str photo_type;   /* such as image/png; rosterd finds it out if it is empty */
} rosterd_card;

/* rosterd_append_base64 adds bytes as RFC 4648 §4 has it. */
ROSTERD__APART void rosterd_append_base64(rosterd_buf *b, rosterd_str s) {
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	if (s.len > SIZE_MAX / 8) __builtin_trap();
	char *at = rosterd__room(b, (s.len + 2) / 3 * 4), *p = at;
	for (size_t i = 0; i < s.len; i += 3) {
		size_t n = s.len - i < 3 ? s.len - i : 3;
		uint32_t x = 0;
		for (size_t k = 0; k < 3; k++) x = x << 8 | (k < n ? (unsigned char)s.ptr[i + k] : 0);
		for (size_t k = 0; k < 4; k++) *p++ = k <= n ? digits[x >> (18 - 6 * k) & 63] : '=';
	}
	b->text.len += (size_t)(p - at);
}

ROSTERD__APART void rosterd__texts(rosterd_buf *b, rosterd_str name, const rosterd_str *list, size_t n) {
	for (size_t i = 0; i < n; i++) {
		rosterd_append(b, i ? ROSTERD_STR(",") : name);
		rosterd_append_json(b, list[i]);
	}
	if (n) rosterd_append(b, ROSTERD_STR("]"));
}

/* rosterd_card_with writes it: return rosterd_card_with(&card). */
ROSTERD__APART int rosterd_card_with(const rosterd_card *c) {
	rosterd_buf b = {0};
	rosterd_append(&b, ROSTERD_STR("{\"fn\":"));
	rosterd_append_json(&b, c->fn);
	rosterd__field(&b, ROSTERD_STR(",\"given\":"), c->given);
	rosterd__field(&b, ROSTERD_STR(",\"family\":"), c->family);
	rosterd__field(&b, ROSTERD_STR(",\"nickname\":"), c->nickname);
	rosterd__field(&b, ROSTERD_STR(",\"org\":"), c->org);
	rosterd__field(&b, ROSTERD_STR(",\"title\":"), c->title);
	rosterd__field(&b, ROSTERD_STR(",\"role\":"), c->role);
	rosterd__field(&b, ROSTERD_STR(",\"url\":"), c->url);
	rosterd__field(&b, ROSTERD_STR(",\"bday\":"), c->bday);
	rosterd__field(&b, ROSTERD_STR(",\"note\":"), c->note);
	rosterd__texts(&b, ROSTERD_STR(",\"email\":["), c->email, c->email_len);
	rosterd__texts(&b, ROSTERD_STR(",\"tel\":["), c->tel, c->tel_len);
	if (c->photo.len || c->photo_base64.len) {
		rosterd_append(&b, ROSTERD_STR(",\"photo\":{\"type\":"));
		rosterd_append_json(&b, c->photo_type);
		rosterd_append(&b, ROSTERD_STR(",\"data\":"));
		if (c->photo.len) {
			rosterd_append(&b, ROSTERD_STR("\""));
			rosterd_append_base64(&b, c->photo);
			rosterd_append(&b, ROSTERD_STR("\""));
		} else {
			rosterd_append_json(&b, c->photo_base64); /* as somebody else has written it */
		}
		rosterd_append(&b, ROSTERD_STR("}"));
	}
	rosterd_append(&b, ROSTERD_STR("}"));
	return rosterd__written(b.text.ptr, b.text.len);
}

/* The mark of a module for this ABI. */
ROSTERD_EXPORT(rosterd_abi_v1) __attribute__((weak)) void rosterd_abi_v1(void);
__attribute__((weak)) void rosterd_abi_v1(void) {}

#endif
