package config

import "time"

// What the backend says of its users: vCards and avatars.
var (
	VCardURL = declare(Spec{Name: "rosterd_vcard_url", Risk: Security, Owner: "http_roster_admin",
		Doc: "URL of a user's vCard and picture, %s stands for the username; unset: they are the users' own"}, nonEmpty, "")
	VCardAge = declare(Spec{Name: "rosterd_vcard_age",
		Doc: "time after which a vCard of the backend is asked for anew, when somebody looks"}, period(time.Second, 24*time.Hour), 5*time.Minute)
	VCardCache = declare(Spec{Name: "rosterd_vcard_cache",
		Doc: "memory for vCards of the backend, of each host"}, size(mib, 1<<30), 16*mib)
)
