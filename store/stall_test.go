package store

import (
	"context"
	"database/sql"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// lines is a log without times and values.
type lines struct {
	slog.Handler
	mu   sync.Mutex
	list []string
}

func (l *lines) Enabled(context.Context, slog.Level) bool { return true }

func (l *lines) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, r.Level.String()+" "+r.Message)
	return nil
}

func (l *lines) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = nil
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.list, "\n")
}

// A database that has stopped is said once, whatever in it has, and so is that it goes on.
func TestStallIsSaid(t *testing.T) {
	const stopped, on = "ERROR a database has stopped: nothing comes back from it", "INFO a database that had stopped goes on"
	commits := func(s *Store, thaw <-chan struct{}) {
		go s.tables.writer.change(context.Background(), func(context.Context, *sql.Tx, *batch) error { <-thaw; return nil })
		time.Sleep(2 * stalling)
	}
	questions := func(s *Store, thaw <-chan struct{}) {
		for range 10 {
			go s.desk.do(context.Background(), func(context.Context) error { <-thaw; return nil })
			time.Sleep(stalling / 2)
		}
	}
	for name, stop := range map[string]func(*Store, <-chan struct{}){
		"commits": commits, "questions": questions, "both": func(s *Store, thaw <-chan struct{}) { commits(s, thaw); questions(s, thaw) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := &lines{}
				s, err := OpenMemory(slog.New(log))
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				if s.StoresStats().Stalled {
					t.Error("it has stopped before")
				}
				for range 2 {
					log.reset()
					thaw := make(chan struct{})
					stop(s, thaw)
					synctest.Wait()
					if got := log.String(); got != stopped || !s.StoresStats().Stalled {
						t.Errorf("it has stopped: %v, logged %q", s.StoresStats().Stalled, got)
					}
					close(thaw)
					time.Sleep(time.Second)
					synctest.Wait()
					if got := log.String(); got != stopped+"\n"+on || s.StoresStats().Stalled {
						t.Errorf("it goes on: %v, logged %q", !s.StoresStats().Stalled, got)
					}
				}
				time.Sleep(time.Hour)
				for range 3 {
					if err := s.desk.do(t.Context(), func(context.Context) error { return nil }); err != nil {
						t.Error(err)
					}
				}
				if got := strings.Count(log.String(), "\n"); got != 1 {
					t.Errorf("said when it is quiet: %s", log)
				}
			})
		})
	}
}
