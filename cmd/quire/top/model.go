package top

import (
	"context"
	"slices"
	"sync"
	"time"
)

// model is the live view: what is shown, and what the person wants to see.
type model struct {
	by, connBy    string
	conns         bool // connections are shown, not documents
	skip          int  // rows that were scrolled past
	width, height int
	frame         Frame
	shown         bool  // there is a frame
	failed        error // why there is no newer one
}

// key does what a key is for. again says that a frame is wanted at once.
func (m *model) key(key string) (again, quit bool) {
	switch key {
	case "q", "\x1b", "\x03":
		return false, true
	case "\t", "c":
		m.conns, m.skip = !m.conns, 0
	case "s":
		m.skip, again = 0, true
		if m.conns {
			m.connBy = next(connOrders, m.connBy)
		} else {
			m.by = next(orders, m.by)
		}
	case "j", "\x1b[B", "\x1bOB":
		m.skip++
	case "k", "\x1b[A", "\x1bOA":
		m.skip--
	case " ", "\x1b[6~":
		m.skip += m.height / 2
	case "\x1b[5~":
		m.skip -= m.height / 2
	}
	n := len(m.frame.Sessions)
	if m.conns {
		n = len(m.frame.Connections)
	}
	m.skip = max(0, min(m.skip, n-1))
	return again, false
}

// next returns what comes after one of all, round and round.
func next(all []string, one string) string { return all[(slices.Index(all, one)+1)%len(all)] }

// terminal is where a person looks and types.
type terminal interface {
	// Size returns its size in characters.
	Size() (width, height int)
	// Draw shows lines, each at most as wide as it is.
	Draw(lines []string)
	// Keys brings what is typed; nil is what is read from it when it is closed.
	Keys() <-chan string
}

// resized is how often the terminal is asked for its size.
const resized = 200 * time.Millisecond

// taken is a frame that was asked for, or why there is none.
type taken struct {
	f   Frame
	err error
}

// watch shows frames until the person wants no more or ctx ends. A server that
// cannot be asked at first is an error; later it is shown.
func watch(ctx context.Context, from source, by string, every time.Duration, t terminal) error {
	var asked sync.WaitGroup // nobody asks any more once it is over
	defer asked.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m := &model{by: by, connBy: connOrders[0]}
	answers := make(chan taken, 1)
	asking := false
	ask := func() {
		if asking {
			return
		}
		asking = true
		by, connBy := m.by, m.connBy
		asked.Go(func() {
			f, err := take(ctx, from, by, connBy)
			answers <- taken{f, err}
		})
	}
	ask()
	due := time.NewTicker(every)
	defer due.Stop()
	look := time.NewTicker(resized)
	defer look.Stop()
	for {
		draw := true
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-due.C:
			ask()
			draw = false
		case <-look.C:
			w, h := t.Size()
			draw = w != m.width || h != m.height
		case a := <-answers:
			asking = false
			if m.failed = a.err; a.err == nil {
				m.frame, m.shown = a.f, true
			} else if !m.shown {
				return a.err
			}
		case key, open := <-t.Keys():
			again, quit := m.key(key)
			if quit || !open {
				return nil
			}
			if again {
				ask()
			}
		}
		if draw && m.shown {
			m.width, m.height = t.Size()
			t.Draw(m.screen())
		}
	}
}
