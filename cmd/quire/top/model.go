package top

import (
	"context"
	"slices"
	"time"

	tea "github.com/charmbracelet/bubbletea"
)

// model is the live view, as bubbletea has it.
type model struct {
	// Static.
	ctx   context.Context
	from  source
	every time.Duration

	by, connBy    string
	conns         bool // connections are shown, not documents
	skip          int  // rows that were scrolled past
	width, height int
	frame         Frame
	shown         bool  // there is a frame
	failed        error // why there is no newer one
	asking        bool
}

type (
	framed struct {
		f   Frame
		err error
	}
	due struct{}
)

// Init asks for the first frame.
func (m *model) Init() tea.Cmd { return m.ask() }

// ask asks for a frame, one at a time.
func (m *model) ask() tea.Cmd {
	if m.asking {
		return nil
	}
	m.asking = true
	by, connBy := m.by, m.connBy
	return func() tea.Msg {
		f, err := take(m.ctx, m.from, by, connBy)
		return framed{f, err}
	}
}

// Update takes in what happened.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case framed:
		m.asking = false
		if m.failed = msg.err; msg.err == nil {
			m.frame, m.shown = msg.f, true
		} else if !m.shown {
			return m, tea.Quit
		}
		return m, tea.Tick(m.every, func(time.Time) tea.Msg { return due{} })
	case due:
		return m, m.ask()
	case tea.KeyMsg:
		return m, m.key(msg.String())
	}
	return m, nil
}

func (m *model) key(key string) tea.Cmd {
	switch key {
	case "q", "esc", "ctrl+c":
		return tea.Quit
	case "tab", "c":
		m.conns, m.skip = !m.conns, 0
	case "s":
		m.skip = 0
		if m.conns {
			m.connBy = next(connOrders, m.connBy)
		} else {
			m.by = next(orders, m.by)
		}
		return m.ask()
	case "down", "j":
		m.skip++
	case "up", "k":
		m.skip--
	case "pgdown", " ":
		m.skip += m.height / 2
	case "pgup":
		m.skip -= m.height / 2
	}
	n := len(m.frame.Sessions)
	if m.conns {
		n = len(m.frame.Connections)
	}
	m.skip = max(0, min(m.skip, n-1))
	return nil
}

// next returns what comes after one of all, round and round.
func next(all []string, one string) string { return all[(slices.Index(all, one)+1)%len(all)] }

// View is the screen.
func (m *model) View() string {
	if !m.shown {
		return "asking …\n"
	}
	return m.screen()
}
