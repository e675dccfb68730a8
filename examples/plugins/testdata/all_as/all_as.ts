// Asks for all that the SDK has. The path of a request from outside says what, and what came of it is the answer.
import {
  call, Card, Code, fail, failFor, http, HttpRequest, kv, lastError, log, now, Options, panic, random, Reply, Request, Roster, Subscription, UserURL,
} from "../../../../plugins/sdk/assemblyscript/rosterd";
export { rosterd_abi_v1 } from "../../../../plugins/sdk/assemblyscript/rosterd";

let url = "";

export function rosterd_init(): i32 {
  return call((req: Request): i32 => {
    if (Options.boolean("all_refuse", false)) return fail(Code.Permanent, "all_refuse is true");
    url = Options.text("all_url", "");
    return url.length ? Code.Ok : fail(Code.Permanent, "option all_url is not set");
  });
}

export function rosterd_fetch(): i32 {
  return call((q: Request): i32 => {
    const r = new Roster();
    if (q.rev == "7") {
      r.unchanged = true;
      return r.answer();
    }
    r.rev = "7";
    r.maxAge = 90;
    r.add(q.local + "-" + q.reason + "@" + q.host);
    const to = r.add("to@example.org").join("A").join("B").join("A");
    to.name = "Tö";
    to.subscription = Subscription.To;
    const from = r.add("from@example.org").join("A").join("B");
    from.name = "From";
    from.subscription = Subscription.From;
    from.ask = true;
    const none = r.add("none@example.org");
    none.subscription = Subscription.None;
    none.approved = true;
    r.add("long@example.org").name = "ö".repeat(40000);
    if (q.reason == "webhook") {
      for (let i = 0; i < 256; i++) r.add("fit@example.org").join(i.toString());
      for (let i = 0; i < 300; i++) r.add("many@example.org").join(i.toString());
      r.add("many@example.org").name = "\x01\"";
    }
    return r.answer();
  });
}

export function rosterd_edit(): i32 {
  return call((q: Request): i32 => {
    if (q.action == "subscribe") return Code.Ok;
    if (q.action == "remove") return fail(Code.NotFound, q.contact);
    if (q.action == "unsubscribe") return fail(Code.Temporary, q.contact);
    const i = q.input;
    let text = q.user + " " + q.id + " " + q.action + " " + q.contact + " " + i.get("name").text() + " " + i.get("subscription").text() + " " + i.get("ask").text() + " " +
      i.get("approved").boolean().toString();
    for (let g = i.get("groups").first(); g.exists; g = g.next()) text += " " + g.text();
    return fail(Code.Denied, text);
  });
}

export function rosterd_vcard(): i32 {
  return call((q: Request): i32 => {
    const c = new Card();
    if (q.local == "silent") return Code.Ok;
    if (q.local == "nobody") return Code.NotFound;
    if (q.local == "later") return failFor(Code.Temporary, 9, q.user);
    if (q.local == "john") {
      c.fn = "J\"\\é\n<&";
      c.given = "John";
      c.family = "Doe";
      c.nickname = "Jo";
      c.email = ["j@example.com", '"j"@example.com'];
      c.tel = ["+49 1"];
      c.org = "O";
      c.title = "T";
      c.role = "R";
      c.url = "http://h/?a&b";
      c.bday = "1990-02-28";
      c.note = "N";
      const bytes: u8[] = [0x89, 0x50, 0x4E, 0x47, 0, 0xFF, 0xFE, 1];
      c.photo = new Uint8Array(bytes.length);
      c.photo.set(bytes);
      c.photoType = "image/png";
    } else if (q.local == "given") {
      c.photoBase64 = "R0lGODlh";
    } else if (q.local != "nothing") {
      c.photo = Uint8Array.wrap(String.UTF8.encode(q.local));
      c.photoType = "image/x-test";
    }
    return c.answer();
  });
}

export function rosterd_auth(): i32 {
  return call((q: Request): i32 => {
    if (q.password == "right") return Code.Ok;
    if (q.password == "unknown") return fail(Code.NotFound, q.user);
    return fail(Code.Denied, "wrong password of " + q.local + " at " + q.host);
  });
}

function say(body: string): i32 {
  const reply = new Reply();
  reply.status = 200;
  reply.body = body;
  return reply.answer();
}

function text(s: string | null): string { return s == null ? "" : s; }

function echo(c: Request): i32 {
  return say(c.host + " " + c.method + " " + c.path + " " + c.rest + " " + c.query + " " + c.secure.toString() + " " + c.from +
    " [" + text(c.header("x-test")) + "] [" + text(c.header("x-absent")) + "] " + String.UTF8.decode(c.response.bytes().buffer));
}

function value(): string {
  const v = kv.bytes("key"), list: string[] = [];
  if (!v) return "absent";
  for (let i = 0; i < v.length; i++) list.push((v[i] < 16 ? "0" : "") + v[i].toString(16));
  return "[" + list.join(", ") + "]";
}

function kept(): i32 {
  const said = [value()];
  let failed = kv.set("key", "");
  said.push(value());
  failed += kv.setBytes("key", [0, 255], 3600);
  said.push(value());
  failed += kv.remove("key");
  said.push(value());
  said.push(kv.set("k".repeat(1000), "") == -3 ? "limit" : "no limit");
  return failed ? <i32>Code.Temporary : say(said.join(" "));
}

function get(r: HttpRequest): i32 {
  const a = r.send();
  if (a.status < 0) return a.fail("the answer");
  const said = a.status.toString() + " " + text(a.header("X-Answer")) + " " + text(a.header("x-long")).length.toString() + " [" +
    text(a.header("x-absent")) + "] " + a.retryAfter.toString() + " " + a.text();
  a.close();
  return say(said);
}

function put(method: string): i32 {
  const r = new HttpRequest(url);
  r.method = method;
  r.headers.set("x-one", "1");
  r.headers.set("x-two", "\"\\u0001\x7fé😀\\\\/\"");
  r.body = "two\nlines";
  r.timeoutMs = 1500;
  r.redirects = 2;
  r.rev = 'a"b';
  return get(r);
}

function refused(at: string): i32 {
  const names = ["", "Absent", "Refused", "Limit", "Network", "Argument", "Deadline"], a = http.get(at);
  return say(a.status < 0 ? names[-a.status] + ": " + lastError() : "no error");
}

function failure(word: string): i32 {
  const why = 'because "é"';
  if (word == "not-found") return fail(Code.NotFound, why);
  if (word == "temporary") return failFor(Code.Temporary, 77, why);
  if (word == "permanent") return fail(Code.Permanent, why);
  return fail(Code.Denied, why);
}

function chance(): i32 {
  const a = random(16), b = random(16);
  let differ = false;
  for (let i = 0; i < 16; i++) differ = differ || a[i] != b[i];
  return say(differ.toString() + " " + now().toString());
}

function fill(template: string, name: string): i32 {
  const u = new UserURL(template), filled = u.fill(name);
  if (u.problem.length) return say(u.problem);
  return filled == null ? fail(Code.Permanent, 'user name "' + name + '" cannot stand in the path of a URL') : say(filled);
}

function refresh(): i32 {
  const reply = new Reply();
  reply.refresh = ["john", 'ma"rie'];
  reply.status = 202;
  reply.headers.set("x-all", '"yes"');
  reply.body = "done\n";
  return reply.answer();
}

export function rosterd_webhook(): i32 {
  return call((c: Request): i32 => {
    const slash = c.rest.indexOf("/"), command = slash < 0 ? c.rest : c.rest.substring(0, slash);
    const argument = slash < 0 ? "" : c.rest.substring(slash + 1);
    if (command == "echo") return echo(c);
    if (command == "option") return say(Options.text(argument, "absent"));
    if (command == "boolean") return say(Options.boolean(argument, true).toString());
    if (command == "integer") return say(Options.integer(argument, 5, 1, 8).toString());
    if (command == "kept") return kept();
    if (command == "get") return get(new HttpRequest(url));
    if (command == "send") return put(argument);
    if (command == "ok") return http.get(url).fail("GET https://example.net/a?b");
    if (command == "error") return refused(argument);
    if (command == "fail") return failure(argument);
    if (command == "panic") panic("all is lost: " + argument);
    if (command == "log") {
      log.info(argument);
      log.warn("two");
      return say("");
    }
    if (command == "chance") return chance();
    if (command == "url") return fill(c.query, argument);
    if (command == "refresh") return refresh();
    if (command == "nothing") return Code.Ok;
    return fail(Code.NotFound, c.path);
  });
}
