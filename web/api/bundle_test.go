package api

import (
	"bufio"
	"strings"
	"testing"
	"time"

	"quire/session"
	"quire/web/stream"
)

// Few imports at once hold a long line; those of short ones go on.
func TestLongLinesOfBundles(t *testing.T) {
	a := New(Options{Streams: stream.New(stream.Options{}), Timeout: 10 * time.Millisecond})
	open := func(lines ...string) *importer {
		return &importer{a: a, lines: bufio.NewReader(strings.NewReader(strings.Join(lines, "\n") + "\n"))}
	}
	long := strings.Repeat("x", longLine+1)
	read := func(in *importer, want session.Code) {
		t.Helper()
		_, err := in.line()
		if err != nil && session.AsError(err).Code != want || err == nil && want != "" {
			t.Errorf("%v, want %q", err, want)
		}
	}
	var holding []*importer
	for range longLines {
		in := open(long, "short", long)
		read(in, "")
		holding = append(holding, in)
	}
	read(open(long), session.CodeBusy)
	short := open("short", "short", long)
	read(short, "")
	read(short, "")
	read(holding[0], "") // the next line, a short one
	read(short, "")
	read(holding[0], session.CodeBusy)
	for _, in := range append(holding, short) {
		in.release()
	}
	if n := len(a.longLines); n != 0 {
		t.Errorf("%d places are held", n)
	}
}
