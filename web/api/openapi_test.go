package api

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// TestDescription compares the OpenAPI document with the routes: addresses, methods,
// parameters, content types. (Webhooks have their own.)
func TestDescription(t *testing.T) {
	type ref struct {
		Ref string `json:"$ref"`
	}
	type operation struct {
		Parameters  []ref
		RequestBody struct{ Content map[string]any }
	}
	var doc struct {
		Paths      map[string]map[string]json.RawMessage
		Components struct {
			Parameters map[string]struct{ Name, In string }
		}
	}
	if err := json.Unmarshal(Description, &doc); err != nil {
		t.Fatal(err)
	}
	described := 0
	for path, methods := range doc.Paths {
		if strings.HasPrefix(path, "/api/hooks") {
			continue
		}
		for method := range methods {
			if method != "parameters" {
				described++
				if r, _, _ := (&API{routes: routes()}).find(strings.ToUpper(method), path); r == nil || "/api/"+strings.Join(r.path, "/") != path {
					t.Errorf("%s %s is described, but there is no such route", method, path)
				}
			}
		}
	}
	if described != len(routes()) {
		t.Errorf("%d operations are described, there are %d routes", described, len(routes()))
	}
	for _, r := range routes() {
		path := "/api/" + strings.Join(r.path, "/")
		raw, ok := doc.Paths[path][strings.ToLower(r.method)]
		if !ok {
			t.Errorf("%s %s is not described", r.method, path)
			continue
		}
		var op operation
		if err := json.Unmarshal(raw, &op); err != nil {
			t.Fatal(err)
		}
		var query, bodies []string
		for _, p := range op.Parameters {
			if p := doc.Components.Parameters[strings.TrimPrefix(p.Ref, "#/components/parameters/")]; p.In == "query" {
				query = append(query, p.Name)
			}
		}
		for media := range op.RequestBody.Content {
			bodies = append(bodies, media)
		}
		same(t, r.method+" "+path+" parameters", query, r.query)
		same(t, r.method+" "+path+" content types", bodies, r.bodies)
	}
}

func same(t *testing.T, what string, described, taken []string) {
	t.Helper()
	described, taken = slices.Clone(described), slices.Clone(taken)
	slices.Sort(described)
	slices.Sort(taken)
	if !slices.Equal(described, taken) {
		t.Errorf("%s: described %v, taken %v", what, described, taken)
	}
}
