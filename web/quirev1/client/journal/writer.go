package journal

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Writer writes a journal. What was noted is written when Flush returns. Not safe for concurrent use.
type Writer struct {
	w     *bufio.Writer
	enc   *json.Encoder
	began time.Time
	err   error
}

// NewWriter makes a Writer to w. began is the beginning of the run, the same for all journals
// that are compared.
func NewWriter(w io.Writer, began time.Time) *Writer {
	b := bufio.NewWriter(w)
	return &Writer{w: b, enc: json.NewEncoder(b), began: began}
}

// Err returns why the journal could not be written, or nil.
func (w *Writer) Err() error { return w.err }

// Note adds an event; it sets At.
func (w *Writer) Note(e Event) {
	e.At = int64(time.Since(w.began))
	if err := w.enc.Encode(&e); err != nil && w.err == nil {
		w.err = fmt.Errorf("journal: %w", err)
	}
}

// Flush writes what was noted.
func (w *Writer) Flush() {
	if err := w.w.Flush(); err != nil && w.err == nil {
		w.err = fmt.Errorf("journal: %w", err)
	}
}
