package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"rosterd/config"
	"rosterd/engine/addr"
	"rosterd/engine/groups"
	"rosterd/store"
)

// maxGroupRows is how many bytes the answer of a database may have.
const maxGroupRows = 64 << 20

// sqlKey tells two databases with groups apart. Usernames are those of the host.
type sqlKey struct {
	at    config.SQL
	query string
	host  string
}

func (k sqlKey) String() string { return "groups_sql " + k.query }

// sqlGroups asks a database for the groups of a host.
func sqlGroups(h *config.Host) (groupSource, error) {
	s := h.GroupsDatabase()
	if s.Database == "" {
		return groupSource{}, errors.New("groups_sql does not name the database")
	}
	if s.Driver == store.DriverSQLite && !filepath.IsAbs(s.Database) { // as Prosody looks for its own
		s.Database = filepath.Join(config.DataPath.Get(h), s.Database)
	}
	db, err := store.OpenForeign(s.Driver, store.Server{Database: s.Database, Username: s.Username, Password: s.Password, Host: s.Host, Port: s.Port})
	if err != nil {
		return groupSource{}, err
	}
	source := &sqlSource{db: db, query: config.GroupsQuery.Get(h), host: h.Name}
	runtime.AddCleanup(source, func(db *store.Foreign) { db.Close() }, db) // whoever asks last, after a reload too
	return groupSource{
		key: sqlKey{s, source.query, h.Name}, name: db.String(), ask: source,
		every: config.GroupsSQLRefresh.Get(h), timeout: config.BackendTimeout.Get(h),
	}, nil
}

// sqlSource is a database with groups.
type sqlSource struct {
	db          *store.Foreign
	query, host string
}

// Groups asks the database.
func (s *sqlSource) Groups(ctx context.Context) (*groups.Set, []groups.Problem, error) {
	var list []groups.Group
	var odd []groups.Problem
	of := make(map[string]int) // in list, by name
	err := s.db.Ask(ctx, s.query, 2, 4, maxGroupRows, func(row []string) error {
		name, public, who, err := s.row(row)
		if err != nil {
			if len(odd) < maxOdd {
				odd = append(odd, groups.Problem{Reason: fmt.Sprintf("a member of the group %q: %v", row[0], err)})
			}
			return nil
		}
		at, known := of[name]
		if !known {
			at = len(list)
			of[name], list = at, append(list, groups.Group{Name: name})
		}
		list[at].Public = list[at].Public || public
		list[at].Members = append(list[at].Members, who)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	set, problems := groups.New(list)
	return set, append(odd, problems...), nil
}

// maxOdd is how many rows are told of that make no sense.
const maxOdd = 100

// row reads one: group, member, perhaps his name, perhaps whether the group is everybody's.
func (s *sqlSource) row(row []string) (group string, public bool, who groups.Member, err error) {
	if strings.Contains(row[1], "@") {
		who.JID, err = addr.ParseBare(row[1])
	} else {
		who.JID, err = addr.NewBare(row[1], s.host)
	}
	if err == nil && who.JID.Local() == "" {
		err = fmt.Errorf("%q is no user", row[1])
	}
	if err == nil && len(row) > 2 {
		who.Name = row[2]
	}
	if err == nil && len(row) > 3 {
		switch strings.ToLower(row[3]) {
		case "1", "t", "true":
			public = true
		case "", "0", "f", "false":
		default:
			err = fmt.Errorf("%q does not say whether the group is everybody's", row[3])
		}
	}
	return row[0], public, who, err
}
