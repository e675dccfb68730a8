package store

import (
	"fmt"
	"path/filepath"

	"rosterd/engine/addr"
	"rosterd/store/dat"
)

// maxBlocklistFile bounds what is read of a blocklist.
const maxBlocklistFile = 16 << 20

// ProsodyBlocklist reads whom a user has blocked as Prosody's "internal" storage keeps it in a data_path; nobody if
// there is no such file. What is no address is left out: nobody has it. The error names the file.
func ProsodyBlocklist(dataPath string, user addr.Bare) (list []addr.JID, err error) {
	path := filepath.Join(folder(dataPath).hostDir(user.Domain()), "blocklist", EscapeName(user.Local())+".dat")
	src, err := readUpTo(path, maxBlocklistFile)
	if isAbsent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("blocklist of %s: %w", user, err)
	}
	v, err := dat.Parse(src)
	if err != nil {
		return nil, fmt.Errorf("blocklist of %s: %s: %w", user, path, err)
	}
	t, ok := v.(*dat.Table)
	if !ok {
		return nil, fmt.Errorf("blocklist of %s: %s: not a table", user, path)
	}
	for _, f := range t.Fields { // under false is when it was made
		if jid, ok := f.Key.(string); ok {
			if j, err := addr.Parse(jid); err == nil {
				list = append(list, j)
			}
		}
	}
	return list, nil
}
