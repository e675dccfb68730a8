package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// authentication = "ldap", as Prosody's mod_auth_ldap has it.
var (
	LDAPServer = declare(Spec{Name: "ldap_server", Risk: Security, Owner: "auth_ldap",
		Doc: "LDAP servers, with ports if need be, or ldap://, ldaps:// and ldapi:// URLs: the next one is asked if one cannot be reached"}, nonEmpty, "localhost")
	LDAPRootDN = declare(Spec{Name: "ldap_rootdn", Risk: Security, Owner: "auth_ldap",
		Doc: "entry as which users are looked for; nobody in particular"}, text, "")
	LDAPPassword = declare(Spec{Name: "ldap_password", Risk: Security, Secret: true, Owner: "auth_ldap",
		Doc: "password of ldap_rootdn"}, text, "")
	LDAPBase = declare(Spec{Name: "ldap_base", Risk: Security, Owner: "auth_ldap",
		Doc: "entry below which users are looked for; has to be set"}, text, "")
	LDAPFilter = declare(Spec{Name: "ldap_filter", Risk: Security, Owner: "auth_ldap",
		Doc: "filter for the entry of a user: $user is his name, $host the realm"}, nonEmpty, "(uid=$user)")
	LDAPScope = declare(Spec{Name: "ldap_scope", Risk: Security, Owner: "auth_ldap",
		Doc: "which entries are looked at"}, oneOf("base", "onelevel", "subtree"), "subtree")
	LDAPTLS = declare(Spec{Name: "ldap_tls", Risk: Security, Owner: "auth_ldap",
		Doc: "StartTLS before anything is asked"}, boolean, false)
	LDAPMode = declare(Spec{Name: "ldap_mode", Risk: Security, Owner: "auth_ldap",
		Doc: "bind: the server checks passwords; getpasswd: userPassword is read and compared"}, oneOf("bind", "getpasswd"), "bind")
	LDAPCA = declare(Spec{Name: "rosterd_ldap_ca", Risk: Security,
		Doc: "file with the authorities of the certificates of LDAP servers, as PEM; those of the system"}, configPath, "")
	GroupsRefresh = declare(Spec{Name: "rosterd_groups_refresh",
		Doc: "time after which groups in a directory are asked for again; a refresh of anybody does so at once"}, period(time.Second, 24*time.Hour), 5*time.Minute)
)

// LDAP is the table of mod_lib_ldap, which authentication = "ldap2", the storage driver "ldap" and module groups_ldap read.
type LDAP struct {
	Hostname               string
	BindDN, BindPassword   string
	UseTLS                 bool
	UserBase, UserFilter   string
	UserName, UserAlias    string // attributes
	GroupBase              string // "": there are no groups
	GroupName, GroupMember string // attributes
	// Groups are what groups are called in rosters, by their names in the directory; nil: all, by these.
	Groups map[string]string
	// Card are the attributes of what a vCard says, by the names of vcard_format with dots, such as name.given or
	// telephone.work.number; nil: there are no vCards.
	Card map[string]string
}

var LDAPTable = declare(Spec{Name: "ldap", Risk: Security, Secret: true,
	Doc: "the directory of authentication = \"ldap2\", of storage = \"ldap\" and of module groups_ldap: hostname, bind_dn, bind_password, use_tls, user, groups, vcard_format, as in mod_lib_ldap"}, ldapTable, LDAP{})

// fields reads a table, each field by its name. What it does not know is odd.
func (r *reading) fields(v Value, of string, known map[string]func(Value) bool) (ok bool) {
	t := v.Table()
	if t == nil {
		r.fail(v, "%s has to be a table", of)
		return false
	}
	ok = true
	for _, f := range t.Fields {
		name := keyText(f.Key)
		read := known[name]
		if read == nil {
			r.warn(f.Value, "%s.%s means nothing here", of, name)
			continue
		}
		ok = read(f.Value) && ok
	}
	return ok
}

func (r *reading) into(to *string) func(Value) bool {
	return func(v Value) (ok bool) {
		*to, ok = nonEmpty(r, v)
		return ok
	}
}

func (r *reading) intoBool(to *bool) func(Value) bool {
	return func(v Value) (ok bool) {
		*to, ok = boolean(r, v)
		return ok
	}
}

func (r *reading) ignored(why string) func(Value) bool {
	return func(v Value) bool {
		r.warn(v, "%s", why)
		return true
	}
}

func ldapTable(r *reading, v Value) (l LDAP, ok bool) {
	noAdmins := r.ignored("whom the directory calls admins is no admin here: admins = { … } says who is")
	ok = r.fields(v, "ldap", map[string]func(Value) bool{
		"hostname": r.into(&l.Hostname), "bind_dn": r.into(&l.BindDN), "bind_password": r.into(&l.BindPassword), "use_tls": r.intoBool(&l.UseTLS),
		"user": func(v Value) bool {
			return r.fields(v, "user", map[string]func(Value) bool{"basedn": r.into(&l.UserBase), "filter": r.into(&l.UserFilter), "usernamefield": r.into(&l.UserName), "namefield": r.into(&l.UserAlias)})
		},
		"groups":       func(v Value) bool { return l.readGroups(r, v) },
		"admin":        noAdmins,
		"vcard_format": func(v Value) bool { l.Card = map[string]string{}; return l.readCard(r, v, "", 0) },
	})
	for _, need := range []struct{ name, value string }{{"hostname", l.Hostname}, {"user.basedn", l.UserBase}, {"user.usernamefield", l.UserName}} {
		if ok && need.value == "" {
			r.fail(v, "%s is not there", need.name)
			ok = false
		}
	}
	if ok && l.GroupBase != "" && (l.GroupName == "" || l.GroupMember == "") {
		r.fail(v, "groups needs namefield and memberfield")
		ok = false
	}
	if ok && l.BindDN != "" && l.BindPassword == "" {
		r.fail(v, "bind_dn without bind_password would be nobody")
		ok = false
	}
	return l, ok
}

// readGroups reads the attributes of groups, and the list of those that count.
func (l *LDAP) readGroups(r *reading, v Value) bool {
	ok := r.fields(v, "groups", map[string]func(Value) bool{"basedn": r.into(&l.GroupBase), "namefield": r.into(&l.GroupName), "memberfield": r.into(&l.GroupMember)})
	if !ok {
		return false
	}
	for _, g := range v.Table().List {
		var name, shown string
		read := r.fields(g, "groups[]", map[string]func(Value) bool{"name": r.into(&shown), l.GroupName: r.into(&name), "admin": func(Value) bool { return true }})
		if l.GroupName == "name" { // both are one field
			shown = name
		}
		switch {
		case !read:
			ok = false
		case name == "" || shown == "":
			r.fail(g, "a group needs name, which rosters show, and %s, which the directory has", l.GroupName)
			ok = false
		default:
			if l.Groups == nil {
				l.Groups = map[string]string{}
			}
			l.Groups[name] = shown
		}
	}
	return ok
}

// readCard reads vcard_format, and what is in its tables.
func (l *LDAP) readCard(r *reading, v Value, below string, depth int) bool {
	t := v.Table()
	if t == nil || depth > 3 {
		r.fail(v, "vcard_format has to be a table of attributes")
		return false
	}
	for i, item := range t.List {
		if !l.readCard(r, item, fmt.Sprintf("%s%d.", below, i+1), depth+1) {
			return false
		}
	}
	for _, f := range t.Fields {
		name := below + strings.ToLower(keyText(f.Key))
		if f.Value.Table() != nil {
			if !l.readCard(r, f.Value, name+".", depth+1) {
				return false
			}
			continue
		}
		if _, flag := f.Value.v.(bool); flag {
			continue // such as pref = true
		}
		attribute, ok := nonEmpty(r, f.Value)
		if !ok {
			return false
		}
		if !cardField(name) {
			r.warn(f.Value, "vcard_format: %s is not shown", name)
			continue
		}
		l.Card[name] = attribute
	}
	return true
}

// cardField tells whether vCards show what vcard_format has under a name.
func cardField(name string) bool {
	plain := []string{"displayname", "nickname", "birthday", "title", "role", "note", "description", "url", "name.family", "name.given", "photo.binval", "org.orgname"}
	kind, _, _ := strings.Cut(name, ".")
	return slices.Contains(plain, name) || name == "photo.type" || kind == "email" && strings.HasSuffix(name, ".userid") || kind == "telephone" && strings.HasSuffix(name, ".number")
}

// ldapDriver is the storage driver of community module mod_storage_ldap, which rosters and vCards can be kept by.
const ldapDriver = "ldap"

// LDAPRosters tells whether the rosters of the host are groups in a directory: by Prosody's storage = { roster = "ldap" }.
func (h *Host) LDAPRosters() bool {
	return h.Has("roster") && len(h.Providers()) == 0 && h.StorageDriver("roster") == ldapDriver
}

// LDAPCards tells whether vCards are those of a directory.
func (h *Host) LDAPCards() bool {
	return h.StorageDriver("vcard") == ldapDriver && len(h.Providers()) == 0 && LDAPTable.Get(h).Card != nil
}

// usesLDAP tells whether anything of the host reads the table.
func (h *Host) usesLDAP() bool {
	return h.AuthProvider() == "ldap2" || h.Has("groups_ldap") || slices.ContainsFunc(h.kept(), func(store string) bool { return h.StorageDriver(store) == ldapDriver })
}

// ldapStore says what becomes of a store that the driver "ldap" is to keep, which can keep rosters and vCards only.
func (ck *checker) ldapStore(h *Host, store string, pos Pos) {
	l := LDAPTable.Get(h)
	if h.find(LDAPTable.Name, ScopeHost) == nil {
		ck.once(Refused, CodeBackend, h, "storage", pos, `the storage driver "ldap" needs the table ldap`, "")
		return
	}
	switch {
	case store == "roster" && l.GroupBase == "" && l.UserBase != "": // else the table has been refused
		ck.once(Refused, CodeBackend, h, "storage", pos, `rosters are kept by "ldap", and the table ldap has no groups`, "")
	case store == "roster":
	case store == "vcard" && l.Card == nil && l.UserBase != "":
		ck.once(Note, CodeMoot, h, "storage", pos, `vCards are kept by "ldap", and the table ldap has no vcard_format: nobody has one, as in Prosody`, "")
	case store == "vcard":
	default:
		ck.once(Warn, CodeAccounts, h, "storage", pos, `the storage driver "ldap" keeps rosters and vCards only: what users store otherwise is kept nowhere, as in Prosody`,
			`storage = { roster = "ldap", vcard = "ldap" } keeps the rest`)
	}
}

// ldapConsequences: a table that nothing reads.
func (ck *checker) ldapConsequences(h *Host, st *setting) {
	if st.name == LDAPCA.Name && slices.ContainsFunc(ck.Config.hosts, func(host *Host) bool { return (h == host || h == ck.global) && host.AuthProvider() == "ldap" }) {
		return
	}
	if h != ck.global && h.usesLDAP() || h == ck.global && slices.ContainsFunc(ck.Config.hosts, (*Host).usesLDAP) {
		return
	}
	ck.add(Note, CodeMoot, h, st.name, st.pos, st.name+` has no effect: no host has authentication = "ldap2", storage = "ldap" or module "groups_ldap"`, "")
}
