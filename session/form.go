package session

import "encoding/binary"

// appender writes a binary form.
type appender struct{ data []byte }

func (w *appender) number(n uint64) { w.data = binary.AppendUvarint(w.data, n) }

func (w *appender) text(s string) {
	w.number(uint64(len(s)))
	w.data = append(w.data, s...)
}

// taker reads a binary form. Once something is not there, bad is set and everything is 0.
type taker struct {
	data []byte
	bad  bool
}

func (r *taker) number() uint64 {
	n, size := binary.Uvarint(r.data)
	if size <= 0 {
		r.data, r.bad = nil, true
		return 0
	}
	r.data = r.data[size:]
	return n
}

// count reads how many things of at least a byte follow.
func (r *taker) count() int {
	n := r.number()
	if n > uint64(len(r.data)) {
		r.data, r.bad = nil, true
		return 0
	}
	return int(n)
}

func (r *taker) text() string {
	n := r.count()
	s := string(r.data[:n])
	r.data = r.data[n:]
	return s
}
