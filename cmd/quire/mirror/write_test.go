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

// newTest makes a Mirror of a file with content, for revision 0.
func newTest(t *testing.T, content string) *Mirror {
	t.Helper()
	file := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(file, []byte(content), 0o640); err != nil {
		t.Fatal(err)
	}
	m, err := Open(Options{File: file, Doc: "notes"})
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
		got, err := m.write(c.read, c.target, writing{Rev: 1, Sum: sum(c.target)})
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
		for _, path := range []string{tempPath(m.opt.File), unseenPath(m.opt.File)} {
			if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s is left: %v", path, err)
			}
		}
	}
}

func TestWriteLeavesWhatIsNoText(t *testing.T) {
	m := newTest(t, "caf\xe9\n")
	if _, err := m.write("one\n", "one\ntwo\n", writing{Rev: 1}); !errors.Is(err, errUnfit) && !errors.Is(err, errChanged) {
		t.Errorf("got %v", err)
	}
	if content, err := os.ReadFile(m.opt.File); err != nil || string(content) != "caf\xe9\n" {
		t.Errorf("the file is %q, %v", content, err)
	}
	if err := os.Remove(m.opt.File); err != nil {
		t.Fatal(err)
	}
	if _, err := m.write("one\n", "one\ntwo\n", writing{Rev: 1}); !errors.Is(err, fs.ErrNotExist) {
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
	got, err := m.write(read, target, writing{Rev: 1, Sum: m.state.sumOf(target)})
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
		if _, err := m.write(read, target, writing{Rev: 1}); !errors.Is(err, errUnfit) && !errors.Is(err, errChanged) {
			t.Errorf("%.40q: got %v", half, err)
		}
		if content, err := os.ReadFile(m.opt.File); err != nil || string(content) != half {
			t.Errorf("the file is %q, %v", content, err)
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
	if near, err := nearer(form.Text, "a b c d", "a b d", "a x y"); err != nil || !near {
		t.Errorf("nearer: %v, %v", near, err)
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
