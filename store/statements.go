package store

import (
	"context"
	"database/sql"
	"slices"
	"strconv"
	"strings"
)

// statements are queries to one database, written with "?" for what varies. Those that are often asked are parsed once.
type statements struct {
	db       *sql.DB
	desk     *desk                // where it is asked; not in transactions
	numbered bool                 // "$1", "$2" … instead of "?"
	parsed   map[string]*sql.Stmt // by query; does not change

	// Of the parsed, those that take microseconds, and are asked at a desk: whoever asks can leave when he likes, and no
	// goroutines are started that would end what has ended by then. It does not change.
	brief []string
}

// newStatements parses queries.
func newStatements(ctx context.Context, db *sql.DB, queries ...string) (*statements, error) {
	s := &statements{db: db, parsed: map[string]*sql.Stmt{}}
	for _, query := range queries {
		st, err := db.PrepareContext(ctx, query)
		if err != nil {
			return nil, err
		}
		s.parsed[query] = st
	}
	return s, nil
}

// text is a query in the words of this database.
func (s *statements) text(query string) string {
	if !s.numbered {
		return query
	}
	var b strings.Builder
	for i, part := range strings.Split(query, "?") {
		if i > 0 {
			b.WriteString("$" + strconv.Itoa(i))
		}
		b.WriteString(part)
	}
	return b.String()
}

// row asks for one row, in a transaction unless that is nil.
func (s *statements) row(ctx context.Context, tx *sql.Tx, query string, args ...any) *sql.Row {
	st := s.parsed[query]
	switch {
	case st != nil && tx != nil:
		return tx.StmtContext(ctx, st).QueryRowContext(ctx, args...)
	case st != nil && slices.Contains(s.brief, query):
		return st.QueryRowContext(context.Background(), args...)
	case st != nil:
		return st.QueryRowContext(ctx, args...)
	case tx != nil:
		return tx.QueryRowContext(ctx, s.text(query), args...)
	default:
		return s.db.QueryRowContext(ctx, s.text(query), args...)
	}
}

// exec changes something, in a transaction unless that is nil.
func (s *statements) exec(ctx context.Context, tx *sql.Tx, query string, args ...any) (sql.Result, error) {
	st := s.parsed[query]
	switch {
	case st != nil && tx != nil:
		return tx.StmtContext(ctx, st).ExecContext(ctx, args...)
	case tx != nil:
		return tx.ExecContext(ctx, s.text(query), args...)
	default:
		return s.db.ExecContext(ctx, s.text(query), args...)
	}
}

// rows asks for rows.
func (s *statements) rows(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if st := s.parsed[query]; st != nil {
		return st.QueryContext(ctx, args...)
	}
	return s.db.QueryContext(ctx, s.text(query), args...)
}
