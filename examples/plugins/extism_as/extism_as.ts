// Contacts from a CRM: whoever is in a team of the user, or in a team below one of those. As ../crm, with Extism's kit for
// AssemblyScript.
import { Config, Host, Memory } from "@extism/as-pdk";
import { error_set, http_request, length } from "@extism/as-pdk/lib/env";
import { parse, quote, Value } from "./json";

@external("extism:host/env", "http_status_code") declare function http_status_code(): i32; // which as-pdk has left out

enum Code { Ok, NotFound, Temporary, Permanent }

/** fail says why there is no roster. */
function fail(code: Code, why: string): i32 {
  error_set(Memory.allocateString(why).offset);
  return code;
}

let teamsOf: string = ""; // with %s for the user
let maxPages: i64 = 5;

export function roster_init(): i32 {
  const url = Config.get("crm_url"), pages = Config.get("crm_pages");
  if (!url || !url.includes("%s")) return fail(Code.Permanent, "option crm_url is no URL with %s for the user");
  teamsOf = url;
  if (pages) {
    maxPages = I64.parseInt(pages);
    if (maxPages.toString() != pages || maxPages < 1 || maxPages > 8) {
      return fail(Code.Permanent, "option crm_pages is " + pages + ", not a number from 1 to 8"); // a call may send 8 requests
    }
  }
  return Code.Ok;
}

class Contact {
  groups: string[] = [];
  constructor(public jid: string, public name: string) {}
}

class Roster {
  private contacts: Map<string, Contact> = new Map();
  constructor(private user: string, private host: string) {}

  /** addTeams adds the members of teams, and of the teams in them. What is not as agreed is named by what it returns. */
  addTeams(teams: Value | null): string | null {
    if (!teams || !teams.isArray) return "teams that are no list";
    for (let i = 0; i < teams.items.length; i++) {
      const team = teams.items[i], members = team.get("members"), below = team.get("teams");
      if (!members || !members.isArray) return "a team without members";
      for (let k = 0; k < members.items.length; k++) {
        const problem = this.addMember(members.items[k], team.get("title"));
        if (problem) return problem;
      }
      if (below) {
        const problem = this.addTeams(below);
        if (problem) return problem;
      }
    }
    return null;
  }

  private addMember(member: Value, title: Value | null): string | null {
    const login = member.get("login");
    if (!login || !login.isString) return "a member without login";
    const jid = login.text + "@" + this.host;
    if (jid == this.user) return null; // the user is in his teams himself
    if (!this.contacts.has(jid)) {
      const profile = member.get("profile");
      if (!profile || !profile.isObject) return "a member without profile";
      const name = profile.get("display_name");
      if (name && !name.isNull && !name.isString) return "a display_name that is no text";
      this.contacts.set(jid, new Contact(jid, name ? name.text : ""));
    }
    if (!title || !title.isString) return "a team without title";
    const groups = this.contacts.get(jid).groups;
    if (!groups.includes(title.text)) groups.push(title.text);
    return null;
  }

  /** answer is what rosterd is told. */
  answer(): string {
    const items: string[] = [], contacts = this.contacts.values();
    for (let i = 0; i < contacts.length; i++) {
      const c = contacts[i];
      items.push('{"jid":' + quote(c.jid) + ',"name":' + quote(c.name) + ',"groups":[' + c.groups.map<string>((g) => quote(g)).join(",") + "]}");
    }
    return '{"items":[' + items.join(",") + "]}";
  }
}

/** get asks a server. That nobody answers ends the call: Extism has no way to say it. */
function get(url: string): string {
  const request = Memory.allocateString('{"method":"GET","url":' + quote(url) + "}");
  const body = http_request(request.offset, 0);
  return new Memory(body, length(body)).toString();
}

/** refused says what an answer means that is none. */
function refused(status: i32, page: string): i32 {
  const code = status == 404 ? Code.NotFound : status == 401 || status == 403 ? Code.Permanent : Code.Temporary;
  if (code == Code.NotFound) return code; // with a text it would be an error
  return fail(code, page + ": HTTP " + status.toString());
}

function text(v: Value, name: string): string {
  const field = v.get(name);
  return field ? field.text : "";
}

export function roster_fetch(): i32 {
  const asked = parse(Host.inputString());
  if (!asked) return fail(Code.Permanent, "the input is not JSON");
  const local = text(asked, "local");
  if (local == "." || local == "..") return fail(Code.Permanent, "the user's name cannot stand in the path of a URL");
  const url = teamsOf.replace("%s", encodeURIComponent(local));
  const roster = new Roster(text(asked, "user"), text(asked, "host"));
  let pages: i64 = 1;
  for (let number: i64 = 1; number <= pages; number++) {
    if (number > maxPages) return fail(Code.Temporary, pages.toString() + " pages, more than crm_pages = " + maxPages.toString());
    const name = "page " + number.toString();
    const body = get(url + "?page=" + number.toString());
    if (http_status_code() != 200) return refused(http_status_code(), name);
    const page = parse(body);
    const problem = page ? roster.addTeams(page.get("teams")) : "not JSON";
    if (problem) return fail(Code.Temporary, name + " cannot be read: " + problem);
    const count = page!.get("pages");
    pages = count && count.text ? I64.parseInt(count.text) : 1;
  }
  Host.output(Uint8Array.wrap(String.UTF8.encode(roster.answer(), false, String.UTF8.ErrorMode.REPLACE)));
  return Code.Ok;
}
