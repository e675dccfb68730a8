package config

import (
	"math"
	"time"
)

// Stream management (module smacks).
var (
	SmacksHibernation = declare(Spec{Name: "smacks_hibernation_time",
		Doc: "how long a session whose connection is lost waits to be resumed; 0: not at all"}, period(0, 24*time.Hour), 10*time.Minute)
	SmacksUnacked = declare(Spec{Name: "smacks_max_unacked_stanzas",
		Doc: "stanzas that a client may have unacknowledged before it is asked to acknowledge them"}, integer(0, math.MaxInt32), 0)
	SmacksInactive = declare(Spec{Name: "smacks_max_inactive_unacked_stanzas",
		Doc: "the same while the client says that nobody looks at it (module csi)"}, integer(0, math.MaxInt32), 256)
	SmacksHibernated = declare(Spec{Name: "smacks_max_hibernated_sessions",
		Doc: "sessions of an account that may wait to be resumed at a time; the oldest gives way"}, integer(1, math.MaxInt32), 10)
	SmacksOld = declare(Spec{Name: "smacks_max_old_sessions",
		Doc: "sessions of an account that are over of which is kept how much of what the client said was handled"}, integer(0, math.MaxInt32), 10)
)
