// Contacts from a CRM: whoever is in a team of the user, or in a team below one of those. As ../crm, in C.
#include "rosterd.h"

static rosterd_str crm_url;   // with %s for the user
static int64_t crm_pages = 5; // a call may send 8 requests

static int init(const rosterd_request *req) {
	(void)req;
	int code = rosterd_option_url("crm_url", &crm_url);
	return code ? code : rosterd_option_int("crm_pages", 1, 8, &crm_pages);
}

// What is not as agreed is named here: a roster without contacts must not be read into it.
typedef const char *problem;

// A member of several teams is in several groups.
static problem add_member(rosterd_roster *roster, rosterd_json member, rosterd_json title, const rosterd_request *req) {
	rosterd_str login, group;
	if (!rosterd_json_text(rosterd_json_get(member, "login"), &login)) return "a member without login";
	rosterd_str jid = rosterd_cat(login, ROSTERD_STR("@"), req->host);
	if (rosterd_same(jid, req->user)) return NULL; // the user is in his teams himself
	rosterd_contact *contact = rosterd_find(roster, jid);
	if (!contact) {
		rosterd_json profile = rosterd_json_get(member, "profile");
		if (rosterd_json_kind(profile) != ROSTERD_JSON_OBJECT) return "a member without profile";
		rosterd_json name = rosterd_json_get(profile, "display_name");
		contact = rosterd_add(roster, jid);
		if (rosterd_json_kind(name) > ROSTERD_JSON_NULL && !rosterd_json_text(name, &contact->name)) return "a display_name that is no text";
	}
	if (!rosterd_json_text(title, &group)) return "a team without title";
	rosterd_add_group(contact, group);
	return NULL;
}

// The members of teams, and of the teams in them. How deep those are is bounded where JSON is read.
static problem add_teams(rosterd_roster *roster, rosterd_json teams, const rosterd_request *req) {
	if (rosterd_json_kind(teams) != ROSTERD_JSON_ARRAY) return "teams that are no list";
	for (rosterd_json team = rosterd_json_first(teams); team; team = rosterd_json_next(team)) {
		rosterd_json members = rosterd_json_get(team, "members"), below = rosterd_json_get(team, "teams");
		rosterd_json title = rosterd_json_get(team, "title");
		if (rosterd_json_kind(members) != ROSTERD_JSON_ARRAY) return "a team without members";
		for (rosterd_json member = rosterd_json_first(members); member; member = rosterd_json_next(member)) {
			problem p = add_member(roster, member, title, req);
			if (p) return p;
		}
		problem p = below ? add_teams(roster, below, req) : NULL;
		if (p) return p;
	}
	return NULL;
}

static int fetch(const rosterd_request *req) {
	rosterd_roster roster = {0};
	rosterd_str url, why;
	if (!rosterd_url(crm_url, req->local, &url))
		return rosterd_fail(ROSTERD_PERMANENT, ROSTERD_STR("the user's name cannot stand in the path of a URL"));
	int64_t pages = 1;
	for (int64_t number = 1; number <= pages; number++) {
		rosterd_str page = rosterd_cat(ROSTERD_STR("page "), rosterd_int(number));
		if (number > crm_pages)
			return rosterd_fail(ROSTERD_TEMPORARY, rosterd_cat(rosterd_int(pages), ROSTERD_STR(" pages, more than crm_pages = "), rosterd_int(crm_pages)));
		rosterd_response response = rosterd_http_get(rosterd_cat(url, ROSTERD_STR("?page="), rosterd_int(number)));
		if (response.status != 200) return rosterd_fail_response(response, page);
		rosterd_json root = rosterd_json_parse(rosterd_body(response), &why);
		problem p = root ? add_teams(&roster, rosterd_json_get(root, "teams"), req) : NULL;
		if (p) why = rosterd_str_of(p);
		if (!root || p) return rosterd_fail(ROSTERD_TEMPORARY, rosterd_cat(page, ROSTERD_STR(" cannot be read: "), why));
		pages = 1;
		rosterd_json_int(rosterd_json_get(root, "pages"), &pages);
	}
	return rosterd_answer(&roster);
}

ROSTERD_INIT(init)
ROSTERD_FETCH(fetch)
