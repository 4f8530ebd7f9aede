package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSecurityPage looks up every test that docs/security.md names, in the folder that it names it in.
func TestSecurityPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	sources := map[string]string{} // of a folder's tests
	source := func(folder string) string {
		if _, ok := sources[folder]; !ok {
			var all strings.Builder
			for _, pattern := range []string{"*_test.go", "*.test.ts"} {
				files, _ := filepath.Glob(filepath.Join("../..", folder, pattern)) // the patterns are good
				for _, file := range files {
					data, err := os.ReadFile(file)
					if err != nil {
						t.Fatal(err)
					}
					all.Write(data)
				}
			}
			sources[folder] = all.String()
		}
		return sources[folder]
	}
	named := 0
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.Contains(cells[3], "`") {
			continue
		}
		folder := ""
		for _, m := range regexp.MustCompile("`([^`]+)`|\"([^\"]+)\"").FindAllStringSubmatch(cells[3], -1) {
			var found bool
			switch {
			case strings.HasPrefix(m[1], "Test"):
				found = strings.Contains(source(folder), "\nfunc "+m[1]+"(t *testing.T)")
			case m[1] != "":
				folder = m[1]
				continue
			default:
				found = strings.Contains(source(folder), `test("`+m[2]+`"`)
			}
			if named++; !found {
				t.Errorf("there is no test %s%s in %s", m[1], m[2], folder)
			}
		}
	}
	if named < 80 {
		t.Errorf("only %d tests are named", named)
	}
}
