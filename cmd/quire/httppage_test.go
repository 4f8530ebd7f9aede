package main

import (
	"flag"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"quire/web/auth"
)

var updatePage = flag.Bool("update", false, "write what the program answers now into docs/http.md and docs/cli.md")

// changing is what differs each time.
var changing = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z|[0-9a-f]{64}|-[0-9a-f]{16}(-[0-9a-f]{12})?"|"id":"([A-Z0-9]{16}|[\w-]{8})"|"secret":"[\w-]{51}"|/join#[\w-]{51}|127\.0\.0\.1:\d+|Eve~[0-9a-f]{8}`)

// everywhere are the headers that every answer has.
var everywhere = regexp.MustCompile(`(?m)^(Date|Server|Content-Length|Content-Security-Policy|X-[\w-]+|Referrer-Policy|Cross-Origin-[\w-]+|Permissions-Policy): .*\n`)

// requestID is in every problem, and another each time; the page says so once.
var requestID = regexp.MustCompile(`,"req":"[0-9a-f]{16}"`)

// TestHTTPPage runs the commands of docs/http.md, one after another, and compares what
// they print with what the page says.
func TestHTTPPage(t *testing.T) {
	for _, tool := range []string{"curl", "jq", "sh", "sed"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the commands of docs/http.md cannot be run: %v", err)
		}
	}
	_, url, _ := start(t, "--data", t.TempDir())
	asking, token := guarded(t)
	everything := auth.Grant{Docs: "*", Role: auth.Admin}
	env := append(os.Environ(), "Q="+strings.TrimSuffix(url, "/"), "S="+asking, "TOKEN="+token("tina", "acme", everything), "OPERATOR="+token("op", "", everything))
	runPage(t, "../../docs/http.md", &shell{t: t, dir: t.TempDir(), env: env}, stable)
}

// runPage runs the commands of a page and compares what they print, as far as stable leaves it, with
// what the page says. It returns the commands.
func runPage(t *testing.T, page string, sh *shell, stable func(string) string) (run []string) {
	t.Helper()
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for rest := string(data); ; {
		before, block, found := strings.Cut(rest, "```console\n")
		out.WriteString(before)
		if !found {
			break
		}
		out.WriteString("```console\n")
		block, rest, _ = strings.Cut(block, "```")
		for _, c := range commandsOf(block) {
			run = append(run, c.command)
			got := sh.run(c.command)
			if stable(got) == stable(c.output) {
				got = c.output // times stay as they are
			} else if !*updatePage {
				t.Errorf("$ %s\ngot:\n%swant:\n%s", c.command, got, c.output)
			}
			out.WriteString(c.text + got)
		}
		out.WriteString("```")
	}
	if len(run) < 30 {
		t.Fatalf("only %d commands", len(run))
	}
	if *updatePage {
		if err := os.WriteFile(page, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return run
}

// typed is what the page says to type, as text and for the shell, and what comes of it.
type typed struct{ text, command, output string }

func commandsOf(block string) (out []typed) {
	for line := range strings.Lines(block) {
		last := len(out) - 1
		switch {
		case strings.HasPrefix(line, "$ "):
			out = append(out, typed{text: line, command: line[2:]})
		case strings.HasPrefix(line, "> ") && out[last].output == "":
			out[last].text += line
			out[last].command += line[2:]
		default:
			out[last].output += line
		}
	}
	return out
}

func stable(s string) string { return changing.ReplaceAllString(s, "…") }

// shell runs commands one after another.
type shell struct {
	t   *testing.T
	dir string
	env []string
}

func (s *shell) run(command string) string {
	s.t.Helper()
	c := exec.Command("sh", "-c", command)
	c.Dir, c.Env = s.dir, s.env
	data, err := c.CombinedOutput()
	if err != nil {
		s.t.Logf("$ %s: %v", command, err)
	}
	out := everywhere.ReplaceAllString(strings.ReplaceAll(string(data), "\r", ""), "")
	out = requestID.ReplaceAllString(out, "")
	if out != "" && !strings.HasSuffix(out, "\n") {
		out += "\n"
	}
	return out
}
