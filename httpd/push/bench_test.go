package push_test

import (
	"context"
	"fmt"
	"testing"

	"rosterd/engine/addr"
	"rosterd/httpd/push"
)

// One call that makes many users contacts of each other, in a database in memory.
func BenchmarkPushAllToAll(b *testing.B) {
	for _, n := range []int{50, 300} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			users := make([]addr.Bare, n)
			for i := range users {
				users[i] = addr.MustBare(fmt.Sprintf("u%d@example.com", i))
			}
			h := newHouse(b, func(a *push.API) {
				a.Hosts["example.com"].Items = n * n
				a.Hosts["example.com"].Users = func(context.Context) ([]addr.Bare, error) { return users, nil }
			})
			round := 0
			for b.Loop() {
				round++
				if got := h.ask(b, fmt.Sprintf(`POST /api/push_alltoall {"host":"example.com","group":"G%d"}`, round), bearer); got != "200 0" {
					b.Fatal(got)
				}
			}
		})
	}
}
