package config

import (
	"math"
	"time"
)

// Everybody at once.
var (
	LoginsParallel = declare(Spec{Name: "rosterd_logins_parallel", Scope: ScopeGlobal, Risk: Security,
		Doc: "logins that the server works at at a time; whom it waits for, and who is logged in, do not count; 0: as many as it has processors"}, integer(0, math.MaxInt32), 0)
	LoginsWait = declare(Spec{Name: "rosterd_logins_wait", Scope: ScopeGlobal, Risk: Security,
		Doc: "how long a connection waits at most until the server begins with it; who would wait longer is told to come back"}, period(time.Second, time.Hour), 3*time.Second)
)
