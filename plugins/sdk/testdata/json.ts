// Tells what it reads in the body of an answer, a line for each part: for TestJSON.
import { call, Code, http, Json, Kind, quote, Request } from "../assemblyscript/rosterd";
export { rosterd_abi_v1 } from "../assemblyscript/rosterd";

@external("rosterd_v1", "output_write") declare function output_write(ptr: usize, len: u32): i32;

let out: string[] = [];

function number(v: Json): string {
  const other = i64.MIN_VALUE, n = v.integer(other);
  const bits = reinterpret<u64>(v.number()).toString(16);
  return (n == other ? "-" : n.toString()) + " " + "0".repeat(16 - bits.length) + bits;
}

// A name stands for the last value that has it.
function lastOfName(within: Json, v: Json): bool {
  let last = within;
  for (let w = within.first(); w.exists; w = w.next()) {
    if (v.name == w.name) last = w;
  }
  return changetype<usize>(within.get(v.name)) == changetype<usize>(last);
}

function tell(v: Json): void {
  switch (v.kind) {
    case Kind.None: out.push("none"); return;
    case Kind.Null: out.push("null"); return;
    case Kind.True: out.push("true"); return;
    case Kind.False: out.push("false"); return;
    case Kind.Number: out.push("#" + number(v)); return;
    case Kind.String: out.push(quote(v.text("no text"))); return;
  }
  let n: u32 = 0;
  out.push(v.isObject ? "{" : "[");
  for (let w = v.first(); w.exists; w = w.next(), n++) {
    if (v.isObject) out.push(quote(w.name));
    if (v.isObject && v.length < 50 && !lastOfName(v, w)) out.push("not what is last");
    tell(w);
  }
  if (n != v.length) out.push("not as many as are said");
  out.push(v.isObject ? "}" : "]");
}

export function rosterd_fetch(): i32 {
  return call((req: Request): i32 => {
    out = [];
    const v = http.get("http://localhost/").json();
    if (v.exists) tell(v);
    else out.push("!" + Json.problem);
    const text = String.UTF8.encode(out.join("\n") + "\n");
    output_write(changetype<usize>(text), text.byteLength);
    return Code.Ok;
  });
}
