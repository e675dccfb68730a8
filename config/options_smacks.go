package config

import (
	"math"
	"regexp"
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

// Client state indication (module csi_simple).
var (
	CSIQueueSize = declare(Spec{Name: "csi_queue_size",
		Doc: "stanzas that may wait for a client at which nobody looks"}, integer(1, 100_000), 256)
	CSIResumeDelay = declare(Spec{Name: "csi_resume_inactive_delay",
		Doc: "how long nothing waits after what has waited was sent"}, period(0, time.Hour), 5*time.Second)
	CSIImportant = declare(Spec{Name: "csi_important_payloads",
		Doc: "messages that do not wait, by what is in them: {namespace}name, or a path of such names with / between"}, listOf(payloadPath), nil)
)

var payloadForm = regexp.MustCompile(`^(\{[^{}]+\}[^/{}@#]*|[^/{}@#]+)(/(\{[^{}]+\}[^/{}@#]*|[^/{}@#]+))*$`)

// payloadPath is a path of elements as Prosody's stanza:find takes it, without what leads to text or attributes.
func payloadPath(r *reading, v Value) (string, bool) {
	s, ok := text(r, v)
	if ok && !payloadForm.MatchString(s) {
		r.fail(v, "takes {namespace}name, or a path of such names with / between, not %s", r.show(v))
		return "", false
	}
	return s, ok
}
