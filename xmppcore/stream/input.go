package stream

// input is what has been read and not yet used. While it is empty it holds no
// buffer.
type input struct {
	buf  []byte
	r, w int // buf[r:w] is there
}

func (in *input) bytes() []byte { return in.buf[in.r:in.w] }
func (in *input) empty() bool   { return in.r == in.w }

// adopt makes a chunk that has been filled the input, which must be empty.
func (in *input) adopt(b *[chunk]byte, n int) {
	in.release()
	in.buf, in.r, in.w = b[:], 0, n
}

// advance uses n bytes up.
func (in *input) advance(n int) { in.r += n }

// room returns space behind what is there. The input moves to the front or
// doubles if there is none.
func (in *input) room() []byte {
	switch {
	case in.buf == nil:
		in.buf = chunks.Get().(*[chunk]byte)[:]
	case in.w < len(in.buf):
	case in.r > 0:
		in.w = copy(in.buf, in.bytes())
		in.r = 0
	default:
		old := in.buf
		in.buf = make([]byte, 2*len(old))
		copy(in.buf, old)
		recycle(old)
	}
	return in.buf[in.w:]
}

// discard forgets what is there (RFC 6120 §5.4.3.3).
func (in *input) discard() {
	in.r = in.w
	in.release()
}

// release gives the buffer back if nothing is in it.
func (in *input) release() {
	if in.empty() && in.buf != nil {
		recycle(in.buf)
		*in = input{}
	}
}

func recycle(b []byte) {
	if len(b) == chunk {
		chunks.Put((*[chunk]byte)(b))
	}
}
