package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestImports holds the direction of dependencies that docs/architecture.md draws.
func TestImports(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Deps,Imports,Standard", "quire/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	rules := []struct {
		of      string   // packages with this prefix …
		never   []string // … depend on none of these
		because string
	}{
		{"quire/ot", []string{"quire/session", "quire/storage", "quire/web", "quire/cmd", "quire/ot/diff", "github.com/", "golang.org/", "go.etcd.io/"}, "the algebra is pure"},
		{"quire/storage", []string{"quire/ot", "quire/session", "quire/web", "quire/cmd"}, "storage holds opaque bytes"},
		{"quire/session", []string{"quire/storage/", "quire/web", "quire/cmd", "net/http", "github.com/", "go.etcd.io/"}, "sessions know no driver and no protocol"},
		{"quire/web", []string{"quire/storage/", "quire/cmd", "go.etcd.io/"}, "protocols know no disk"},
		{"quire/web", []string{"quire/ot/text", "quire/ot/text0", "quire/ot/textunicode", "quire/ot/delta", "quire/ot/json0", "quire/ot/ottypes"}, "protocols know no algorithm"},
		{"quire/web/quirev1", []string{"quire/web/api", "quire/web/sharedb"}, "protocols do not import each other"},
		{"quire/web/api", []string{"quire/web/quirev1", "quire/web/sharedb"}, "protocols do not import each other"},
		{"quire/web/sharedb", []string{"quire/web/api", "quire/web/quirev1"}, "protocols do not import each other"},
		{"quire/web/hooks", []string{"quire/web/quirev1", "quire/web/sharedb"}, "protocols do not import each other"},
		{"quire/web/api", []string{"quire/web/hooks"}, "webhooks are beside the documents' routes"},
		{"quire/web/sharedb/presence", []string{"quire/web/sharedb/query"}, "presence and queries are apart"},
		{"quire/web/sharedb/query", []string{"quire/web/sharedb/presence"}, "presence and queries are apart"},
		{"quire/cmd/quire/remote", []string{"quire/ot", "quire/session", "quire/storage", "quire/web"}, "a client knows HTTP only"},
		{"quire/cmd/quire/form", []string{"quire/"}, "forms are of bytes"},
		{"quire/cmd/quire/mirror", []string{"quire/session", "quire/storage", "quire/web"}, "a file is kept the same over HTTP"},
		{"quire/cmd/quire/commands", []string{"quire/session", "quire/storage", "quire/web"}, "commands work over HTTP, also on a data folder"},
	}
	// The one exception: differences are found with libraries, apart from the algebra
	// (docs/decisions/2026-11-20-differences.md).
	except := map[string][]string{"quire/ot/diff": {"quire/ot/diff", "github.com/aymanbagabas/go-udiff", "github.com/rivo/uniseg"}}
	seen := 0
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Deps       []string
			Imports    []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		seen++
		if strings.HasSuffix(p.ImportPath, "/ottest") || strings.HasSuffix(p.ImportPath, "/storagetest") || strings.HasSuffix(p.ImportPath, "/webtest") {
			continue // suites for tests
		}
		if strings.HasPrefix(p.ImportPath, "quire/ot") {
			for _, dep := range p.Imports {
				if dep == "os" || dep == "time" || dep == "net" || strings.HasPrefix(dep, "math/rand") {
					t.Errorf("%s imports %s, but the algebra has no I/O, clock or randomness", p.ImportPath, dep)
				}
			}
		}
		for _, r := range rules {
			if p.ImportPath != r.of && !strings.HasPrefix(p.ImportPath, r.of+"/") {
				continue
			}
			for _, dep := range p.Deps {
				if slices.ContainsFunc(except[p.ImportPath], func(ok string) bool { return dep == ok || strings.HasPrefix(dep, ok+"/") }) {
					continue
				}
				for _, never := range r.never {
					if dep == never || strings.HasSuffix(never, "/") && strings.HasPrefix(dep, never) || strings.HasPrefix(dep, never+"/") && strings.HasPrefix(never, "quire/") {
						t.Errorf("%s depends on %s, but %s", p.ImportPath, dep, r.because)
					}
				}
			}
		}
	}
	if seen < 10 {
		t.Fatalf("only %d packages seen", seen)
	}
}
