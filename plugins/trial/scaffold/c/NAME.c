// Rosters from NAME. rosterd asks the backend, at NAME_url of prosody.cfg.lua, and this file says what its answer means.
// What is not as agreed is an error: clients keep the roster that they have, and nobody is missing from it.
#include "rosterd.h"

static int unreadable(const char *why) {
	return rosterd_fail(ROSTERD_TEMPORARY, rosterd_cat(ROSTERD_STR("the answer cannot be read: "), rosterd_str_of(why)));
}

// Here an answer is { "people": [ { "login": "marie", "name": "Marie", "team": "Sales" } ] }.
static int transform(const rosterd_request *req) {
	rosterd_roster roster = {0};
	rosterd_str login, team, none = ROSTERD_STR("");
	rosterd_json people = rosterd_json_get(rosterd_json_parse(rosterd_body(req->response), NULL), "people");
	if (rosterd_json_kind(people) != ROSTERD_JSON_ARRAY) return unreadable("no list of people");
	for (rosterd_json person = rosterd_json_first(people); person; person = rosterd_json_next(person)) {
		if (!rosterd_json_text(rosterd_json_get(person, "login"), &login)) return unreadable("somebody without a login");
		rosterd_contact *contact = rosterd_add(&roster, rosterd_cat(login, ROSTERD_STR("@"), req->host));
		contact->name = rosterd_json_text_or(rosterd_json_get(person, "name"), none);
		if (rosterd_json_text(rosterd_json_get(person, "team"), &team)) rosterd_add_group(contact, team);
	}
	return rosterd_answer(&roster);
}

ROSTERD_TRANSFORM(transform)
