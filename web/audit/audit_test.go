package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func lines(t *testing.T, file string) (out []Event) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var e Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		out = append(out, e)
	}
	return out
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// TestRotation renames the file as a rotation does: what comes before Reopen goes to the old
// one, what comes after to a new one, and nothing is lost.
func TestRotation(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.log")
	l, err := Open(file, quiet())
	if err != nil {
		t.Fatal(err)
	}
	l.Write(Event{What: Delete, Who: Who{Author: "ada", Kind: "token", Credential: "t1"}, From: netip.MustParseAddr("192.0.2.1"), Doc: "a\nb", Req: "r1"})
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	l.Write(Event{What: Login})
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	l.Write(Event{What: Logout, Outcome: "forbidden", Detail: map[string]string{"link": "x"}})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l.Write(Event{What: Stop}) // is lost, and harms nobody
	if data, err := os.ReadFile(file); err != nil || !regexp.MustCompile(`^{"time":"2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z","what":"logout","who":`).Match(data) {
		t.Errorf("%v, %s", err, data)
	}
	before, after := lines(t, file+".1"), lines(t, file)
	if len(before) != 2 || before[0].Doc != "a\nb" || before[0].Who.Author != "ada" || before[0].From.String() != "192.0.2.1" || before[0].Outcome != OK || before[0].Time.IsZero() {
		t.Errorf("%+v", before)
	}
	if len(after) != 1 || after[0].What != Logout || after[0].Outcome != "forbidden" || after[0].Detail["link"] != "x" {
		t.Errorf("%+v", after)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others may read it: %v, %v", info.Mode(), err)
	}
}

// TestRefusalsAreBounded provokes more refusals than are written: one address does not keep
// another's out, what was done is written always, and the rest is counted.
func TestRefusalsAreBounded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.log")
	l, err := Open(file, quiet())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_700_000_000, 0)
	l.now = func() time.Time { return now }
	refused := func(from string) {
		l.Write(Event{What: Refused, From: netip.MustParseAddr(from), Outcome: "unauthenticated"})
	}
	for i := range 1000 {
		refused(fmt.Sprintf("2001:db8::%x", i)) // one customer's network
	}
	if n := len(lines(t, file)); n != refusalsBurst {
		t.Errorf("%d refusals of one address were written, not %d", n, refusalsBurst)
	}
	refused("192.0.2.7")
	l.Write(Event{What: Delete, From: netip.MustParseAddr("2001:db8::1")})
	now = now.Add(time.Minute)
	refused("2001:db8::1")
	got := lines(t, file)[refusalsBurst:]
	if len(got) != 3 || got[0].From.String() != "192.0.2.7" || got[0].Suppressed != 1000-refusalsBurst || got[1].What != Delete || got[2].Suppressed != 0 {
		t.Errorf("%+v", got)
	}
}

// TestFullDisk writes to a file that takes nothing: it is said once, counted, and harms
// nobody.
func TestFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("this system has no /dev/full")
	}
	var log bytes.Buffer
	l, err := Open("/dev/full", slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		l.Write(Event{What: Login})
	}
	if l.Failures() != 3 || strings.Count(log.String(), "cannot be written") != 1 {
		t.Errorf("%d failures; the log:\n%s", l.Failures(), log.String())
	}
}

// TestNobodyListens calls everything of a log that is not kept.
func TestNobodyListens(t *testing.T) {
	var l *Log
	l.Write(Event{What: Login})
	if l.Reopen() != nil || l.Close() != nil || l.Failures() != 0 {
		t.Error("a log that is not kept fails")
	}
}
