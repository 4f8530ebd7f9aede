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

// TestRecover goes on after a crash in each moment of writing a file that somebody saved in that very moment.
func TestRecover(t *testing.T) {
	const base, saved, target, merged = "one\n", "zero\none\n", "one\ntwo\n", "zero\none\ntwo\n"
	first := writing{Rev: 7, Sum: sum(target), Was: sum(base), Files: []string{sum(target)}}
	second := first
	second.Files, second.Merged = []string{sum(target), sum(merged)}, sum(saved)
	for _, c := range []struct {
		name, file, unseen string
		w                  writing
		want, kept         string
	}{
		{"before what was saved is merged", target, saved, first, merged, ""},
		{"before that is written", target, saved, second, merged, ""},
		{"after that was written", merged, saved, second, merged, ""},
		{"after what was saved was put aside for good", merged, "", second, merged, ""},
		{"saved again in that moment", merged, "zero\n0\none\ntwo\n", second, merged, "zero\n0\none\ntwo\n"},
		{"edited since", "zero\none\ntwo\nthree\n", saved, second, "zero\none\ntwo\nthree\n", saved},
	} {
		m := newTest(t, c.file)
		m.state.Sum, m.state.Sending, m.state.Writing = sum(base), &sending{Content: base}, &c.w
		if c.unseen != "" {
			if err := os.WriteFile(unseenPath(m.opt.File), []byte(c.unseen), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		f, err := read(m.opt.File)
		if err == nil {
			err = m.recover(t.Context(), f)
		}
		content, readErr := os.ReadFile(m.opt.File)
		if err != nil || readErr != nil || string(content) != c.want || m.state.Base != 7 || m.state.Writing != nil {
			t.Errorf("%s: the file is %q, want %q; base %d; %v %v", c.name, content, c.want, m.state.Base, err, readErr)
		}
		kept, err := filepath.Glob(m.opt.File + ".kept-*")
		if err != nil || len(kept) != min(1, len(c.kept)) {
			t.Errorf("%s: kept %v, %v", c.name, kept, err)
		}
		for _, path := range kept {
			if content, err := os.ReadFile(path); err != nil || string(content) != c.kept {
				t.Errorf("%s: kept %q, %v", c.name, content, err)
			}
		}
		if _, err := os.Stat(unseenPath(m.opt.File)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: it is left aside: %v", c.name, err)
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
