package config

// instead is what to do about providers of authentication that are not available, by their names.
var instead = map[string]string{
	"cyrus":       `saslauthd is not asked: authentication = "dovecot" asks a Dovecot, whose passdb may be pam, ldap or sql, and "ldap" a directory`,
	"pam":         `authentication = "dovecot" asks a Dovecot whose passdb is pam`,
	"imap":        `authentication = "dovecot" asks the IMAP server itself, if it is a Dovecot`,
	"sql":         `authentication = "dovecot" asks a Dovecot whose passdb is sql, and "http" a web application`,
	"wordpress":   `authentication = "http" asks a web application`,
	"joomla":      `authentication = "http" asks a web application`,
	"phpbb3":      `authentication = "http" asks a web application`,
	"http_cookie": `authentication = "http" asks a web application, and "jwt" takes tokens that it has signed`,
	"ccert":       `certificates of clients are not looked at: authentication = "internal_hashed" keeps passwords`,
	"any":         `anybody would be let in, with any password; with authentication = "anonymous" people come without names`,
	"insecure":    `anybody would be let in, with any password; with authentication = "anonymous" people come without names`,
	"ha1":         `rosterd user add makes accounts, for authentication = "internal_hashed"`,
}

// notAvailable is the hint for a provider that is not.
func (ck *checker) notAvailable(h *Host, name string) string {
	hint := ck.ownModule("a provider", authModule(h))
	if how := instead[name]; how != "" {
		return how + "; " + hint
	}
	return hint
}
