package scan

// Prolog returns the length of the XML declaration that a document begins with,
// and of the space around it. The document is complete. It refuses, with an
// *Error, encodings that are not UTF-8.
func Prolog(b []byte) (n int, err error) {
	if n = skipSpace(b, 0); n == len(b) {
		return n, nil
	}
	declared, err := prolog(b[n:])
	if err == ErrMore {
		err = refuse(NotWellFormed, len(b), "a document without an element")
	}
	return n + declared, err
}
