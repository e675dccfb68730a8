package migrate

import "strings"

// others are stores of Prosody that are nothing for rosterd, and why.
var others = map[string]string{
	"account_details": "what people entered when they registered is not kept here",
	"account_flags":   "rosterd has no such flags",
	"account_roles":   "who is an admin, the option admins says",
	"roles":           "who is an admin, the option admins says",
	"auth_tokens":     "clients log in with their passwords, or get new tokens",
	"invite_token":    "there are no invitations here",
	"lastlog2":        "it is only about logins of the past",
	"lastlog":         "it is only about logins of the past",
	"privacy":         "whom it blocks is taken with blocklist, where that has nothing; the rest of it is not possible here",
	"smacks_h":        "sessions end with the server",
	"uploads":         "files are not shared here",
	"skeletons":       "names that look alike are not compared here",
	"archive_cleanup": "it is of use only to Prosody",
	"cron":            "it is of use only to Prosody",
	"push":            "there are no push notifications here",
	"cloud_notify":    "there are no push notifications here",
}

func unknown(name string) string {
	if why := others[name]; why != "" {
		return why
	}
	if strings.HasPrefix(name, "muc_") || strings.HasPrefix(name, "pubsub") {
		return "rooms and nodes of the server are not taken"
	}
	return "rosterd has no such store"
}
