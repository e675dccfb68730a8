package archive

// Encoded is what is kept of preferences: the value for the store, under "".
func Encoded(p *Preferences) []byte { return encode(p) }
