package mirror

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"quire/cmd/quire/form"
)

// inMemory has temporary folders made where syncing costs nothing, on systems with such a place.
func inMemory(t *testing.T) {
	t.Helper()
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		t.Setenv("TMPDIR", "/dev/shm")
	}
}

// newTest makes a Mirror of a file with content, for revision 0.
func newTest(t *testing.T, content string) *Mirror {
	t.Helper()
	return newTestIn(t, t.TempDir(), content)
}

// newTestIn is newTest in a folder that is there.
func newTestIn(t *testing.T, dir, content string) *Mirror {
	t.Helper()
	file := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(file, []byte(content), 0o640); err != nil {
		t.Fatal(err)
	}
	m, err := Open(Options{File: file, Doc: "notes", Settle: time.Millisecond, Empty: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	m.state = state{Version: 1, Doc: "notes", Type: "text", Form: "text", Sum: sum(content)}
	return m
}

// TestWriteMergesWhatWasNotSeen writes a file that somebody saved after it was read.
func TestWriteMergesWhatWasNotSeen(t *testing.T) {
	for _, c := range []struct{ read, saved, target, want string }{
		{"one\n", "one\n", "one\ntwo\n", "one\ntwo\n"},
		{"one\n", "zero\none\n", "one\ntwo\n", "zero\none\ntwo\n"},
		{"one\n", "", "one\ntwo\n", "two\n"},
		{"one\n", "one\ntwo\n", "one\ntwo\n", "one\ntwo\n"},
		{"a b c\n", "a B c\n", "a b C\n", "a B C\n"},
	} {
		m := newTest(t, c.saved)
		got, err := m.write(t.Context(), c.read, c.target, writing{Rev: 1, Sum: sum(c.target)})
		if errors.Is(err, errChanged) { // where names cannot be exchanged, it is looked at again
			continue
		}
		content, readErr := os.ReadFile(m.opt.File)
		if err != nil || readErr != nil || got != string(content) {
			t.Errorf("%+v: %q, %q %v %v", c, got, content, err, readErr)
		}
		if c.saved == c.target { // both made the same change: it is there twice, as it would be on the server
			continue
		}
		if got != c.want {
			t.Errorf("read %q, then saved %q, written %q: got %q, want %q", c.read, c.saved, c.target, got, c.want)
		}
		if info, err := os.Stat(m.opt.File); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("the mode is %v, %v", info.Mode(), err)
		}
		for _, path := range []string{partPath(m.opt.File, 1), partPath(m.opt.File, 2)} {
			if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s is left: %v", path, err)
			}
		}
	}
}

func TestWriteLeavesWhatIsNoText(t *testing.T) {
	m := newTest(t, "caf\xe9\n")
	if _, err := m.write(t.Context(), "one\n", "one\ntwo\n", writing{Rev: 1}); !errors.Is(err, errUnfit) && !errors.Is(err, errChanged) {
		t.Errorf("got %v", err)
	}
	if content, err := os.ReadFile(m.opt.File); err != nil || string(content) != "caf\xe9\n" {
		t.Errorf("the file is %q, %v", content, err)
	}
	if err := os.Remove(m.opt.File); err != nil {
		t.Fatal(err)
	}
	if _, err := m.write(t.Context(), "one\n", "one\ntwo\n", writing{Rev: 1}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is gone: %v", err)
	}
	if _, err := os.Stat(m.opt.File); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it was made again: %v", err)
	}
}

// TestWriteKeepsJSON writes a JSON file that somebody saved after it was read, spaced otherwise: it has to be
// JSON after it, and what is none is left to whoever saved it.
func TestWriteKeepsJSON(t *testing.T) {
	const read, target = "{\n  \"n\": {\n    \"a\": 1\n  }\n}\n", "{\n  \"n\": {\n    \"a\": 1,\n    \"remote\": 2\n  }\n}\n"
	m := newTest(t, `{"n": {"a": 1, "local": 3}}`)
	m.state.Type, m.state.Form = "json0", "json"
	got, err := m.write(t.Context(), read, target, writing{Rev: 1, Sum: m.state.sumOf(target)})
	if !errors.Is(err, errChanged) { // where names cannot be exchanged, it is looked at again
		content, readErr := os.ReadFile(m.opt.File)
		if err != nil || readErr != nil || got != string(content) || !m.state.Form.Same(got, `{"n":{"a":1,"local":3,"remote":2}}`) {
			t.Errorf("%q, %q %v %v", got, content, err, readErr)
		}
	}
	for _, half := range []string{`{"n": {"a": 1, "lo`, "", strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)} {
		if err := os.WriteFile(m.opt.File, []byte(half), 0o640); err != nil {
			t.Fatal(err)
		}
		if _, err := m.write(t.Context(), read, target, writing{Rev: 1}); !errors.Is(err, errUnfit) && !errors.Is(err, errChanged) {
			t.Errorf("%.40q: got %v", half, err)
		}
		if content, err := os.ReadFile(m.opt.File); err != nil || string(content) != half {
			t.Errorf("the file is %q, %v", content, err)
		}
	}
}

// TestRecover cuts writing off at every moment, twice, while somebody saves the file at any two others, as a
// whole, or empties it in one and writes into it in the other. Every word has to be there once, whatever is found.
func TestRecover(t *testing.T) {
	const moments = 10
	inMemory(t)
	dir, runs := t.TempDir(), 0
	for first := range moments {
		for second := first; second < moments; second++ {
			for _, inPlace := range []bool{false, true} {
				if inPlace && (second == first || second > first+3) {
					continue
				}
				for cut, written := 0, false; !written; cut++ { // until nothing is left to cut off
					for again, recovered := 0, false; !recovered; again++ {
						runs++
						if written, recovered = recoverTwice(t, dir, first, second, cut, again, inPlace); t.Failed() {
							t.FailNow()
						}
					}
				}
			}
		}
	}
	t.Logf("%d runs", runs)
}

// recoverTwice is one run of TestRecover. It reports whether writing and recovering ended before they were cut off.
func recoverTwice(t *testing.T, dir string, first, second, cut, again int, inPlace bool) (written, recovered bool) {
	t.Helper()
	const base, target = "begin\nend\n", "begin\nremote\nend\n"
	name := fmt.Sprintf("saved at %d and %d, in place %t, cut off at %d and %d", first, second, inPlace, cut, again)
	m := newTestIn(t, dir, base)
	m.opt.Settle, m.opt.Empty = 100*time.Microsecond, time.Hour // nobody needs that: what was emptied is written some looks later
	if err := m.state.save(m.path); err != nil {
		t.Fatal(err)
	}
	e := &editor{t: t, file: m.opt.File, at: [2]int{first, second}, inPlace: inPlace}
	m, written = cutOff(m, e, cut, func(m *Mirror) error {
		_, err := m.write(t.Context(), base, target, writing{Rev: 7, Sum: sum(target)})
		return err
	})
	for i, cut := range []int{again, 1000} {
		var whole bool
		m, whole = cutOff(m, e, cut, func(m *Mirror) error {
			f, err := read(m.opt.File)
			if err != nil {
				return err
			}
			err = m.recover(t.Context(), f)
			if paths, listErr := parts(m.opt.File); err == nil && (listErr != nil || len(paths) > 0) {
				t.Errorf("%s: %v, %v are left", name, paths, listErr)
			}
			return err
		})
		if i == 0 {
			recovered = whole
		}
	}
	defer func() { // for the next run
		m.Close()
		if err := os.Remove(m.path); err != nil {
			t.Error(err)
		}
	}()
	e.finish()
	content, err := os.ReadFile(m.opt.File)
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	for _, word := range e.words {
		if n := strings.Count(text, word); n != 1 {
			t.Errorf("%s: %q is there %d times in %q", name, word, n, text)
		}
	}
	if n := strings.Count(text, "remote\n"); n != 1 && m.state.Base == 7 || n != 0 && m.state.Base == 0 {
		t.Errorf("%s: base %d, what others wrote is there %d times", name, m.state.Base, n)
	}
	left, err := filepath.Glob(m.opt.File + "*")
	paths, err2 := parts(m.opt.File)
	if err != nil || err2 != nil || len(left) != 1 || len(paths) > 0 {
		t.Errorf("%s: %v, %v are left", name, left, paths)
	}
	return written, recovered
}

// cutOff does something until the moment of that number, and begins anew with what is on disk. It reports whether
// that was done before.
func cutOff(m *Mirror, e *editor, moment int, do func(*Mirror) error) (again *Mirror, whole bool) {
	type cut struct{}
	defer func() {
		if r := recover(); r != nil && r != (cut{}) {
			panic(r)
		}
		m.Close()
		var err error
		if again, err = Open(m.opt); err != nil {
			e.t.Fatal(err)
		}
	}()
	n := 0
	m.between = func() {
		e.moment()
		if n++; n > moment {
			panic(cut{})
		}
	}
	if err := do(m); err != nil && !errors.Is(err, errChanged) {
		e.t.Fatal(err)
	}
	return m, true
}

// editor saves the file at two moments, or writes into it from the first to the second.
type editor struct {
	t       *testing.T
	file    string
	at      [2]int
	inPlace bool

	now   int
	words []string
	open  *os.File // being written into
	rest  string   // what is to be written into it yet
}

// moment is called at each.
func (e *editor) moment() {
	now := e.now
	e.now++
	if now != e.at[0] && now != e.at[1] {
		return
	}
	if e.open != nil {
		e.finish()
		return
	}
	content, err := os.ReadFile(e.file)
	if err != nil {
		e.t.Fatal(err)
	}
	word := fmt.Sprintf("local %d\n", now)
	e.words = append(e.words, word)
	text := word + string(content)
	if !e.inPlace {
		temp := e.file + "~"
		if err := os.WriteFile(temp, []byte(text), 0o640); err != nil {
			e.t.Fatal(err)
		}
		if err := os.Rename(temp, e.file); err != nil {
			e.t.Fatal(err)
		}
		return
	}
	if e.open, err = os.OpenFile(e.file, os.O_WRONLY|os.O_TRUNC, 0); err != nil {
		e.t.Fatal(err)
	}
	e.rest = text
}

// finish ends what is being written in place.
func (e *editor) finish() {
	if e.open == nil {
		return
	}
	if _, err := e.open.WriteString(e.rest); err != nil {
		e.t.Fatal(err)
	}
	if err := e.open.Close(); err != nil {
		e.t.Fatal(err)
	}
	e.open = nil
}

// TestRecoverKeepsWhatIsNoText has somebody save what no document can have just before a crash.
func TestRecoverKeepsWhatIsNoText(t *testing.T) {
	m := newTest(t, "one\n")
	write := func(path, content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The file is none: it is waited for, and nothing is lost meanwhile.
	write(m.opt.File, "one\ncaf\xe9\n")
	write(partPath(m.opt.File, 1), "zero\none\n")
	w := writing{Rev: 7, Sum: sum("one\ntwo\n"), Turn: 1, Was: "one\n", Target: sum("one\ntwo\n")}
	m.state.Writing = &w
	again := func() error {
		t.Helper()
		f, err := read(m.opt.File)
		if err != nil {
			t.Fatal(err)
		}
		return m.recover(t.Context(), f)
	}
	for range 2 {
		if err := again(); !errors.Is(err, errUnfit) || m.state.Writing == nil {
			t.Fatalf("a file that is no text: %v", err)
		}
	}
	write(m.opt.File, "one\ncaf\u00e9\n")
	if err := again(); err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(m.opt.File); err != nil || string(content) != "zero\none\ncaf\u00e9\n" {
		t.Errorf("the file is %q, %v", content, err)
	}
	// What was saved is none: it is kept.
	write(partPath(m.opt.File, 1), "caf\xe9\n")
	m.state.Writing = &w
	if err := again(); err != nil {
		t.Fatal(err)
	}
	kept, err := filepath.Glob(m.opt.File + ".kept-*")
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept: %v, %v", kept, err)
	}
	if content, err := os.ReadFile(kept[0]); err != nil || string(content) != "caf\xe9\n" {
		t.Errorf("kept %q, %v", content, err)
	}
}

// TestOpenKeepsWhatWasReplaced finds what a crash left of making a file the same as the document for the first time.
func TestOpenKeepsWhatWasReplaced(t *testing.T) {
	for _, c := range []struct {
		begun bool
		part  string
		kept  int
	}{{false, "mine\n", 1}, {false, "one\n", 0}, {true, "mine\n", 0}} {
		m := newTest(t, "one\n")
		if c.begun {
			if err := m.state.save(m.path); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(partPath(m.opt.File, 1), []byte(c.part), 0o600); err != nil {
			t.Fatal(err)
		}
		m.Close()
		m, err := Open(m.opt)
		if err != nil {
			t.Fatal(err)
		}
		m.Close()
		kept, err := filepath.Glob(m.opt.File + ".kept-*")
		if err != nil || len(kept) != c.kept {
			t.Errorf("%+v: kept %v, %v", c, kept, err)
		}
		if _, err := os.Stat(partPath(m.opt.File, 1)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%+v: it is left: %v", c, err)
		}
	}
}

func TestMerge(t *testing.T) {
	for _, c := range []struct{ base, mine, theirs, want string }{
		{"", "", "", ""},
		{"a\n", "a\nb\n", "a\n", "a\nb\n"},
		{"a\n", "a\n", "a\nb\n", "a\nb\n"},
		{"a\n", "a\nb\n", "a\nb\n", "a\nb\n"},
		{"one two three", "one 2 three", "ONE two three", "ONE 2 three"},
		{"x", "", "xy", "y"},
		{"😀é\r\n", "😀é!\r\n", "👍😀é\r\n", "👍😀é!\r\n"},
	} {
		if got, err := merge(form.Text, c.base, c.mine, c.theirs); err != nil || got != c.want {
			t.Errorf("merge(%q, %q, %q) is %q, %v; want %q", c.base, c.mine, c.theirs, got, err, c.want)
		}
	}
	if got, err := merge(form.Markdown, "a\n", "a *b*\n", "# c\n\na\n"); err != nil || got != "# c\n\na *b*\n" {
		t.Errorf("Markdown: %q, %v", got, err)
	}
}

func TestDamagedState(t *testing.T) {
	m := newTest(t, "one\n")
	opt := m.opt
	for _, content := range []string{"", "{", "[]", `{"version":2}`, `{"version":1,"doc":"notes","type":"text","sum":"x","base":-1}`} {
		if err := os.WriteFile(m.path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		m.Close()
		again, err := Open(opt)
		if err == nil || !strings.Contains(err.Error(), "remove it to begin anew") {
			t.Errorf("%q: %v", content, err)
			if again != nil {
				again.Close()
			}
		}
	}
}

// TestMergeOfMany merges many new lines on both sides, each of which has to be there once.
func TestMergeOfMany(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 1))
	for range 300 {
		n := 0
		with := func(lines []string) []string {
			lines = slices.Clone(lines)
			for range random.IntN(60) {
				lines = slices.Insert(lines, random.IntN(len(lines)+1), fmt.Sprintf("line %d\n", n))
				n++
			}
			return lines
		}
		base := with([]string{"begin\n", "end\n"})
		mine, theirs := with(base), with(base)
		got, err := merge(form.Text, strings.Join(base, ""), strings.Join(mine, ""), strings.Join(theirs, ""))
		if err != nil {
			t.Fatal(err)
		}
		lines := slices.Collect(strings.Lines(got))
		for i := range n {
			if c := len(lines) - len(slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return l == fmt.Sprintf("line %d\n", i) })); c != 1 {
				t.Fatalf("seed %d: line %d is there %d times of\n%s", seed, i, c, got)
			}
		}
	}
}
