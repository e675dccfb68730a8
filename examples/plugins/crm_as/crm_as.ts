// Contacts from a CRM: whoever is in a team of the user, or in a team below one of those. As ../crm, in AssemblyScript.
import { call, Code, fail, http, Json, Options, Request, Roster, UserURL } from "../../../plugins/sdk/assemblyscript/rosterd";
export { rosterd_abi_v1 } from "../../../plugins/sdk/assemblyscript/rosterd";

let teamsOf: UserURL = new UserURL("");
let maxPages: i64 = 5;

export function rosterd_init(): i32 {
  return call((req: Request): i32 => {
    teamsOf = Options.url("crm_url"); // with %s for the user
    maxPages = Options.integer("crm_pages", 5, 1, 8); // a call may send 8 requests
    return Code.Ok;
  });
}

// What is not as agreed is named by these: a roster without contacts must not be read into it.

// A member of several teams is in several groups.
function addMember(roster: Roster, member: Json, title: string | null, at: string, user: string): string | null {
  const login = member.get("login");
  if (!login.isString) return "a member without login";
  const jid = login.text() + at;
  if (jid == user) return null; // the user is in his teams himself
  let contact = roster.get(jid);
  if (!contact) {
    const profile = member.get("profile"), name = profile.get("display_name");
    if (!profile.isObject) return "a member without profile";
    if (name.exists && !name.isNull && !name.isString) return "a display_name that is no text";
    contact = roster.add(jid);
    contact.name = name.text();
  }
  if (title == null) return "a team without title";
  contact.join(title);
  return null;
}

// The members of teams, and of the teams in them. How deep those are is bounded where JSON is read.
function addTeams(roster: Roster, teams: Json, at: string, user: string): string | null {
  if (!teams.isArray) return "teams that are no list";
  for (let team = teams.first(); team.exists; team = team.next()) {
    const members = team.get("members"), title = team.get("title"), below = team.get("teams");
    const group = title.isString ? title.text() : changetype<string | null>(0);
    if (!members.isArray) return "a team without members";
    for (let member = members.first(); member.exists; member = member.next()) {
      const problem = addMember(roster, member, group, at, user);
      if (problem) return problem;
    }
    const problem = below.exists ? addTeams(roster, below, at, user) : null;
    if (problem) return problem;
  }
  return null;
}

export function rosterd_fetch(): i32 {
  return call((req: Request): i32 => {
    const url = teamsOf.fill(req.local), roster = new Roster();
    if (!url) return fail(Code.Permanent, "the user's name cannot stand in the path of a URL");
    let pages: i64 = 1;
    for (let number: i64 = 1; number <= pages; number++) {
      if (number > maxPages) return fail(Code.Temporary, pages.toString() + " pages, more than crm_pages = " + maxPages.toString());
      const response = http.get(url + "?page=" + number.toString());
      if (response.status != 200) return response.fail("page " + number.toString());
      const page = response.json();
      const problem = page.exists ? addTeams(roster, page.get("teams"), "@" + req.host, req.user) : Json.problem;
      if (problem) return fail(Code.Temporary, "page " + number.toString() + " cannot be read: " + problem);
      pages = page.get("pages").integer(1);
    }
    return roster.answer();
  });
}
