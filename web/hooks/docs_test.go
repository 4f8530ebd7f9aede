package hooks

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// snippet returns the code block of a language in docs/webhooks.md.
func snippet(t *testing.T, language string) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "webhooks.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "```"+language+"\n")
	code, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatalf("docs/webhooks.md has no code in %s", language)
	}
	return code
}

// TestVerificationExamples runs the code that docs/webhooks.md shows receivers.
func TestVerificationExamples(t *testing.T) {
	now := strconv.FormatInt(time.Now().Unix(), 10)
	old := strconv.FormatInt(time.Now().Add(-time.Hour).Unix(), 10)
	const secret = "a secret of some length"
	body := `{"doc":"ü","op":["<b>"]}`
	signature := func(stamp string) string { return "v1=" + sign(secret, stamp, []byte(body)) }
	type call struct {
		Secret, Timestamp, Signature, Body string
		want                               bool
	}
	calls := []call{
		{secret, now, signature(now), body, true},
		{secret, now, signature(now), body + " ", false},
		{"another", now, signature(now), body, false},
		{secret, old, signature(old), body, false},
		{secret, now, signature(old), body, false},
		{secret, now, "v1=", body, false},
		{secret, now, "", body, false},
		{secret, "soon", signature("soon"), body, false},
	}
	input, err := json.Marshal(calls)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		language, program string
		args              []string
		file, main, run   string
	}{
		{"go", "go", []string{"run", "."}, "verify.go", "main.go", `package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	var calls []struct{ Secret, Timestamp, Signature, Body string }
	if err := json.NewDecoder(os.Stdin).Decode(&calls); err != nil {
		panic(err)
	}
	for _, c := range calls {
		fmt.Println(Verify(c.Secret, c.Timestamp, c.Signature, []byte(c.Body)))
	}
}
`},
		{"js", "node", []string{"main.mjs"}, "verify.mjs", "main.mjs", `import { readFileSync } from "node:fs";
import { verify } from "./verify.mjs";
for (const c of JSON.parse(readFileSync(0))) console.log(verify(c.Secret, c.Timestamp, c.Signature, Buffer.from(c.Body)));
`},
		{"python", "python3", []string{"main.py"}, "verify.py", "main.py", `import json, sys
from verify import verify
for c in json.load(sys.stdin.buffer):
    print(str(verify(c["Secret"], c["Timestamp"], c["Signature"], c["Body"].encode())).lower())
`},
	} {
		t.Run(test.language, func(t *testing.T) {
			if _, err := exec.LookPath(test.program); err != nil {
				t.Skipf("%s is not here, so its example is not run", test.program)
			}
			dir := t.TempDir()
			code := strings.Replace(snippet(t, test.language), "package receiver\n", "package main\n", 1)
			for name, text := range map[string]string{test.file: code, test.main: test.run, "go.mod": "module example\n\ngo 1.26\n"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command(test.program, test.args...)
			cmd.Dir, cmd.Stdin = dir, strings.NewReader(string(input))
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			got := strings.Fields(string(out))
			if len(got) != len(calls) {
				t.Fatalf("%s", out)
			}
			for i, c := range calls {
				if got[i] != strconv.FormatBool(c.want) {
					t.Errorf("%+v: %s", c, got[i])
				}
			}
		})
	}
}
