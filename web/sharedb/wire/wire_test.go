package wire_test

import (
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"quire/web/sharedb/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNames(t *testing.T) {
	for _, x := range []struct{ c, d, id string }{
		{"notes", "t1", "notes/t1"}, {"", "t1", "t1"}, {"a/b", "c/d", "a%2Fb/c/d"}, {"100%", "x", "100%25/x"}, {"%2F", "x", "%252F/x"},
		{"%", "/", "%25//"}, {"naïve", "🌍", "naïve/🌍"}, {"a.b", "c%d", "a.b/c%d"}, {"", "50%", "50%"},
	} {
		id, err := wire.FromCollection(x.c, x.d)
		if err != nil || id != x.id {
			t.Errorf("%q, %q: %q, %v; want %q", x.c, x.d, id, err, x.id)
		}
		if c, d, ok := wire.ToCollection(x.id); c != x.c || d != x.d || !ok {
			t.Errorf("%q: %q, %q, %v", x.id, c, d, ok)
		}
		if prefix, err := wire.Prefix(x.c); err != nil || prefix+x.d != x.id {
			t.Errorf("%q: prefix %q, %v", x.c, prefix, err)
		}
	}
	for _, x := range []struct{ c, d, message string }{
		{"notes", "", "Invalid id"}, {"notes", "__proto__", "Invalid id"}, {"", "a/b", "Invalid id"}, {"", "", "Invalid id"}, {"notes", "a\nb", "Invalid id"},
		{"constructor", "x", "Invalid collection"}, {"a\x00", "x", "Invalid collection"}, {"\xff", "x", "Invalid collection"}, {strings.Repeat("c", 600), "x", "Invalid collection"},
		{"c", strings.Repeat("d", 600), "Invalid id"}, {"toString", "__proto__", "Invalid collection"},
	} {
		if id, err := wire.FromCollection(x.c, x.d); err == nil || err.Code != wire.CodeBadlyFormed || err.Message != x.message {
			t.Errorf("%q, %q: %q, %v; want %q", x.c, x.d, id, err, x.message)
		}
	}
	// Ids that only other protocols can say.
	for _, id := range []string{"", "/x", "a%/x", "%41/x", "a%2f/x", "a/", "constructor/x", "a/__proto__", "valueOf"} {
		if c, d, ok := wire.ToCollection(id); ok {
			t.Errorf("%q: %q, %q", id, c, d)
		}
	}
}

func FuzzToCollection(f *testing.F) {
	for _, s := range []string{"a/b", "%252F/x", "%/x", "/", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, id string) {
		if c, d, ok := wire.ToCollection(id); ok {
			if again, err := wire.FromCollection(c, d); (err != nil || again != id) && len(id) <= 512 && strings.Contains(id, "/") {
				t.Fatalf("%q: %q, %q, which is %q, %v", id, c, d, again, err)
			}
		}
	})
}

func TestError(t *testing.T) {
	err := wire.Errorf(wire.CodeLimit, "%d \"x\"", 7)
	if got := string(err.Append(nil)); got != `{"code":"ERR_LIMIT_EXCEEDED","message":"7 \"x\""}` {
		t.Error(got)
	}
	if err.Error() != `ERR_LIMIT_EXCEEDED: 7 "x"` {
		t.Error(err)
	}
}

// TestWorker counts what is put into a box; each step takes out what is there.
func TestWorker(t *testing.T) {
	var group, producers sync.WaitGroup
	var box, taken, running, steps atomic.Int64
	all := make(chan struct{})
	w := wire.NewWorker(&group, slog.New(slog.DiscardHandler), func() {
		if running.Add(1) > 1 {
			t.Error("two steps at once")
		}
		steps.Add(1)
		if n := box.Swap(0); n > 0 && taken.Add(n) == 4000 {
			close(all)
		}
		running.Add(-1)
	})
	for range 4 {
		producers.Go(func() {
			for range 1000 {
				box.Add(1)
				w.Wake()
			}
		})
	}
	<-all
	producers.Wait()
	w.Stop()
	group.Wait()
	n := steps.Load()
	w.Wake()
	group.Wait()
	if steps.Load() != n {
		t.Error("a step after Stop")
	}
}

// TestWorkerSurvives has a step panic: the process goes on, and so does the worker.
func TestWorkerSurvives(t *testing.T) {
	var group sync.WaitGroup
	var log strings.Builder
	steps := 0
	w := wire.NewWorker(&group, slog.New(slog.NewTextHandler(&log, nil)), func() {
		if steps++; steps == 1 {
			panic("of a test")
		}
	})
	for range 2 {
		w.Wake()
		group.Wait()
	}
	if steps != 2 || !strings.Contains(log.String(), "of a test") {
		t.Errorf("%d steps, log %q", steps, log.String())
	}
}
