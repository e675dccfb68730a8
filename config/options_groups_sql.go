package config

import (
	"regexp"
	"time"
)

// Groups in a database of somebody else's.
var (
	groupsSQL = declare(Spec{Name: "groups_sql", Risk: Security, Secret: true, Owner: "groups_sql",
		Doc: "the database in which groups_sql_query is asked, as in sql, whose is asked if this is not set; driver may also be MySQL"}, sqlTable, SQL{})
	GroupsQuery = declare(Spec{Name: "groups_sql_query", Risk: Security, Owner: "groups_sql",
		Doc: "SELECT whose rows are members of groups: name of the group, username or JID of the member, and if there are more columns his name, and whether everybody has the group's members as contacts"}, query, "")
	GroupsSQLRefresh = declare(Spec{Name: "groups_sql_refresh", Owner: "groups_sql",
		Doc: "time after which groups_sql_query is asked again; a refresh of anybody does so at once"}, period(time.Second, 24*time.Hour), 5*time.Minute)
)

// GroupsInSQL is where module groups_sql has them.
const GroupsInSQL GroupSource = "groups_sql"

// GroupsDatabase is where the groups of the host are.
func (h *Host) GroupsDatabase() SQL {
	if s, _, set := groupsSQL.Lookup(h); set {
		return s
	}
	return SQLDatabase.Get(h)
}

var asksOnly = regexp.MustCompile(`(?i)^[\s(]*(SELECT|WITH|VALUES|TABLE)\b`)

// query reads a question to a database. What changes something there is a mistake, which not all databases refuse.
func query(r *reading, v Value) (string, bool) {
	s, ok := nonEmpty(r, v)
	if ok && !asksOnly.MatchString(s) {
		r.fail(v, "takes a SELECT")
		return "", false
	}
	return s, ok
}
