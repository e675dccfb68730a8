package config

import (
	"math"
	"time"
)

// Messages for users who are not there (module offline).
var (
	OfflineMessages = declare(Spec{Name: "rosterd_offline_messages", Owner: "offline",
		Doc: "messages that wait for a user who is offline; more are returned"}, integer(1, math.MaxInt32), 1000)
	OfflineSize = declare(Spec{Name: "rosterd_offline_size", Owner: "offline",
		Doc: "bytes of messages that wait for a user who is offline; more are returned"}, size(64*kib, 1024*mib), 4*mib)
)

// The archive (module mam).
var (
	ArchiveExpires = declare(Spec{Name: "archive_expires_after", Owner: "mam",
		Doc: "age at which messages leave the archive"}, period(time.Minute, Forever), 7*24*time.Hour)
	ArchiveResults = declare(Spec{Name: "max_archive_query_results", Owner: "mam",
		Doc: "most messages in one answer of the archive"}, integer(1, 10_000), 50)
	ArchivePolicy = declare(Spec{Name: "default_archive_policy", Owner: "mam", Risk: Security,
		Doc: "what is archived of users who have not said what they want: true is all, false nothing, \"roster\" what is said with contacts"}, archivePolicy, "always")
	ArchiveStore = declare(Spec{Name: "archive_store", Owner: "mam",
		Doc: "store of the archive; that of what users want archived has its name with _prefs behind it"}, nonEmpty, "archive")
	ArchiveDrop = declare(Spec{Name: "dont_archive_namespaces", Owner: "mam",
		Doc: "namespaces of elements that are not kept of a message"}, listOf(nonEmpty), []string{"http://jabber.org/protocol/chatstates"})
	ArchiveSmart = declare(Spec{Name: "mam_smart_enable", Owner: "mam",
		Doc: "archive nothing of users whose clients have never asked for it"}, boolean, false)
	ArchiveTotal = declareFor(Spec{Name: "mam_include_total", Owner: "mam",
		Doc: "say in each answer how many messages there are in all; not by default where they never expire"}, boolean,
		func(h *Host) bool { return ArchiveExpires.Get(h) != Forever })
	ArchiveMessages = declare(Spec{Name: "rosterd_archive_messages", Owner: "mam",
		Doc: "messages in the archive of a user; the oldest go"}, integer(100, math.MaxInt32), 100_000)
	ArchiveSize = declare(Spec{Name: "rosterd_archive_size", Owner: "mam",
		Doc: "bytes of the messages in the archive of a user; the oldest go"}, size(mib, 1<<40), 256*mib)
)

// archivePolicy reads a truth value or "roster".
func archivePolicy(r *reading, v Value) (string, bool) {
	v, ok := r.scalar(v)
	if !ok {
		return "", false
	}
	switch v.v {
	case true, "true", int64(1), "always":
		return "always", true
	case false, "false", int64(0), "never":
		return "never", true
	case "roster":
		return "roster", true
	}
	r.fail(v, "takes true, false or \"roster\", not %s", r.show(v))
	return "", false
}
