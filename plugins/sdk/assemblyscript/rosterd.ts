/**
 * rosterd.ts is all that a plugin in AssemblyScript needs to supply rosters to rosterd: the ABI rosterd_v1 of docs/PLUGINS.md.
 *
 *     import { call, Code, fail, http, Options, Request, Roster, UserURL } from "./rosterd";
 *     export { rosterd_abi_v1 } from "./rosterd";
 *
 *     let url: UserURL = new UserURL("");
 *
 *     export function rosterd_init(): i32 {
 *       return call((req: Request): i32 => {
 *         url = Options.url("intranet_url"); // with %s for the user
 *         return Code.Ok;
 *       });
 *     }
 *
 *     export function rosterd_fetch(): i32 {
 *       return call((req: Request): i32 => {
 *         const filled = url.fill(req.local), roster = new Roster();
 *         if (!filled) return Code.NotFound;
 *         const response = http.get(filled);
 *         if (response.status != 200) return response.fail("the people of " + req.user);
 *         const people = response.json().get("people");
 *         if (!people.isArray) return fail(Code.Temporary, "people are no list");
 *         for (let person = people.first(); person.exists; person = person.next()) {
 *           const login = person.get("login");
 *           if (!login.isString) return fail(Code.Temporary, "somebody without login");
 *           roster.add(login.text() + "@" + req.host).name = person.get("name").text();
 *         }
 *         return roster.answer();
 *       });
 *     }
 *
 * rosterd_transform, rosterd_auth and rosterd_webhook are functions of the same kind: one that maps req.response, the answer that
 * rosterd has asked for; one that knows whether req.password is right, and returns Code.Ok or Code.Denied; and one that reads a
 * request from outside, req.method, req.rest and req.response with its header and body, and ends with return reply.answer() of
 * a Reply, which names the users whose rosters have changed. rosterd_edit is for what users want of their rosters, req.action and
 * what follows it; rosterd_vcard for who they are, and ends with return card.answer() of a Card.
 *
 * Build it with: asc plugin.ts -O3 --runtime minimal --noAssert --use abort= -o plugin.wasm
 *
 * There is no garbage collection while a call runs; all that it leaves behind is collected when it ends. So a long text is
 * better made of an array, by join, than by += in a loop. What is kept in global variables stays, strings for instance, but not a Json: that is a place in memory which the next call uses anew.
 * What throws, such as an index out of range, ends the call with a trap.
 */

// The ABI as it is.

@external("rosterd_v1", "input_len") declare function input_len(): i32;
@external("rosterd_v1", "input_read") declare function input_read(dst: usize, off: u32, len: u32): i32;
@external("rosterd_v1", "output_write") declare function output_write(ptr: usize, len: u32): i32;
@external("rosterd_v1", "fail") declare function fail_with(code: i32, retry_after_s: u32, ptr: usize, len: u32): void;
@external("rosterd_v1", "error_text") declare function error_text(dst: usize, cap: u32): i32;
@external("rosterd_v1", "config_get") declare function config_get(key: usize, key_len: u32, dst: usize, cap: u32): i32;
@external("rosterd_v1", "http_request") declare function http_request(req: usize, req_len: u32, body: usize, body_len: u32): i32;
@external("rosterd_v1", "http_status") declare function http_status(h: i32): i32;
@external("rosterd_v1", "http_header") declare function http_header(h: i32, name: usize, name_len: u32, dst: usize, cap: u32): i32;
@external("rosterd_v1", "http_rev") declare function http_rev(h: i32, dst: usize, cap: u32): i32;
@external("rosterd_v1", "http_body_len") declare function http_body_len(h: i32): i32;
@external("rosterd_v1", "http_body_read") declare function http_body_read(h: i32, dst: usize, off: u32, len: u32): i32;
@external("rosterd_v1", "http_close") declare function http_close(h: i32): i32;
@external("rosterd_v1", "kv_get") declare function kv_get(key: usize, key_len: u32, dst: usize, cap: u32): i32;
@external("rosterd_v1", "kv_set") declare function kv_set(key: usize, key_len: u32, val: usize, val_len: u32, ttl_s: u32): i32;
@external("rosterd_v1", "kv_delete") declare function kv_delete(key: usize, key_len: u32): i32;
@external("rosterd_v1", "log") declare function log_line(level: i32, ptr: usize, len: u32): void;
@external("rosterd_v1", "now_ms") declare function now_ms(): i64;
@external("rosterd_v1", "random") declare function random_fill(dst: usize, len: u32): i32;

/** The mark of a module for this ABI: export { rosterd_abi_v1 } from "./rosterd". */
export function rosterd_abi_v1(): void {}

/** What a call may return. */
export enum Code { Ok, NotFound, Temporary, Permanent, Denied }

// Memory of a call that holds no objects: bodies, and what JSON is read into. A block has the address of the one before
// it in front, and lasts until the call ends.

// @ts-ignore: decorator
@inline const BLOCK_HEAD: usize = 16;
let blocks: usize = 0;

function take(size: usize): usize {
  const p = heap.alloc(size + BLOCK_HEAD);
  store<usize>(p, blocks);
  blocks = p;
  return p + BLOCK_HEAD;
}

/** retake gives the block that was taken last another size. */
function retake(size: usize): usize {
  blocks = heap.realloc(blocks, size + BLOCK_HEAD);
  return blocks + BLOCK_HEAD;
}

function releaseAll(): void {
  while (blocks) {
    const before = load<usize>(blocks);
    heap.free(blocks);
    blocks = before;
  }
}

// Texts: UTF-16 in AssemblyScript, UTF-8 in rosterd.

/** widen makes a string of bytes that are ASCII. */
function widen(ptr: usize, len: u32): string {
  const s = changetype<string>(__new(<usize>len << 1, idof<string>()));
  let to = changetype<usize>(s);
  const end = ptr + len;
  for (; ptr + 4 <= end; ptr += 4, to += 8) {
    let x = <u64>load<u32>(ptr);
    x = (x | x << 16) & 0x0000FFFF0000FFFF;
    store<u64>(to, (x | x << 8) & 0x00FF00FF00FF00FF);
  }
  for (; ptr < end; ptr++, to += 2) store<u16>(to, load<u8>(ptr));
  return s;
}

/** encodedLength is how many bytes of UTF-8 a string takes at the most. */
// @ts-ignore: decorator
@inline function encodedLength(s: string): usize { return 3 * <usize>s.length; }

/** encode writes a string as UTF-8 and says where it ends. Halves of surrogate pairs become U+FFFD. */
function encode(s: string, to: usize): usize {
  let from = changetype<usize>(s);
  const end = from + (<usize>s.length << 1);
  for (; from + 8 <= end; from += 8, to += 4) {
    let x = load<u64>(from);
    if (x & 0xFF80FF80FF80FF80) break;
    x = (x | x >> 8) & 0x0000FFFF0000FFFF;
    store<u32>(to, <u32>(x | x >> 16));
  }
  for (; from < end; from += 2) {
    const c = load<u16>(from);
    if (c >= 0x80) return to + String.UTF8.encodeUnsafe(from, <i32>((end - from) >> 1), to, false, String.UTF8.ErrorMode.REPLACE);
    store<u8>(to++, <u8>c);
  }
  return to;
}

/** decoded makes a string of what an import gives, of which len bytes were there; null if it was nothing. */
function decoded(ptr: usize, len: i32): string | null {
  return len < 0 ? changetype<string | null>(0) : utf16(ptr, len, false);
}

/** quote is a string as JSON has it, in quotes. */
export function quote(s: string): string {
  const from = take(12 * <usize>s.length + 4);
  let to = from;
  store<u16>(to, 0x22);
  to += 2;
  for (let i = 0; i < s.length; i++) {
    const c = <u32>s.charCodeAt(i);
    if (c == 0x22 || c == 0x5C) {
      store<u32>(to, 0x5C | c << 16);
      to += 4;
    } else if (c < 0x20) {
      store<u64>(to, 0x003000300075005C); // \u00
      store<u32>(to, (c >> 4 | 0x30) | ((c & 15) + ((c & 15) < 10 ? 48 : 87)) << 16, 8);
      to += 12;
    } else {
      store<u16>(to, <u16>c);
      to += 2;
    }
  }
  store<u16>(to, 0x22);
  return stringOf(from, to + 2);
}

/** stringOf makes a string of UTF-16 in memory. */
function stringOf(from: usize, to: usize): string {
  const s = changetype<string>(__new(to - from, idof<string>()));
  memory.copy(changetype<usize>(s), from, to - from);
  return s;
}

/** integerOf reads digits, with a sign or without, up to 18 of them. */
function integerOf(s: string, or: i64): i64 {
  let i = 0, n: i64 = 0;
  const minus = s.length > 0 && s.charCodeAt(0) == 0x2D;
  if (s.length > 0 && (minus || s.charCodeAt(0) == 0x2B)) i++;
  if (i == s.length || s.length - i > 18) return or;
  for (; i < s.length; i++) {
    const c = s.charCodeAt(i);
    if (c < 0x30 || c > 0x39) return or;
    n = 10 * n + (c - 0x30);
  }
  return minus ? -n : n;
}

// JSON.

/** How deep values may be in one another, and how many names and values a text may have. */
const MAX_DEPTH: u32 = 64;
const MAX_VALUES: u32 = 1000000;

/** What a value is. None is one that is not there. */
export enum Kind { None, Null, False, True, Number, String, Array, Object }

// The text has escapes, or bytes that are no UTF-8; it has bytes that are not ASCII; another value follows in the same array
// or object; the value is in an object, and its name is the entry before.
// @ts-ignore: decorator
@inline const CODED: u8 = 1;
// @ts-ignore: decorator
@inline const WIDE: u8 = 2;
// @ts-ignore: decorator
@inline const MORE: u8 = 4;
// @ts-ignore: decorator
@inline const MEMBER: u8 = 8;
// @ts-ignore: decorator
@inline const ENTRY: usize = 16;

const none = memory.data(16);

/**
 * A value in a text that is JSON. One that is not there is a Json as well, of Kind.None, so that one may ask on:
 * json.get("profile").get("name").text("nobody"). A text is read into a list of entries, in which a name stands before its
 * value and an array or object before what is in it.
 */
@unmanaged
export class Json {
  private type: u8;
  private flags: u8;
  private size: u32; // entries that the value takes
  private ptr: usize; // where it stands, of a string without the quotes
  private len: u32; // bytes; of an array or object: values in it

  /** parse reads a text; what is not JSON is not there, and Json.problem says why. */
  static parse(text: string): Json {
    const at = take(encodedLength(text));
    return readJSON(at, <u32>(encode(text, at) - at));
  }

  /** Why the last text that was no JSON is none. */
  static get problem(): string {
    return "not JSON: " + wrong + " at byte " + wrongAt.toString();
  }

  get kind(): Kind { return <Kind>this.type; }
  get exists(): bool { return this.type != Kind.None; }
  get isNull(): bool { return this.type == Kind.Null; }
  get isString(): bool { return this.type == Kind.String; }
  get isArray(): bool { return this.type == Kind.Array; }
  get isObject(): bool { return this.type == Kind.Object; }

  /** text is that of a string; for all else it is another one. */
  text(or: string = ""): string {
    return this.type == Kind.String ? this.string() : or;
  }

  private string(): string {
    if (!(this.flags & (CODED | WIDE))) return widen(this.ptr, this.len);
    return utf16(this.ptr, this.len, true);
  }

  /** integer is a whole number, or that of a text such as "2"; for all else it is another one. */
  integer(or: i64 = 0): i64 {
    if (this.type == Kind.String) return integerOf(this.string(), or);
    if (this.type != Kind.Number) return or;
    const n = numberOf(this.ptr, this.len);
    return abs(n) <= 9007199254740991.0 && n == trunc(n) ? <i64>n : integerOf(widen(this.ptr, this.len), or);
  }

  /** number is a number; for all else it is another one. The last of its digits may not be exact. */
  number(or: f64 = 0): f64 {
    return this.type == Kind.Number ? numberOf(this.ptr, this.len) : or;
  }

  /** boolean is true or false; for all else it is another one. */
  boolean(or: bool = false): bool {
    return this.type == Kind.True ? true : this.type == Kind.False ? false : or;
  }

  /** length is how many values are in an array or object. */
  get length(): u32 { return this.kind >= Kind.Array ? this.len : 0; }

  /** first and next lead through an array or object: for (let v = list.first(); v.exists; v = v.next()) … */
  first(): Json {
    if (!this.length) return changetype<Json>(none);
    return changetype<Json>(changetype<usize>(this) + (this.type == Kind.Object ? 2 * ENTRY : ENTRY));
  }

  next(): Json {
    if (!(this.flags & MORE)) return changetype<Json>(none);
    return changetype<Json>(changetype<usize>(this) + <usize>this.size * ENTRY + (this.flags & MEMBER ? ENTRY : 0));
  }

  /** name is that of a value in an object, "" for others. */
  get name(): string {
    return this.flags & MEMBER ? changetype<Json>(changetype<usize>(this) - ENTRY).string() : "";
  }

  /** get is what an object has under a name, the last if there are several. */
  get(name: string): Json {
    let found = changetype<Json>(none);
    if (this.type != Kind.Object) return found;
    for (let v = this.first(); v.exists; v = v.next()) {
      if (changetype<Json>(changetype<usize>(v) - ENTRY).is(name)) found = v;
    }
    return found;
  }

  private is(name: string): bool {
    if (this.flags & (CODED | WIDE)) return this.string() == name;
    if (this.len != <u32>name.length) return false;
    let a = this.ptr, b = changetype<usize>(name);
    for (const end = a + this.len; a < end; a++, b += 2) {
      if (<u32>load<u8>(a) != <u32>load<u16>(b)) return false;
    }
    return true;
  }
}

let wrong: string = "";
let wrongAt: usize = 0;

/** nothing is what comes of a text that is not JSON. */
function nothing(why: string, at: usize, from: usize): Json {
  wrong = why;
  wrongAt = at - from;
  return changetype<Json>(none);
}

// The list that is read into: its beginning, its end, and the end of what is taken for it.
let list: usize = 0;
let listEnd: usize = 0;
let listCap: usize = 0;
let stringFlags: u8 = 0;
const open = memory.data(64 * 4); // offsets of the arrays and objects around

function entry(type: u8, flags: u8, ptr: usize, len: usize): void {
  if (listEnd == listCap) {
    const size = listCap - list;
    list = retake(2 * size);
    listEnd = list + size;
    listCap = listEnd + size;
  }
  store<u32>(listEnd, <u32>type | <u32>flags << 8);
  store<u32>(listEnd, 1, 4);
  store<u32>(listEnd, <u32>ptr, 8);
  store<u32>(listEnd, <u32>len, 12);
  listEnd += ENTRY;
}

/** utf8 is the length of the character at p, 0 if it is none (RFC 3629 §4). */
function utf8(p: usize, end: usize): usize {
  const c = <u32>load<u8>(p);
  const n: usize = c < 0x80 ? 1 : c < 0xC2 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;
  if (n < 2) return n;
  if (end - p < n) return 0;
  const low: u32 = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80, high: u32 = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
  const second = <u32>load<u8>(p, 1);
  if (second < low || second > high) return 0;
  for (let i: usize = 2; i < n; i++) {
    if ((load<u8>(p + i) & 0xC0) != 0x80) return 0;
  }
  return n;
}

/** unit is the number of the four hexadecimal digits at p, -1 if they are none. */
function unit(p: usize, end: usize): i32 {
  if (end - p < 4) return -1;
  let u = 0;
  for (let i: usize = 0; i < 4; i++) {
    const c = <i32>load<u8>(p + i), letter = c | 0x20;
    const d = c >= 0x30 && c <= 0x39 ? c - 0x30 : letter >= 0x61 && letter <= 0x66 ? letter - 87 : -1;
    if (d < 0) return -1;
    u = u << 4 | d;
  }
  return u;
}

/**
 * stringEnd is behind the quote that ends the string at p; 0 if it is none, and then wrongAt is where. Eight bytes are looked
 * at together: the lowest one that is marked needs a look, being a quote, a backslash, a control or not ASCII.
 */
function stringEnd(p: usize, end: usize): usize {
  stringFlags = 0;
  for (;;) {
    while (end - p >= 8) {
      const x = load<u64>(p), quote = x ^ 0x2222222222222222, slash = x ^ 0x5C5C5C5C5C5C5C5C;
      const marks = (((quote - 0x0101010101010101) & ~quote) | ((slash - 0x0101010101010101) & ~slash) | (x - 0x2020202020202020) | x) & 0x8080808080808080;
      if (marks) {
        p += <usize>(ctz(marks) >> 3);
        break;
      }
      p += 8;
    }
    wrongAt = p;
    if (p == end) return 0;
    const c = <u32>load<u8>(p);
    if (c == 0x22) return p + 1;
    if (c >= 0x80) {
      const n = utf8(p, end);
      stringFlags |= n ? WIDE : CODED;
      p += n ? n : 1;
    } else if (c == 0x5C) {
      stringFlags |= CODED;
      if (++p == end) return 0;
      switch (load<u8>(p++)) {
        case 0x22: case 0x5C: case 0x2F: case 0x62: case 0x66: case 0x6E: case 0x72: case 0x74: break;
        case 0x75:
          if (unit(p, end) < 0) return 0;
          p += 4;
          break;
        default: return 0;
      }
    } else if (c < 0x20) {
      return 0;
    } else {
      p++;
    }
  }
  return 0;
}

// @ts-ignore: decorator
@inline function digit(p: usize, end: usize): bool { return p < end && <u32>load<u8>(p) - 0x30 < 10; }

/** numberEnd is behind the number at p (RFC 8259 §6); 0 if it is none. */
function numberEnd(p: usize, end: usize): usize {
  if (load<u8>(p) == 0x2D) p++;
  if (!digit(p, end)) return 0;
  if (load<u8>(p) == 0x30) p++;
  else while (digit(p, end)) p++;
  if (p < end && load<u8>(p) == 0x2E) {
    if (!digit(++p, end)) return 0;
    while (digit(p, end)) p++;
  }
  if (p < end && (load<u8>(p) | 0x20) == 0x65) {
    p++;
    if (p < end && (load<u8>(p) == 0x2B || load<u8>(p) == 0x2D)) p++;
    if (!digit(p, end)) return 0;
    while (digit(p, end)) p++;
  }
  return p;
}

function blank(p: usize, end: usize): usize {
  while (p < end) {
    const c = <u32>load<u8>(p);
    if (c > 0x20 || (c != 0x20 && c != 0x0A && c != 0x0D && c != 0x09)) break;
    p++;
    while (end - p >= 8 && load<u64>(p) == 0x2020202020202020) p += 8; // lines are indented
  }
  return p;
}

function literal(p: usize, end: usize, word: u32, len: usize): bool {
  return end - p >= len && load<u32>(p + len - 4) == word;
}

/** readJSON reads a text, which stays where it is. */
function readJSON(from: usize, len: u32): Json {
  let p = from, depth: u32 = 0, done: usize = 0, close: u32 = 0, named = false, closes = false, inside: u8 = 0;
  const end = from + len;
  const size = (<usize>len / 16 + 16) * ENTRY;
  list = listEnd = take(size);
  listCap = list + size;
  for (;;) {
    p = blank(p, end);
    if (named) {
      if (p == end || load<u8>(p) != 0x22) return nothing("a name is missing", p, from);
      const q = stringEnd(++p, end);
      if (!q) return nothing(wrongAt == end ? "a string without an end" : "a character that no string can have", wrongAt, from);
      entry(<u8>Kind.String, stringFlags, p, q - 1 - p);
      p = blank(q, end);
      if (p == end || load<u8>(p) != 0x3A) return nothing("':' is missing", p, from);
      p = blank(p + 1, end);
    }
    if (p == end) return nothing("a value is missing", p, from);
    if (listEnd - list >= <usize>MAX_VALUES * ENTRY) return nothing("too many values", p, from);
    done = listEnd - list;
    const c = <u32>load<u8>(p);
    if (c == 0x22) {
      const q = stringEnd(++p, end);
      if (!q) return nothing(wrongAt == end ? "a string without an end" : "a character that no string can have", wrongAt, from);
      entry(<u8>Kind.String, inside | stringFlags, p, q - 1 - p);
      p = q;
    } else if (c == 0x7B || c == 0x5B) {
      if (depth == MAX_DEPTH) return nothing("nested too deep", p, from);
      store<u32>(open + (depth++ << 2), <u32>done);
      entry(<u8>(c == 0x7B ? Kind.Object : Kind.Array), inside, p, 0);
      close = c + 2;
      inside = c == 0x7B ? MEMBER : 0;
      p = blank(p + 1, end);
      closes = p < end && load<u8>(p) == close;
      if (!closes) {
        named = inside != 0;
        continue;
      }
    } else if (c == 0x2D || c - 0x30 < 10) {
      const q = numberEnd(p, end);
      if (!q) return nothing("a value is missing", p, from);
      entry(<u8>Kind.Number, inside, p, q - p);
      p = q;
    } else if (c == 0x74 && literal(p, end, 0x65757274, 4)) {
      entry(<u8>Kind.True, inside, p, 4);
      p += 4;
    } else if (c == 0x66 && literal(p, end, 0x65736C61, 5)) {
      entry(<u8>Kind.False, inside, p, 5);
      p += 5;
    } else if (c == 0x6E && literal(p, end, 0x6C6C756E, 4)) {
      entry(<u8>Kind.Null, inside, p, 4);
      p += 4;
    } else {
      return nothing("a value is missing", p, from);
    }
    for (;;) { // behind the value at done
      if (closes) {
        p++;
        done = load<u32>(open + (--depth << 2));
        store<u32>(list + done, <u32>((listEnd - list - done) / ENTRY), 4);
        inside = load<u8>(list + done, 1) & MEMBER;
        close = inside ? 0x7D : 0x5D;
        closes = false;
      }
      p = blank(p, end);
      if (!depth) {
        if (p != end) return nothing("something follows the value", p, from);
        return changetype<Json>(list);
      }
      const around = list + load<u32>(open + ((depth - 1) << 2));
      store<u32>(around, load<u32>(around, 12) + 1, 12);
      if (p == end) return nothing(inside ? "',' or '}' is missing" : "',' or ']' is missing", p, from);
      const c = <u32>load<u8>(p);
      if (c == 0x2C) {
        p++;
        store<u8>(list + done, load<u8>(list + done, 1) | MORE, 1);
        named = inside != 0;
        break;
      }
      if (c != close) return nothing(inside ? "',' or '}' is missing" : "',' or ']' is missing", p, from);
      closes = true;
    }
  }
  return changetype<Json>(none);
}

/** utf16 makes a string of UTF-8, with or without the escapes of JSON. Halves of surrogate pairs and bytes that are no UTF-8 become
 * U+FFFD. */
function utf16(p: usize, len: u32, escapes: bool): string {
  const end = p + len, from = take(<usize>len << 1);
  let to = from;
  while (p < end) {
    let c = <u32>load<u8>(p);
    if (c < 0x80 && (c != 0x5C || !escapes)) {
      store<u16>(to, <u16>c);
      p++;
      to += 2;
      continue;
    }
    const n = utf8(p, end);
    if (n == 0) {
      p++;
      c = 0xFFFD;
    } else if (n > 1) {
      c = n == 2 ? c & 0x1F : n == 3 ? c & 0x0F : c & 0x07;
      for (let i: usize = 1; i < n; i++) c = c << 6 | (<u32>load<u8>(p + i) & 0x3F);
      p += n;
    } else {
      c = <u32>load<u8>(p, 1);
      p += 2;
      switch (c) {
        case 0x62: c = 0x08; break;
        case 0x66: c = 0x0C; break;
        case 0x6E: c = 0x0A; break;
        case 0x72: c = 0x0D; break;
        case 0x74: c = 0x09; break;
        case 0x75:
          c = <u32>unit(p, end);
          p += 4;
          if (c >= 0xD800 && c < 0xE000) {
            const low: u32 = c < 0xDC00 && end - p >= 6 && load<u16>(p) == 0x755C ? <u32>unit(p + 2, end) : 0;
            if (low >= 0xDC00 && low < 0xE000) {
              c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
              p += 6;
            } else {
              c = 0xFFFD;
            }
          }
      }
    }
    if (c >= 0x10000) {
      store<u16>(to, <u16>(0xD7C0 + (c >> 10)));
      c = 0xDC00 | (c & 0x3FF);
      to += 2;
    }
    store<u16>(to, <u16>c);
    to += 2;
  }
  return stringOf(from, to);
}

function numberOf(p: usize, len: u32): f64 {
  const end = p + len, minus = load<u8>(p) == 0x2D;
  let digits: u64 = 0, power = 0, fraction = 0;
  for (p += <usize>minus; p < end && (load<u8>(p) | 0x20) != 0x65; p++) {
    const c = <u32>load<u8>(p);
    if (c == 0x2E) {
      fraction = 1;
    } else if (digits < 1844674407370955160) {
      digits = 10 * digits + (c - 0x30);
      power -= fraction;
    } else {
      power += 1 - fraction;
    }
  }
  if (p < end) {
    let exponent = 0;
    const sign = <u32>load<u8>(++p);
    if (sign == 0x2D || sign == 0x2B) p++;
    for (; p < end; p++) {
      if (exponent < 100000) exponent = 10 * exponent + (<i32>load<u8>(p) - 0x30);
    }
    power += sign == 0x2D ? -exponent : exponent;
  }
  let n = <f64>digits, ten: f64 = 10;
  for (let left = abs(power); left && n != 0; left >>= 1, ten *= ten) {
    if (left & 1) n = power < 0 ? n / ten : n * ten;
  }
  return minus ? -n : n;
}

// Failures and the log.

/** fail says why there is no result: return fail(Code.Temporary, why). The text is for the log. */
export function fail(code: Code, why: string): i32 {
  return failFor(code, 0, why);
}

/** failFor is fail, and nobody should try again before so many seconds. */
export function failFor(code: Code, seconds: u32, why: string): i32 {
  const text = take(encodedLength(why));
  fail_with(code, seconds, text, <u32>(encode(why, text) - text));
  return code;
}

/** lastError is the text of what went wrong last in this call. */
export function lastError(): string {
  let cap = 512, ptr = take(cap), n = error_text(ptr, cap);
  if (n > cap) {
    cap = n;
    ptr = take(cap);
    n = error_text(ptr, cap);
  }
  return n < 0 ? "unknown error" : utf16(ptr, n, false);
}

/** panic ends the call as a fault, for what cannot be. The text goes to the log. */
export function panic(text: string): void {
  log.error(text);
  unreachable();
}

function write(level: i32, text: string): void {
  const ptr = take(encodedLength(text));
  log_line(level, ptr, <u32>(encode(text, ptr) - ptr));
}

/** Lines in the log. */
export namespace log {
  export function debug(text: string): void { write(0, text); }
  export function info(text: string): void { write(1, text); }
  export function warn(text: string): void { write(2, text); }
  export function error(text: string): void { write(3, text); }
}

// Options.

/** What is wrong with the first option that is not as it must be. */
let refusal: string = "";

function refuse(why: string): void {
  if (!refusal.length) refusal = why;
}

/**
 * The options of the host. Read them in rosterd_init: one that is not as it must be refuses the plugin, whatever else the call
 * returns, and is here as if it were not set.
 */
export class Options {
  /** get is the option as text, and lists and tables as JSON; null if it is not set. */
  static get(name: string): string | null {
    const key = take(encodedLength(name));
    const len = <u32>(encode(name, key) - key);
    let cap = 512, ptr = take(cap), n = config_get(key, len, ptr, cap);
    if (n > cap) {
      cap = n;
      ptr = take(cap);
      n = config_get(key, len, ptr, cap);
    }
    if (n < -1) refuse(lastError());
    return decoded(ptr, n);
  }

  /** text is an option, or another text if it is not set. */
  static text(name: string, or: string): string {
    const value = Options.get(name);
    return value == null ? or : value;
  }

  /** boolean is an option that is true or false. */
  static boolean(name: string, or: bool): bool {
    const value = Options.get(name);
    if (value == null) return or;
    if (value == "true" || value == "1") return true;
    if (value != "false" && value != "0") {
      refuse("option " + name + ": \"" + value + "\" is neither true nor false");
      return or;
    }
    return false;
  }

  /** integer is an option that is a whole number. One that is not between least and most is moved there, with a line in the log. */
  static integer(name: string, or: i64, least: i64 = i64.MIN_VALUE, most: i64 = i64.MAX_VALUE): i64 {
    const value = Options.get(name);
    if (value == null) return or;
    const n = integerOf(value, i64.MIN_VALUE), within = max(least, min(most, n));
    if (n == i64.MIN_VALUE) {
      refuse("option " + name + ": \"" + value + "\" is no integer");
      return or;
    }
    if (within != n) {
      log.warn("option " + name + ": " + n.toString() + " is not between " + least.toString() + " and " + most.toString() + ", " + within.toString() + " is taken");
    }
    return within;
  }

  /** url is an option that must be there: a URL with %s for the user. */
  static url(name: string): UserURL {
    const value = Options.get(name), url = new UserURL(value == null ? "" : value);
    if (value == null) refuse("option " + name + " is not set");
    else if (url.problem.length) refuse("option " + name + ": " + url.problem);
    return url;
  }
}

/** A URL in which %s stands for a user; "%%" is a percent sign. */
export class UserURL {
  /** What is wrong with it, "" if nothing is. */
  problem: string = "";
  private parts: string[] = [];

  constructor(template: string) {
    let part = "", done = 0;
    for (let i = 0; i < template.length; i++) {
      const c = template.charCodeAt(i), next = i + 1 < template.length ? template.charCodeAt(i + 1) : 0;
      if (c > 0x20 && c < 0x7F && (c != 0x25 || (next != 0x25 && next != 0x73))) continue;
      part += template.substring(done, i);
      if (c == 0x25) {
        done = ++i + 1;
        if (next == 0x25) {
          part += "%";
        } else {
          this.parts.push(part);
          part = "";
        }
        continue;
      }
      let end = i + 1; // a character may have two halves
      while (end < template.length && template.charCodeAt(end) >= 0x7F) end++;
      part += encodeURL(template.substring(i, end));
      i = end - 1;
      done = end;
    }
    this.parts.push(part + template.substring(done));
    this.problem = this.check();
  }

  private check(): string {
    const first = this.parts[0], whole = this.parts.join("~"); // which is in no escape
    const scheme = whole.substring(0, whole.indexOf("://") + 3).toLowerCase();
    if (this.parts.length < 2) return "no %s in it, which stands for the user name";
    if (scheme != "http://" && scheme != "https://") return "not an http:// or https:// URL";
    let end = scheme.length;
    while (end < whole.length && !"/?#".includes(whole.charAt(end))) end++;
    const host = whole.substring(scheme.length, end).split("@").pop();
    if (!host.length || host.startsWith(":")) return "a URL without a host";
    const fragment = whole.indexOf("#");
    const before = this.parts.slice(0, -1).join("~").length; // of the last %s
    if (first.length < end || (fragment >= 0 && fragment < before)) return "%s may stand in the path and in the query only";
    for (let i = 0; i < this.parts.length - 1; i++) {
      const at = this.parts[i].lastIndexOf("%");
      if (at >= 0 && this.parts[i].length - at < 3) return "an incomplete escape before %s would swallow a part of the name";
    }
    return "";
  }

  /** fill puts a name in, percent-encoded. It is null for names such as "..", which cannot stand in the path of a URL. */
  fill(user: string): string | null {
    const url = this.parts.join(encodeURL(user));
    for (let i = 0; i < user.length; i++) {
      if (user.charCodeAt(i) != 0x2E) return url;
    }
    const segments = url.split("?")[0].split("/");
    return segments.includes(".") || segments.includes("..") ? null : url;
  }
}

/** encodeURL percent-encodes all but the unreserved characters of RFC 3986. */
export function encodeURL(s: string): string {
  const from = take(encodedLength(s)), end = encode(s, from), to = take(3 * (end - from));
  let at = to;
  for (let p = from; p < end; p++) {
    const c = <u32>load<u8>(p), letter = c | 0x20;
    if ((letter >= 0x61 && letter <= 0x7A) || c - 0x30 < 10 || c == 0x2D || c == 0x2E || c == 0x5F || c == 0x7E) {
      store<u8>(at++, <u8>c);
      continue;
    }
    const high = c >> 4, low = c & 15;
    store<u8>(at, 0x25);
    store<u8>(at, <u8>(high + (high < 10 ? 48 : 55)), 1);
    store<u8>(at, <u8>(low + (low < 10 ? 48 : 55)), 2);
    at += 3;
  }
  return widen(to, <u32>(at - to));
}

// HTTP.

/** A request. All but the URL may be left as it is. */
export class HttpRequest {
  method: string = "";
  body: string = "";
  headers: Map<string, string> = new Map();
  timeoutMs: u32 = 0;
  redirects: u32 = 0;
  rev: string = ""; // of an answer that is held: the backend may then answer 304

  constructor(public url: string) {}

  /** send sends it and waits for the whole answer. */
  send(): Response {
    let req = '{"url":' + quote(this.url);
    if (this.method.length) req += ',"method":' + quote(this.method);
    if (this.rev.length) req += ',"rev":' + quote(this.rev);
    if (this.timeoutMs) req += ',"timeout_ms":' + this.timeoutMs.toString();
    if (this.redirects) req += ',"redirects":' + this.redirects.toString();
    req += headersOf(this.headers) + "}";
    const ptr = take(encodedLength(req)), len = <u32>(encode(req, ptr) - ptr);
    const body = take(encodedLength(this.body)), bodyLen = <u32>(encode(this.body, body) - body);
    const h = http_request(ptr, len, body, bodyLen);
    return new Response(h, h < 0 ? h : http_status(h));
  }
}

function headersOf(headers: Map<string, string>): string {
  const names = headers.keys();
  if (!names.length) return "";
  let out = ',"headers":{';
  for (let i = 0; i < names.length; i++) out += (i ? "," : "") + quote(names[i]) + ":" + quote(headers.get(names[i]));
  return out + "}";
}

export namespace http {
  export function get(url: string): Response { return new HttpRequest(url).send(); }
}

/** An answer, or if its status is below 0 none: then lastError() says why. */
export class Response {
  private body: usize = 0;
  private len: u32 = 0;

  constructor(private handle: i32, readonly status: i32) {}

  private read(): void {
    const len = this.body || this.handle < 0 ? -1 : http_body_len(this.handle);
    if (len < 0) return;
    this.body = take(len);
    this.len = max(0, http_body_read(this.handle, this.body, 0, len));
  }

  /** json is the body; what is not JSON is not there, and Json.problem says why. */
  json(): Json {
    this.read();
    return readJSON(this.body, this.len);
  }

  /** text is the body as a string. */
  text(): string {
    this.read();
    return utf16(this.body, this.len, false);
  }

  /** bytes is the body as it is, such as a picture. */
  bytes(): Uint8Array {
    this.read();
    const bytes = new Uint8Array(this.len);
    memory.copy(bytes.dataStart, this.body, this.len);
    return bytes;
  }

  /** header is a field of the answer, null if it is not there. */
  header(name: string): string | null {
    if (this.handle < 0) return null;
    const key = take(encodedLength(name)), len = <u32>(encode(name, key) - key);
    let cap = 512, ptr = take(cap), n = http_header(this.handle, key, len, ptr, cap);
    if (n > cap) {
      cap = n;
      ptr = take(cap);
      n = http_header(this.handle, key, len, ptr, cap);
    }
    return decoded(ptr, n);
  }

  /** rev is the revision that the backend has given this answer, null if it has not. */
  get rev(): string | null {
    if (this.handle < 0) return null;
    let cap = 512, ptr = take(cap), n = http_rev(this.handle, ptr, cap);
    if (n > cap) {
      cap = n;
      ptr = take(cap);
      n = http_rev(this.handle, ptr, cap);
    }
    return decoded(ptr, n);
  }

  /** close lets go of the answer before the call ends. */
  close(): void {
    if (this.handle >= 0) http_close(this.handle);
  }

  /**
   * fail is what the answer means if it is none of those expected, or did not come: 404 that there is no such user, 401 and 403
   * that somebody must change something, all else that it did not work now. return response.fail("page 1").
   */
  fail(what: string): i32 {
    if (this.status < 0) return fail(Code.Temporary, what + ": " + lastError());
    const why = what + ": " + this.status.toString();
    if (this.status == 404) return fail(Code.NotFound, why);
    if (this.status == 401 || this.status == 403) return fail(Code.Permanent, why + ": the backend refuses our credentials");
    return failFor(Code.Temporary, this.retryAfter, why);
  }

  /** retryAfter is for how many seconds the server asks to be left alone (RFC 9110 §10.2.3), 0 if it does not say. */
  get retryAfter(): u32 {
    const after = this.header("retry-after");
    if (after == null) return 0;
    let seconds = integerOf(after, -1);
    if (seconds < 0) {
      seconds = dateOf(after);
      if (seconds >= 0) seconds -= now_ms() / 1000;
    }
    return seconds < 0 || seconds > i32.MAX_VALUE ? 0 : <u32>seconds;
  }
}

/** dateOf is the second since 1970 of a date such as "Thu, 01 Jan 2026 12:01:00 GMT" (RFC 9110 §5.6.7), -1 if it is none. */
function dateOf(s: string): i64 {
  if (s.length != 29) return -1;
  const day = integerOf(s.substring(5, 7), -1), clock = s.substring(17, 25).split(":");
  let month = "JanFebMarAprMayJunJulAugSepOctNovDec".indexOf(s.substring(8, 11)), year = integerOf(s.substring(12, 16), -1);
  if (month % 3 || day < 1 || year < 1970 || clock.length != 3) return -1;
  month /= 3;
  if (month < 2) year--; // years are counted from March on, so that the odd day is the last
  let n = 365 * year + year / 4 - year / 100 + year / 400 + (153 * ((month + 10) % 12) + 2) / 5 + day - 1 - 719468;
  for (let i = 0; i < 3; i++) {
    const part = integerOf(clock[i], -1);
    if (part < 0) return -1;
    n = n * (i ? 60 : 24) + part;
  }
  return n;
}

// What is kept beyond the call.

export namespace kv {
  /** get is what is kept under a key, null if nothing is. */
  export function get(name: string): string | null {
    const kept = bytes(name);
    return kept ? utf16(changetype<usize>(kept), kept.length, false) : null;
  }

  /** bytes is the same, as it is. */
  export function bytes(name: string): StaticArray<u8> | null {
    const key = take(encodedLength(name)), len = <u32>(encode(name, key) - key);
    let cap = 512, ptr = take(cap), n = kv_get(key, len, ptr, cap);
    if (n > cap) {
      cap = n;
      ptr = take(cap);
      n = kv_get(key, len, ptr, cap);
    }
    if (n < 0) return null;
    const kept = new StaticArray<u8>(n);
    memory.copy(changetype<usize>(kept), ptr, n);
    return kept;
  }

  /** set keeps a value for so many seconds, 0 for ever. It is 0, or why it does not: -3 for a limit, above all. */
  export function set(name: string, value: string, seconds: u32 = 0): i32 {
    const val = take(encodedLength(value));
    return keep(name, val, <u32>(encode(value, val) - val), seconds);
  }

  /** setBytes keeps bytes as they are. */
  export function setBytes(name: string, value: StaticArray<u8>, seconds: u32 = 0): i32 {
    return keep(name, changetype<usize>(value), value.length, seconds);
  }

  function keep(name: string, val: usize, len: u32, seconds: u32): i32 {
    const key = take(encodedLength(name));
    return kv_set(key, <u32>(encode(name, key) - key), val, len, seconds);
  }

  export function remove(name: string): i32 {
    const key = take(encodedLength(name));
    return kv_delete(key, <u32>(encode(name, key) - key));
  }
}

/** now is milliseconds since 1970. */
export function now(): i64 { return now_ms(); }

/** random is n bytes that nobody can guess. */
export function random(n: i32): StaticArray<u8> {
  const bytes = new StaticArray<u8>(n);
  if (random_fill(changetype<usize>(bytes), n) < 0) unreachable();
  return bytes;
}

// Rosters.

export enum Subscription { None, To, From, Both }

class Group {
  next: Group | null = null;
  constructor(readonly name: string) {}
}

/** A contact of a roster. */
export class Contact {
  name: string = "";
  subscription: Subscription = Subscription.Both;
  approved: bool = false;
  ask: bool = false;
  groups: Group | null = null;
  count: i32 = 0; // of the groups
  next: Contact | null = null; // in the roster
  beside: Contact | null = null; // in the same place of its table

  constructor(readonly jid: string, readonly hash: u32) {}

  /** join puts the contact in a group, if it is not there yet. */
  join(group: string): Contact {
    let last: Group | null = null;
    let g = this.groups;
    while (g) {
      if (g.name == group) return this;
      last = g;
      g = g.next;
    }
    const added = new Group(group);
    if (last) last.next = added;
    else this.groups = added;
    this.count++;
    return this;
  }
}

/** A roster: its contacts by their JIDs. */
export class Roster {
  rev: string = ""; // names this state, and comes back in the next request
  maxAge: u32 = 0; // seconds in which nobody need ask again
  unchanged: bool = false; // what the request's rev names still holds, and there are no contacts here

  private firstOne: Contact | null = null;
  private lastOne: Contact | null = null;
  private table: StaticArray<Contact | null> = new StaticArray<Contact | null>(64);
  private count: i32 = 0;

  get length(): i32 { return this.count; }

  private static hash(s: string): u32 {
    let h = <u64>s.length * 0x9E3779B97F4A7C15, p = changetype<usize>(s);
    const end = p + (<usize>s.length << 1);
    for (; p + 8 <= end; p += 8) {
      h = (h ^ load<u64>(p)) * 0x9E3779B97F4A7C15;
      h ^= h >> 32;
    }
    for (; p < end; p += 2) h = (h ^ load<u16>(p)) * 0x100000001B3;
    return <u32>(h ^ h >> 32);
  }

  private find(jid: string, hash: u32): Contact | null {
    let c = unchecked(this.table[hash & (this.table.length - 1)]);
    while (c) {
      if (c.hash == hash && c.jid == jid) break;
      c = c.beside;
    }
    return c;
  }

  /** get is the contact of a JID, null if there is none. */
  get(jid: string): Contact | null { return this.find(jid, Roster.hash(jid)); }

  /** add is the contact of a JID, a new one if there was none. */
  add(jid: string): Contact {
    const hash = Roster.hash(jid), found = this.find(jid, hash);
    if (found) return found;
    if (this.count == this.table.length) this.grow();
    const c = new Contact(jid, hash), place = hash & (this.table.length - 1);
    c.beside = unchecked(this.table[place]);
    unchecked(this.table[place] = c);
    const last = this.lastOne;
    if (last) last.next = c;
    else this.firstOne = c;
    this.lastOne = c;
    this.count++;
    return c;
  }

  private grow(): void {
    const table = new StaticArray<Contact | null>(4 * this.table.length);
    let c = this.firstOne;
    while (c) {
      const place = c.hash & (table.length - 1);
      c.beside = unchecked(table[place]);
      unchecked(table[place] = c);
      c = c.next;
    }
    this.table = table;
  }

  /** answer writes the roster: return roster.answer(). */
  answer(): i32 {
    const kept = this.rev.length > 0 || this.maxAge > 0;
    let size: usize = 32 + encodedLength(this.rev);
    let c = this.unchanged ? changetype<Contact | null>(0) : this.firstOne;
    while (c) {
      size += mostOf(c);
      c = c.next;
    }
    const out = take(size);
    let p = out;
    store<u32>(p, 0x00014652 | <u32>kept << 24 | <u32>this.unchanged << 25);
    p += 4;
    if (kept) {
      store<u32>(p, this.maxAge);
      p = writeText(p + 4, this.rev);
      if (!p) return this.answerJSON();
    }
    store<u32>(p, this.unchanged ? 0 : this.count);
    p += 4;
    c = this.unchanged ? changetype<Contact | null>(0) : this.firstOne;
    while (c) {
      p = writeContact(p, c);
      if (!p) return this.answerJSON();
      c = c.next;
    }
    return written(out, <u32>(p - out));
  }

  /** answerJSON writes what the flat form has no room for: rosterd says of it what it thinks. */
  private answerJSON(): i32 {
    const words: StaticArray<string> = ["none", "to", "from", "both"], out: string[] = [];
    out.push('{"max_age":' + this.maxAge.toString() + ',"rev":' + quote(this.rev) + ',"items":[');
    let c = this.firstOne;
    while (c) {
      out.push((c == this.firstOne ? "" : ",") + '{"jid":' + quote(c.jid) + ',"name":' + quote(c.name) + ',"subscription":"' + words[c.subscription & 3] + '"');
      if (c.approved) out.push(',"approved":true');
      if (c.ask) out.push(',"ask":"subscribe"');
      out.push(',"groups":[');
      let g = c.groups;
      while (g) {
        out.push((g == c.groups ? "" : ",") + quote(g.name));
        g = g.next;
      }
      out.push("]}");
      c = c.next;
    }
    out.push("]}");
    return writtenText(out.join(""));
  }
}

function written(ptr: usize, len: u32): i32 {
  return output_write(ptr, len) < 0 ? fail(Code.Temporary, lastError()) : Code.Ok;
}

function writtenText(text: string): i32 {
  const ptr = take(encodedLength(text));
  return written(ptr, <u32>(encode(text, ptr) - ptr));
}

function mostOf(c: Contact): usize {
  let n: usize = 6 + encodedLength(c.jid) + encodedLength(c.name);
  let g = c.groups;
  while (g) {
    n += 2 + encodedLength(g.name);
    g = g.next;
  }
  return n;
}

/** writeText says where it ends; 0 if there is no room for its length. */
function writeText(p: usize, s: string): usize {
  const end = encode(s, p + 2), n = end - p - 2;
  if (n > 0xFFFF) return 0;
  store<u16>(p, <u16>n);
  return end;
}

function writeContact(p: usize, c: Contact): usize {
  store<u8>(p, <u8>(<u32>(c.subscription & 3) | <u32>c.approved << 2 | <u32>c.ask << 3));
  p = writeText(p + 1, c.jid);
  if (!p) return 0;
  p = writeText(p, c.name);
  if (!p || c.count > 255) return 0;
  store<u8>(p++, <u8>c.count);
  let g = c.groups;
  while (g && p) {
    p = writeText(p, g.name);
    g = g.next;
  }
  return p;
}

// Calls.

/** What is asked. Fields that a call does not have are empty. */
export class Request {
  readonly user: string; // bare JID, localpart, domainpart
  readonly local: string;
  readonly host: string;
  readonly rev: string; // of the roster that is held

  constructor(readonly input: Json) {
    this.user = input.get("user").text();
    this.local = input.get("local").text();
    this.host = input.get("host").text();
    this.rev = input.get("rev").text();
  }

  /** reason is why a roster is asked for. */
  get reason(): string { return this.input.get("reason").text(); }

  // Of rosterd_auth.
  get password(): string { return this.input.get("password").text(); }

  // Of rosterd_edit: what a user wants of his roster. Code.Ok says that the backend has taken it, fail(Code.Denied, text) is its no, in
  // words for the user. Name, groups and the rest of the item are in input.
  get id(): string { return this.input.get("id").text(); }
  get action(): string { return this.input.get("action").text(); }
  get contact(): string { return this.input.get("contact").text(); }

  // Of rosterd_webhook.
  get method(): string { return this.input.get("method").text(); }
  get path(): string { return this.input.get("path").text(); }
  get rest(): string { return this.input.get("rest").text(); }
  get query(): string { return this.input.get("query").text(); }
  get from(): string { return this.input.get("from").text(); }
  get secure(): bool { return this.input.get("secure").boolean(); }

  /** response is the backend's answer, of rosterd_transform; of rosterd_webhook it is the request, which has a body. */
  get response(): Response { return new Response(0, <i32>this.input.get("status").integer()); }

  /** header is a field of the same, null if it is not there. Names are in small letters. */
  header(name: string): string | null {
    const field = this.input.get("headers").get(name);
    return field.exists ? field.text() : null;
  }
}

/** call answers a call with a function of the plugin. */
export function call(f: (req: Request) => i32): i32 {
  const code = answered(f);
  // Nothing of the call is on the stack any more.
  releaseAll();
  __collect();
  return code;
}

function answered(f: (req: Request) => i32): i32 {
  const len = max(0, input_len()), input = take(len);
  refusal = "";
  if (input_read(input, 0, len) != len) return fail(Code.Permanent, "the input cannot be read");
  const code = f(new Request(readJSON(input, len)));
  return refusal.length ? fail(Code.Permanent, refusal) : code;
}

/** What rosterd_vcard answers: what others see of req.user. What is empty is not said; of nobody it is return Code.NotFound. */
export class Card {
  fn: string = ""; // the name as it is shown
  given: string = "";
  family: string = "";
  nickname: string = "";
  email: string[] = [];
  tel: string[] = [];
  org: string = "";
  title: string = "";
  role: string = "";
  url: string = "";
  bday: string = ""; // such as 1990-02-28
  note: string = "";
  photo: Uint8Array = new Uint8Array(0); // a picture
  photoBase64: string = ""; // the same in base64, where that is what there is
  photoType: string = ""; // such as image/png; rosterd finds it out if it is empty

  /** answer writes it: return card.answer(). */
  answer(): i32 {
    const names = ["given", "family", "nickname", "org", "title", "role", "url", "bday", "note"];
    const values = [this.given, this.family, this.nickname, this.org, this.title, this.role, this.url, this.bday, this.note];
    const out = ['{"fn":', quote(this.fn)];
    for (let i = 0; i < names.length; i++) if (values[i].length) out.push(',"' + names[i] + '":' + quote(values[i]));
    out.push(quotedList(',"email":[', this.email));
    out.push(quotedList(',"tel":[', this.tel));
    const data = this.photo.length ? base64(this.photo) : this.photoBase64;
    if (data.length) out.push(',"photo":{"type":' + quote(this.photoType) + ',"data":' + quote(data) + "}");
    out.push("}");
    return writtenText(out.join(""));
  }
}

function quotedList(name: string, list: string[]): string {
  const out: string[] = [];
  for (let i = 0; i < list.length; i++) out.push(quote(list[i]));
  return name + out.join(",") + "]";
}

/** base64 is RFC 4648 §4. */
export function base64(bytes: Uint8Array): string {
  const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", len = bytes.length;
  const from = take((<usize>len + 2) / 3 * 8);
  let to = from;
  for (let i = 0; i < len; i += 3) {
    const n = min(3, len - i);
    let x: u32 = 0;
    for (let k = 0; k < 3; k++) x = x << 8 | (k < n ? <u32>bytes[i + k] : 0);
    for (let k = 0; k < 4; k++, to += 2) store<u16>(to, k <= n ? <u16>digits.charCodeAt(x >> (18 - 6 * k) & 63) : 0x3D);
  }
  return stringOf(from, to);
}

/** What rosterd_webhook answers. As it is nobody is refreshed, and the answer is rosterd's own. */
export class Reply {
  refresh: string[] = []; // users whose rosters are fetched anew before the answer is sent
  status: i32 = 0;
  headers: Map<string, string> = new Map();
  body: string = "";

  /** answer writes it: return reply.answer(). */
  answer(): i32 {
    let out = '{"refresh":[';
    for (let i = 0; i < this.refresh.length; i++) out += (i ? "," : "") + quote(this.refresh[i]);
    out += "]";
    if (this.status) out += ',"status":' + this.status.toString();
    out += headersOf(this.headers);
    if (this.body.length) out += ',"body":' + quote(this.body);
    return writtenText(out + "}");
  }
}
