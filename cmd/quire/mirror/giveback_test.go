package mirror

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// put writes a file, as an editor does in place.
func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o640); err != nil {
		t.Fatal(err)
	}
}

// save gives a file another content, as an editor does by a new file.
func save(t *testing.T, path, content string) {
	t.Helper()
	put(t, path+"~", content)
	if err := os.Rename(path+"~", path); err != nil {
		t.Fatal(err)
	}
}

// has checks what a file has.
func has(t *testing.T, path, want string) {
	t.Helper()
	if content, err := os.ReadFile(path); err != nil || string(content) != want {
		t.Errorf("%s is %q, %v; want %q", filepath.Base(path), content, err, want)
	}
}

// onlyLinux skips where names cannot be exchanged.
func onlyLinux(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("NOT RUN here: the names of two files cannot be exchanged")
	}
}

// recovers recovers as the next step does.
func (m *Mirror) recovers(t *testing.T) error {
	t.Helper()
	f, err := read(m.opt.File)
	if err != nil {
		t.Fatal(err)
	}
	return m.recover(t.Context(), f)
}

// kept returns the one file that was kept aside.
func (m *Mirror) kept(t *testing.T) string {
	t.Helper()
	paths, err := filepath.Glob(m.opt.File + ".kept-*")
	if err != nil || len(paths) != 1 {
		t.Fatalf("kept: %v, %v", paths, err)
	}
	return paths[0]
}

// TestWriteWaitsForTheRest has somebody write into the file in pieces, the first of which make it what it was.
func TestWriteWaitsForTheRest(t *testing.T) {
	onlyLinux(t)
	m := newTest(t, "one\n")
	looks := 0
	m.between = func() {
		if looks++; looks == 3 { // the file has just been replaced
			part := partPath(m.opt.File, 1)
			soon := time.Now().Add(time.Hour) // so that it does not matter how long the first look takes
			put(t, part, "one\n")
			if err := os.Chtimes(part, soon, soon); err != nil {
				t.Fatal(err)
			}
		} else if looks == 5 { // it was looked at once
			put(t, partPath(m.opt.File, 1), "one\nthree\n")
		}
	}
	if _, err := m.write(t.Context(), "one\n", "zero\none\n", writing{Rev: 1}); err != nil {
		t.Fatal(err)
	}
	has(t, m.opt.File, "zero\none\nthree\n")
}

// TestWriteIsStopped ends the sync while what somebody saved is waited for: the file has it again at once.
func TestWriteIsStopped(t *testing.T) {
	onlyLinux(t)
	for _, again := range []string{"", "saved again\n"} {
		m := newTest(t, "saved\none\n")
		m.opt.Settle = time.Hour
		ctx, cancel := context.WithCancel(t.Context())
		looks := 0
		m.between = func() {
			if looks++; looks == 4 {
				if again != "" {
					save(t, m.opt.File, again+"one\ntwo\n")
				}
				cancel()
			}
		}
		if _, err := m.write(ctx, "one\n", "one\ntwo\n", writing{Rev: 7}); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		m.between, m.opt.Settle = nil, time.Millisecond
		want := "saved\none\n"
		if again != "" { // that stays, and what was saved before is merged in
			has(t, m.opt.File, again+"one\ntwo\n")
			want = again + "saved\none\ntwo\n"
		}
		if again == "" {
			has(t, m.opt.File, want)
		}
		if err := m.recovers(t); err != nil {
			t.Fatal(err)
		}
		has(t, m.opt.File, want)
		if done := m.state.Base == 7; done != (again != "") {
			t.Errorf("saved again %q: the base is %d", again, m.state.Base)
		}
	}
}

// TestWriteGivesUp has somebody write without end into the file that was replaced: it is the file again.
func TestWriteGivesUp(t *testing.T) {
	onlyLinux(t)
	for _, crash := range []bool{false, true} {
		m := newTest(t, "one\n")
		f, err := os.OpenFile(m.opt.File, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		m.opt.Settle, m.opt.Empty = 20*time.Millisecond, 20*time.Millisecond
		m.between = func() {
			if _, err := f.WriteString("more\n"); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if crash {
			put(t, m.opt.File+"~", "zero\none\n")
			if err := errors.Join(os.Rename(m.opt.File, partPath(m.opt.File, 1)), os.Rename(m.opt.File+"~", m.opt.File)); err != nil {
				t.Fatal(err)
			}
			m.state.Writing = &writing{Rev: 7, Turn: 1, Was: "one\n", Target: sum("zero\none\n")}
			look, readErr := read(m.opt.File)
			if readErr != nil {
				t.Fatal(readErr)
			}
			err = m.recover(ctx, look)
		} else {
			_, err = m.write(ctx, "one\n", "zero\none\n", writing{Rev: 7})
		}
		if !later(err) {
			t.Fatalf("crash %t: %v", crash, err)
		}
		there, err := os.Stat(m.opt.File)
		mine, err2 := f.Stat()
		if err != nil || err2 != nil || !os.SameFile(there, mine) {
			t.Errorf("crash %t: what is written into is not the file, %v %v", crash, err, err2)
		}
		m.between = nil
		if err := m.recovers(t); err != nil || m.state.Writing != nil || m.state.Base != 0 {
			t.Errorf("crash %t: %v, base %d", crash, err, m.state.Base)
		}
	}
}

// TestUnfitIsNotPutOverNewer has somebody save what no document can have and then what one can: that stays.
func TestUnfitIsNotPutOverNewer(t *testing.T) {
	onlyLinux(t)
	m := newTest(t, "caf\xe9\none\n")
	looks := 0
	m.between = func() {
		if looks++; looks == 4 {
			save(t, m.opt.File, "caf\u00e9\none\n")
		}
	}
	if _, err := m.write(t.Context(), "one\n", "one\ntwo\n", writing{Rev: 1}); err != nil {
		t.Fatal(err)
	}
	has(t, m.opt.File, "caf\u00e9\none\n")
	has(t, m.kept(t), "caf\xe9\none\n")
}

// TestRecoverGivesBackWhatIsNoFile finds after a crash that the file was replaced by what cannot be read.
func TestRecoverGivesBackWhatIsNoFile(t *testing.T) {
	onlyLinux(t)
	for name, c := range map[string]func(string) error{
		"a folder": func(path string) error { return os.Mkdir(path, 0o700) },
		"too large": func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, maxFile+1))
		},
	} {
		m := newTest(t, "one\ntwo\n")
		if err := c(partPath(m.opt.File, 1)); err != nil {
			t.Fatal(err)
		}
		m.state.Writing = &writing{Rev: 7, Turn: 1, Was: "one\n", Target: sum("one\ntwo\n")}
		if err := m.recovers(t); !later(err) {
			t.Errorf("%s: %v", name, err)
		}
		has(t, partPath(m.opt.File, 1), "one\ntwo\n")
		if _, err := read(m.opt.File); err == nil {
			t.Errorf("%s: the file is not what it was", name)
		}
	}
}

// TestLeftParts finds parts of several turns with no word of them in the state, beside those of a file with a longer name.
func TestLeftParts(t *testing.T) {
	for _, begun := range []bool{true, false} {
		m := newTest(t, "one\n")
		other := filepath.Join(filepath.Dir(m.opt.File), "notes.txt.quire-part1")
		put(t, partPath(other, 1), "another's\n")
		if begun {
			if err := m.state.save(m.path); err != nil {
				t.Fatal(err)
			}
		}
		for n, content := range []string{"half of wha", "one\n", "two\n", "three\n"} {
			put(t, partPath(m.opt.File, n), content)
		}
		m.Close()
		m, err := Open(m.opt)
		if err != nil {
			t.Fatal(err)
		}
		m.Close()
		if paths, err := parts(m.opt.File); err != nil || len(paths) > 0 {
			t.Errorf("begun %t: %v, %v are left", begun, paths, err)
		}
		has(t, partPath(other, 1), "another's\n")
		kept, err := filepath.Glob(m.opt.File + ".kept-*")
		if err != nil || begun && len(kept) > 0 || !begun && len(kept) != 2 {
			t.Fatalf("begun %t: kept %v, %v", begun, kept, err)
		}
		if !begun {
			has(t, kept[0], "two\n")
			has(t, kept[1], "three\n")
		}
	}
}

// TestRest begins to wait anew whenever the file is another one than before.
func TestRest(t *testing.T) {
	var r rest
	if wait := r.left(mark{size: 1}, time.Hour); wait != time.Hour {
		t.Errorf("seen for the first time: %v", wait)
	}
	r.since = r.since.Add(-30 * time.Minute)
	if wait := r.left(mark{size: 1}, time.Hour); wait > 30*time.Minute {
		t.Errorf("left alone for half an hour: %v", wait)
	}
	if wait := r.left(mark{size: 2}, time.Hour); wait != time.Hour {
		t.Errorf("changed: %v", wait)
	}
	r.since = r.since.Add(-time.Hour)
	if wait := r.left(mark{size: 2}, time.Hour); wait > 0 {
		t.Errorf("left alone for an hour: %v", wait)
	}
}

// TestWriteFails has no new turn be prepared after somebody saved the file just before it was written: the file is as it was saved.
func TestWriteFails(t *testing.T) {
	onlyLinux(t)
	for _, crash := range []bool{false, true} {
		m := newTest(t, "saved\none\n")
		obstacle := partPath(m.opt.File, 2)
		if err := os.MkdirAll(filepath.Join(obstacle, "full"), 0o700); err != nil {
			t.Fatal(err)
		}
		var err error
		if crash {
			m.state.Writing = &writing{Rev: 7, Turn: 1, Was: "one\n", Target: sum("one\ntwo\n")}
			if err := os.Rename(m.opt.File, partPath(m.opt.File, 1)); err != nil {
				t.Fatal(err)
			}
			put(t, m.opt.File, "one\ntwo\n")
			err = m.recovers(t)
		} else {
			_, err = m.write(t.Context(), "one\n", "one\ntwo\n", writing{Rev: 7})
		}
		if err == nil || later(err) {
			t.Errorf("crash %t: %v", crash, err)
		}
		has(t, m.opt.File, "saved\none\n")
		if err := os.RemoveAll(obstacle); err != nil {
			t.Fatal(err)
		}
		if err := m.state.load(m.path); err != nil {
			t.Fatal(err)
		}
		if err := m.recovers(t); err != nil || m.state.Base != 0 {
			t.Errorf("crash %t: %v, base %d", crash, err, m.state.Base)
		}
		has(t, m.opt.File, "saved\none\n")
	}
}
