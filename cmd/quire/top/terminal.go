package top

import (
	"bytes"
	"fmt"
	"os"

	"golang.org/x/term"
)

// screen is a real terminal in raw mode, on its alternate screen.
type screen struct {
	in, out *os.File
	before  *term.State
	keys    chan string
}

// open takes the terminal over. Close it.
func open(in, out *os.File) (*screen, error) {
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, fmt.Errorf("the keyboard cannot be read: %w", err)
	}
	s := &screen{in: in, out: out, before: before, keys: make(chan string)}
	fmt.Fprint(out, "\x1b[?1049h\x1b[?25l")
	go s.read() // until the process ends: a read of a terminal cannot be called off
	return s, nil
}

// close gives the terminal back as it was.
func (s *screen) close() {
	fmt.Fprint(s.out, "\x1b[?25h\x1b[?1049l")
	_ = term.Restore(int(s.in.Fd()), s.before)
}

// read passes on what is typed; what comes at once is one key.
func (s *screen) read() {
	defer close(s.keys)
	buf := make([]byte, 64)
	for {
		n, err := s.in.Read(buf)
		if err != nil {
			return
		}
		s.keys <- string(buf[:n])
	}
}

// Size implements terminal.
func (s *screen) Size() (width, height int) {
	w, h, err := term.GetSize(int(s.out.Fd()))
	if err != nil {
		return 80, 24
	}
	return w, h
}

// Keys implements terminal.
func (s *screen) Keys() <-chan string { return s.keys }

// Draw implements terminal, in one write so that nothing flickers.
func (s *screen) Draw(lines []string) {
	var b bytes.Buffer
	b.WriteString("\x1b[H")
	for i, line := range lines {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(line)
		b.WriteString("\x1b[K")
	}
	b.WriteString("\x1b[J")
	_, _ = s.out.Write(b.Bytes())
}
