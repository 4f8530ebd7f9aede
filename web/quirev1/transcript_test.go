package quirev1_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"quire/ot"
	"quire/ot/diff"
	"quire/ot/text"
	"quire/session"
	"quire/web/auth"
	"quire/web/quirev1"
	"quire/web/webtest"
)

// TestTranscripts replays testdata/*.txt; see webtest.Replay. A small server allows
// documents of 100 bytes, runs of 4 operations and 3 documents on a connection.
// Incarnations are random. A token reads like the words of webtest.Identity.
func TestTranscripts(t *testing.T) {
	webtest.Replay(t, webtest.Script{
		Options: session.Options{Types: []ot.Type{text.Type{}}, Diff: diff.Between, Limits: session.Limits{CompositeAfter: 8}},
		Small:   func(opt *session.Options) { opt.Limits.Document, opt.Limits.Run = 100, 4 },
		Serve: func(m *session.Manager, small bool) webtest.Server {
			opt := quirev1.Options{Manager: m, Server: "quire 0.1.0", Instance: "f3a1c2d4", MaxMessage: 1 << 20, PingEvery: 25 * time.Second}
			opt.Renew = func(_ context.Context, pass *auth.Pass, token string) *session.Error {
				i, err := webtest.Identity(strings.Fields(token))
				if err != nil {
					return session.Errorf(session.CodeUnauthenticated, "the token is not valid")
				}
				pass.Set(i)
				return nil
			}
			if small {
				opt.MaxDocs = 3
			}
			p := quirev1.New(opt)
			return webtest.Server{Connect: func(pass *auth.Pass, wake func()) (webtest.Conn, func(*webtest.Peer) bool) {
				c := p.Connect(pass, wake)
				return c, func(peer *webtest.Peer) bool { return c.Send(peer) }
			}}
		},
		Random: regexp.MustCompile(`"inc":"([0-9a-f]{16})"`),
		First:  0x9f86d081884c7d65,
	})
}

// TestProtocolPage checks that every exchange that docs/protocol.md quotes is in a
// transcript, word for word.
func TestProtocolPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	played := map[string]bool{}
	files, _ := filepath.Glob("testdata/*.txt")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			if _, msg, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
				played[msg] = true
			}
		}
	}
	quoted := regexp.MustCompile(`(?m)^(?:client>|server<) (.*)$`).FindAllStringSubmatch(string(page), -1)
	if len(quoted) < 10 {
		t.Fatalf("the page quotes %d messages", len(quoted))
	}
	for _, q := range quoted {
		if !played[q[1]] {
			t.Errorf("no transcript has\n%s", q[1])
		}
	}
}
