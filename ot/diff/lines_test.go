package diff_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"quire/ot"
	"quire/ot/diff"
)

func TestUnified(t *testing.T) {
	ten := "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n"
	for _, c := range []struct {
		from, to string
		context  int
		want     string
	}{
		{"a\n", "a\n", 3, ""},
		{"", "a\nb\n", 3, "@@ -0,0 +1,2 @@\n+a\n+b\n"},
		{"a\n", "", 3, "@@ -1 +0,0 @@\n-a\n"},
		{"a", "a\n", 3, "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n"},
		{"a\nb", "axb", 3, "@@ -1,2 +1 @@\n-a\n-b\n\\ No newline at end of file\n+axb\n\\ No newline at end of file\n"},
		{ten, strings.Replace(ten, "5", "five", 1), 1, "@@ -4,3 +4,3 @@\n 4\n-5\n+five\n 6\n"},
		{ten, strings.Replace(ten, "5\n", "", 1), 0, "@@ -5 +4,0 @@\n-5\n"},
		{ten, strings.Replace(ten, "5\n", "5\nnew\n", 1), 0, "@@ -5,0 +6 @@\n+new\n"},
		{ten, strings.NewReplacer("2\n", "", "4\n", "four\n").Replace(ten), 1, "@@ -1,5 +1,4 @@\n 1\n-2\n 3\n-4\n+four\n 5\n"},
		{ten, strings.NewReplacer("2\n", "", "8\n", "eight\n").Replace(ten), 1, "@@ -1,3 +1,2 @@\n 1\n-2\n 3\n@@ -7,3 +6,3 @@\n 7\n-8\n+eight\n 9\n"},
	} {
		want := c.want
		if want != "" {
			want = "--- x\n+++ y\n" + want
		}
		if got := diff.Unified("x", "y", c.from, c.to, c.context); got != want {
			t.Errorf("from %q to %q:\n%swant\n%s", c.from, c.to, got, want)
		}
	}
}

// TestUnifiedPatches has patch(1) make the second text of the first.
func TestUnifiedPatches(t *testing.T) {
	if _, err := exec.LookPath("patch"); err != nil {
		t.Skip("NOT RUN: there is no patch(1) here")
	}
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(4, 4))
	for i := range 40 {
		lines := func() string {
			var s strings.Builder
			for range r.IntN(30) {
				fmt.Fprintf(&s, "%c\n", 'a'+rune(r.IntN(4)))
			}
			return strings.TrimSuffix(s.String(), []string{"\n", ""}[r.IntN(2)])
		}
		from, to := lines(), lines()
		if from == to || to == "" { // patch removes a file that becomes empty
			continue
		}
		name := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(name, []byte(from), 0o600); err != nil {
			t.Fatal(err)
		}
		patch := diff.Unified("x", "y", from, to, 1+r.IntN(3))
		cmd := exec.Command("patch", "--quiet", "--force", "--fuzz=0", name)
		cmd.Stdin = strings.NewReader(patch)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s\n%q to %q\n%s", err, out, from, to, patch)
		}
		if got := ok(os.ReadFile(name)); string(got) != to {
			t.Fatalf("%q to %q became %q by\n%s", from, to, got, patch)
		}
	}
}

func TestLines(t *testing.T) {
	for _, c := range []struct{ typ, content, want string }{
		{"text", `"a\nb"`, "a\nb"},
		{"text-unicode", `"a\nb"`, "a\nb"},
		{"text0", `"a\nb"`, "a\nb"},
		{"delta", `[{"insert":"see "},{"insert":{"image":"a.png"},"attributes":{"width":2}},{"insert":"!\n","attributes":{"header":1}},{"insert":{}}]`, "see [image]!\n[object]"},
		{"json0", `null`, "null\n"},
		{"json0", `{"b":[1,{},[]],"a":"x\"y"}`, "{\n  \"a\": \"x\\\"y\",\n  \"b\": [\n    1,\n    {},\n    []\n  ]\n}\n"},
	} {
		typ := types[c.typ]
		if got := diff.Lines(typ, ok(typ.Create([]byte(c.content)))); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.typ, c.content, got, c.want)
		}
	}
}

// TestLinesOfDeepJSON is small JSON that would be laid out in gigabytes.
func TestLinesOfDeepJSON(t *testing.T) {
	const deep = 127
	content := strings.Repeat("[", deep) + strings.Repeat("1,", 1<<19) + "1" + strings.Repeat("]", deep)
	var typ ot.Type = types["json0"]
	if n := len(diff.Lines(typ, ok(typ.Create([]byte(content))))); n > 70<<20 {
		t.Errorf("%d bytes", n)
	}
}
