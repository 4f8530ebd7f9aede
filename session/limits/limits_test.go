package limits

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestPace(t *testing.T) {
	now := time.Unix(1, 0)
	p := NewPace(&Rate{Name: RequestRate, PerSecond: 10})
	take := func() (n int) {
		for p.Allow(now) {
			n++
		}
		return n
	}
	for _, c := range []struct {
		wait time.Duration
		want int
	}{{0, 20}, {0, 0}, {500 * time.Millisecond, 5}, {time.Hour, 20}} {
		now = now.Add(c.wait)
		if got := take(); got != c.want {
			t.Errorf("after %v: %d, want %d", c.wait, got, c.want)
		}
	}
	for _, c := range []struct {
		n    int
		wait time.Duration
		over bool
	}{{1, 100 * time.Millisecond, false}, {4, MaxWait, false}, {1, 0, true}, {21, 0, true}} {
		wait, over := Take(now, c.n, nil, p)
		if wait != c.wait || (over != nil) != c.over {
			t.Errorf("%d: wait %v, over %v; want %v, %v", c.n, wait, over, c.wait, c.over)
		}
	}
	if NewPace(&Rate{}) != nil || !NewPace(&Rate{}).Allow(now) {
		t.Error("no rate is a bound")
	}
}

// TestTableIsBounded: who uses a Pace keeps it, and those that nobody uses do not add up.
func TestTableIsBounded(t *testing.T) {
	now := time.Unix(1, 0)
	table := NewTable[int](Rate{Name: AuthorRate, PerSecond: 1})
	mine := table.Get(-1)
	for mine.Allow(now) {
	}
	for i := range maxIdle + maxIdle/4 {
		if !table.Allow(i, now) {
			t.Fatalf("key %d has nothing", i)
		}
	}
	if n := table.Len(); n > maxIdle+2 {
		t.Fatalf("%d are kept", n)
	}
	if table.Get(-1) != mine || table.Allow(-1, now) {
		t.Error("the one in use was forgotten")
	}
	table.Put(-1, now)
	table.Put(-1, now)
	if table.Allow(-1, now) {
		t.Error("it was forgotten before it was full")
	}
	none := NewTable[int](Rate{})
	for range 100 {
		if !none.Allow(1, now) {
			t.Fatal("no rate is a bound")
		}
	}
}

func TestCounts(t *testing.T) {
	c := NewCounts[string](2)
	for i, want := range []bool{true, true, false} {
		if n, ok := c.Enter("a", 0); ok != want || ok && n != i+1 {
			t.Errorf("%d: %d, %v", i, n, ok)
		}
	}
	if n, ok := c.Enter("a", 1); !ok || n != 3 {
		t.Errorf("one over: %d, %v", n, ok)
	}
	if _, ok := c.Enter("b", 0); !ok {
		t.Error("another has no room")
	}
	for range 3 {
		c.Leave("a")
	}
	c.Leave("b")
	if len(c.n) != 0 {
		t.Errorf("%v is left", c.n)
	}
	for range 100 {
		if _, ok := NewCounts[string](0).Enter("a", 0); !ok {
			t.Fatal("none is a bound")
		}
	}
}

func TestBudget(t *testing.T) { synctest.Test(t, testBudget) }

func testBudget(t *testing.T) {
	b := NewBudget(10)
	ctx := context.Background()
	take := func(n int) func() {
		t.Helper()
		done, err := b.Take(ctx, n)
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
	six, four := take(6), take(4)
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := b.Take(gone, 1); err == nil {
		t.Error("there was room")
	}
	four()
	for range 20 { // what there is is had, though ctx has ended
		done, err := b.Take(gone, 4)
		if err != nil {
			t.Fatal(err)
		}
		done()
	}
	four = take(4)
	got := make(chan int, 2)
	for i, n := range []int{100, 1} { // the one that came first goes first
		go func() {
			take(n)()
			got <- i
		}()
		synctest.Wait()
	}
	six()
	six()
	if b.Used() != 4 {
		t.Errorf("%d is used", b.Used())
	}
	four()
	if <-got != 0 || <-got != 1 || b.Used() != 0 {
		t.Errorf("%d is used in the end", b.Used())
	}
}

// TestShares: who has its part waits for its own, and others do not.
func TestShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewShares[string](10, 5)
		ctx := context.Background()
		take := func(key string, n int) func() {
			t.Helper()
			done, err := s.Take(ctx, key, n)
			if err != nil {
				t.Fatal(err)
			}
			return done
		}
		refused := func(key string) {
			t.Helper()
			short, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			if _, err := s.Take(short, key, 1); err == nil {
				t.Errorf("%s has more", key)
			}
		}
		a := take("a", 100) // its part
		refused("a")
		b, c := take("b", 3), take("c", 2)
		refused("b") // it may have more, but nothing is left
		a()
		a()
		got := make(chan struct{})
		go func() {
			take("c", 3)()
			close(got)
		}()
		<-got
		b()
		c()
		if len(s.used) != 0 || s.all.Used() != 0 {
			t.Errorf("%v is left, and %d", s.used, s.all.Used())
		}
	})
}

func TestAll(t *testing.T) {
	all := All()
	slices.Sort(all)
	if n := len(slices.Compact(all)); n != len(All()) {
		t.Error("a name is there twice")
	}
}
