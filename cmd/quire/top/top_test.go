package top

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rivo/uniseg"

	"quire/cmd/quire/remote"
)

// server answers with a frame, or why not.
type server struct {
	frame Frame
	asked []string
	err   error
}

func (s *server) Status(context.Context) (remote.Status, error) { return s.frame.Status, s.err }

func (s *server) Sessions(_ context.Context, by string, _ int) (remote.Sessions, error) {
	s.asked = append(s.asked, by)
	return remote.Sessions{Sessions: s.frame.Sessions}, nil
}

func (s *server) Connections(context.Context, string, int) (remote.Connections, error) {
	return remote.Connections{Connections: s.frame.Connections}, nil
}

// paper is a terminal that a test types at, a key after each picture.
type paper struct {
	typed  []string
	keys   chan string
	shown  []string
	width  int
	height int
}

func (p *paper) Size() (int, int) { return p.width, p.height }

func (p *paper) Keys() <-chan string { return p.keys }

func (p *paper) Draw(lines []string) {
	p.shown = append(p.shown, strings.Join(lines, "\n"))
	if len(p.typed) > 0 {
		p.keys <- p.typed[0]
		p.typed = p.typed[1:]
	}
}

// TestWatch looks at a server whose documents have names that would disturb the terminal, on a small one.
func TestWatch(t *testing.T) {
	s := &server{}
	s.frame.Status = remote.Status{Version: "1", Why: "the disk is full"}
	s.frame.Sessions = []remote.Session{{Doc: "evil\x1b[2J\u202etxt", Rate: 12.5}, {Doc: strings.Repeat("漢字", 40)}, {Doc: "third"}}
	s.frame.Connections = []remote.Connection{{ID: "c1", Author: "ada\r\n", Address: "192.0.2.7"}}
	p := &paper{typed: []string{"j", "s", "\t", "q"}, keys: make(chan string, 10), width: 50, height: 14}
	if err := watch(t.Context(), s, "rate", time.Hour, p); err != nil {
		t.Fatal(err)
	}
	all := strings.Join(p.shown, "\n")
	if strings.Contains(all, "\x1b[2J") || strings.Contains(all, "\u202e") || strings.Contains(all, "\r") {
		t.Errorf("a name disturbs the terminal: %q", all)
	}
	if first := p.shown[0]; !strings.Contains(first, "! not ready: the disk is full") || !strings.Contains(first, "evil") {
		t.Errorf("at first:\n%s", first)
	}
	if second := p.shown[1]; strings.Contains(second, "evil") || !strings.Contains(second, "third") {
		t.Errorf("scrolled:\n%s", second)
	}
	if last := p.shown[len(p.shown)-1]; !strings.Contains(last, "192.0.2.7") || strings.Contains(last, "third") {
		t.Errorf("connections:\n%s", last)
	}
	for _, picture := range p.shown {
		lines := strings.Split(picture, "\n")
		for _, line := range lines {
			for _, code := range []string{"\x1b[1m", "\x1b[2m", "\x1b[7m", "\x1b[1;31m", "\x1b[0m"} {
				line = strings.ReplaceAll(line, code, "")
			}
			if len(lines) > 14 || uniseg.StringWidth(line) > 50 {
				t.Errorf("%d lines, %d wide: %q", len(lines), uniseg.StringWidth(line), line)
			}
		}
	}
	if len(s.asked) < 1 || s.asked[0] != "rate" {
		t.Errorf("asked for %v", s.asked)
	}
	s.err = errors.New("nobody there")
	if err := watch(t.Context(), s, "rate", time.Hour, &paper{keys: make(chan string), width: 80, height: 24}); err == nil || err.Error() != "nobody there" {
		t.Errorf("without a server: %v", err)
	}
}
