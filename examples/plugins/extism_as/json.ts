/** JSON, read into values (RFC 8259). as-pdk has no reader of its own. */

export enum Kind { Null, False, True, Number, String, Array, Object }

export class Value {
  kind: Kind;
  text: string = ""; // of a string; a number as it stands
  items: Value[] = []; // of an array, or under the names of an object
  names: string[] = [];

  constructor(kind: Kind) { this.kind = kind; }

  get isNull(): bool { return this.kind == Kind.Null; }
  get isString(): bool { return this.kind == Kind.String; }
  get isArray(): bool { return this.kind == Kind.Array; }
  get isObject(): bool { return this.kind == Kind.Object; }

  /** get is what an object has under a name; null if it has nothing there, or is no object. */
  get(name: string): Value | null {
    const i = this.names.lastIndexOf(name);
    return i < 0 ? null : this.items[i];
  }
}

/** parse reads a text; it is null if that is not JSON. */
export function parse(text: string): Value | null {
  const p = new Parser(text);
  const v = p.value(0);
  p.blank();
  return v && p.at == text.length ? v : null;
}

const MAX_DEPTH = 64;

class Parser {
  at: i32 = 0;
  constructor(private s: string) {}

  /** peek is the unit at hand, -1 at the end. */
  peek(): i32 { return this.at < this.s.length ? this.s.charCodeAt(this.at) : -1; }

  /** take says whether the unit at hand is c, and steps over it then. */
  take(c: i32): bool {
    if (this.peek() != c) return false;
    this.at++;
    return true;
  }

  blank(): void {
    for (let c = this.peek(); c == 0x20 || c == 0x0A || c == 0x0D || c == 0x09; c = this.peek()) this.at++;
  }

  value(depth: i32): Value | null {
    this.blank();
    switch (this.peek()) {
      case 0x7B: return this.list(Kind.Object, 0x7D, depth);
      case 0x5B: return this.list(Kind.Array, 0x5D, depth);
      case 0x22: return this.string();
      case 0x74: return this.word("true", Kind.True);
      case 0x66: return this.word("false", Kind.False);
      case 0x6E: return this.word("null", Kind.Null);
    }
    return this.number();
  }

  word(word: string, kind: Kind): Value | null {
    if (this.s.substr(this.at, word.length) != word) return null;
    this.at += word.length;
    return new Value(kind);
  }

  /** list is an array or an object. */
  list(kind: Kind, end: i32, depth: i32): Value | null {
    if (depth == MAX_DEPTH) return null;
    const list = new Value(kind);
    this.at++;
    this.blank();
    if (this.take(end)) return list;
    do {
      if (kind == Kind.Object) {
        this.blank();
        if (this.peek() != 0x22) return null;
        const name = this.string();
        this.blank();
        if (!name || !this.take(0x3A)) return null;
        list.names.push(name.text);
      }
      const item = this.value(depth + 1);
      if (!item) return null;
      list.items.push(item);
      this.blank();
    } while (this.take(0x2C));
    return this.take(end) ? list : null;
  }

  string(): Value | null {
    const v = new Value(Kind.String), parts: string[] = []; // joined at the end: a text may have very many escapes
    let from = ++this.at;
    for (;;) {
      const c = this.peek();
      if (c < 0x20) return null;
      this.at++;
      if (c != 0x22 && c != 0x5C) continue;
      parts.push(this.s.substring(from, this.at - 1));
      if (c == 0x22) {
        v.text = parts.join("");
        return v;
      }
      const unit = this.escaped();
      if (unit < 0) return null;
      parts.push(String.fromCharCode(unit));
      from = this.at;
    }
    return null;
  }

  /** escaped is the unit that an escape stands for, -1 if it is none. */
  escaped(): i32 {
    const c = this.peek();
    this.at++;
    switch (c) {
      case 0x22: case 0x5C: case 0x2F: return c;
      case 0x62: return 0x08;
      case 0x66: return 0x0C;
      case 0x6E: return 0x0A;
      case 0x72: return 0x0D;
      case 0x74: return 0x09;
      case 0x75: break;
      default: return -1;
    }
    let unit = 0;
    for (let i = 0; i < 4; i++) {
      const c = this.peek(), letter = c | 0x20;
      const digit = c >= 0x30 && c <= 0x39 ? c - 0x30 : letter >= 0x61 && letter <= 0x66 ? letter - 87 : -1;
      if (digit < 0) return -1;
      unit = unit << 4 | digit;
      this.at++;
    }
    return unit;
  }

  number(): Value | null {
    const v = new Value(Kind.Number), from = this.at;
    this.take(0x2D);
    if (!this.take(0x30) && !this.digits()) return null;
    if (this.take(0x2E) && !this.digits()) return null;
    if (this.take(0x65) || this.take(0x45)) {
      if (!this.take(0x2B)) this.take(0x2D);
      if (!this.digits()) return null;
    }
    v.text = this.s.substring(from, this.at);
    return v;
  }

  digits(): bool {
    const from = this.at;
    for (let c = this.peek(); c >= 0x30 && c <= 0x39; c = this.peek()) this.at++;
    return this.at > from;
  }
}

/** quote is a text as JSON has it. */
export function quote(s: string): string {
  let out = '"', done = 0;
  for (let i = 0; i < s.length; i++) {
    const c = s.charCodeAt(i);
    if (c >= 0x20 && c != 0x22 && c != 0x5C) continue;
    out += s.substring(done, i) + (c < 0x20 ? "\\u00" + (c >> 4).toString() + "0123456789abcdef".charAt(c & 15) : "\\" + s.charAt(i));
    done = i + 1;
  }
  return out + s.substring(done) + '"';
}
