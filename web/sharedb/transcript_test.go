package sharedb_test

import (
	"io"
	"log/slog"
	"testing"

	"go.uber.org/goleak"

	"quire/ot"
	"quire/ot/delta"
	"quire/ot/diff"
	"quire/ot/json0"
	"quire/ot/ottypes"
	"quire/ot/text"
	"quire/ot/text0"
	"quire/ot/textunicode"
	"quire/session"
	"quire/web/auth"
	"quire/web/sharedb"
	"quire/web/webtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// types are those that the dialects are of.
func types() []ot.Type {
	return []ot.Type{text.Type{}, delta.Type{}, json0.Type{}, text0.Type{}, textunicode.Type{}}
}

func dialects() []sharedb.Dialect {
	var out []sharedb.Dialect
	for _, t := range ottypes.All() {
		out = append(out, t)
	}
	return out
}

// letters makes ids A, B, C and so on.
func letters() func() string {
	n := -1
	return func() string {
		n++
		return string(rune('A' + n))
	}
}

// TestTranscripts replays testdata/*.txt; see webtest.Replay. The connections' random ids
// are A, B and so on, in order. A small server allows documents of 100 bytes and 3
// documents on a connection.
func TestTranscripts(t *testing.T) {
	ids := letters()
	webtest.Replay(t, webtest.Script{
		Options: session.Options{Types: types(), Diff: diff.Between},
		Small:   func(opt *session.Options) { opt.Limits.Document = 100 },
		Serve: func(m *session.Manager, small bool) webtest.Server {
			opt := sharedb.Options{Manager: m, Dialects: dialects(), NewID: func() string { return ids() }, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
			if small {
				opt.MaxDocs = 3
			}
			p := sharedb.New(opt)
			return webtest.Server{
				Connect: func(pass *auth.Pass, wake func()) (webtest.Conn, func(*webtest.Peer) bool) {
					c := p.Connect(pass, wake)
					return c, func(peer *webtest.Peer) bool { return c.Send(peer) }
				},
				Close: p.Close,
			}
		},
		Begin: func() { ids = letters() },
	})
}
