// Rosters from NAME. rosterd asks the backend, at NAME_url of prosody.cfg.lua, and this file says what its answer means.
// What is not as agreed is an error: clients keep the roster that they have, and nobody is missing from it.
import { call, Code, fail, Json, Request, Roster } from "./rosterd";
export { rosterd_abi_v1 } from "./rosterd";

// Here an answer is { "people": [ { "login": "marie", "name": "Marie", "team": "Sales" } ] }.
function transform(req: Request): i32 {
  const answer = req.response.json(), people = answer.get("people");
  if (!answer.exists) return fail(Code.Temporary, Json.problem);
  if (!people.isArray) return fail(Code.Temporary, "an answer without a list of people");
  const roster = new Roster();
  for (let person = people.first(); person.exists; person = person.next()) {
    const login = person.get("login"), team = person.get("team");
    if (!login.isString) return fail(Code.Temporary, "somebody without a login");
    const contact = roster.add(login.text() + "@" + req.host);
    contact.name = person.get("name").text();
    if (team.isString) contact.join(team.text());
  }
  return roster.answer();
}

export function rosterd_transform(): i32 {
  return call(transform);
}
