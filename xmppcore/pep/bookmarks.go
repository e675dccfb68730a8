package pep

// Where bookmarks are (XEP-0402), and where they were (XEP-0048).
const (
	nodeBookmarks       = "urn:xmpp:bookmarks:1"
	nodeLegacyBookmarks = "storage:bookmarks"
)
