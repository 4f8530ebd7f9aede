package main

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"quire/web/auth"
)

// guarded runs the whole program so that it asks people who they are, and returns what signs their tokens.
func guarded(t *testing.T, args ...string) (url string, token func(author, namespace string, grants ...auth.Grant) string) {
	t.Helper()
	secret := strings.Repeat("0123456789abcdef", 2)
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("hs256:"+secret), 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := auth.NewKey("", []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	_, url, _ = start(t, append([]string{"--data", t.TempDir(), "--auth-keys", file, "--auth-links"}, args...)...)
	return strings.TrimSuffix(url, "/"), func(author, namespace string, grants ...auth.Grant) string {
		now := time.Now()
		token, err := auth.Sign(key, auth.Claims{RegisteredClaims: jwt.RegisteredClaims{
			Subject: author, ID: author + "'s", IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(time.Hour)),
		}, Namespace: namespace, Grants: grants})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
}

// people calls every operation that is about people, of a server that asks who they are, and every other one
// without saying who.
func (d *described) people() {
	d.t.Helper()
	url, token := guarded(d.t, "--max-message", "4096")
	open := d.url
	d.url = url
	defer func() { d.url = open }()
	as := func(token string, more ...string) map[string]string {
		return header(append(more, "Authorization", "Bearer "+token)...)
	}
	op, evil := as(token("op", "", auth.Grant{Docs: "*", Role: auth.Admin})), header("Origin", "https://evil.example")
	tina, will := token("tina", "acme", auth.Grant{Docs: "*", Role: auth.Admin}), token("will", "", auth.Grant{Docs: "*", Role: auth.Write})
	long := `{"note":"` + strings.Repeat("x", 5000) + `"}`
	text := "text/plain"
	const links = "/api/docs/acme%2Fplan/links"
	d.do(exchange{"POST /api/docs", op, `{"id":"acme/plan"}`, 201, ""})
	for _, x := range []exchange{
		{"GET /api/session", as(tina), "", 200, `"author":"tina","name":"tina","namespace":"acme"`},
		{"GET /api/session", op, "", 200, `"operator":true`},
		{"GET /api/session?x=1", op, "", 400, "unknown_parameter"},
		{"POST /api/session", nil, `{"token":"` + tina + `"}`, 200, `"grants":[{"docs":"*","role":"admin"}]`},
		{"POST /api/session", nil, `{}`, 400, "bad_message"},
		{"POST /api/session", nil, `{"token":"x"}`, 401, "unauthenticated"},
		{"POST /api/session", evil, `{"token":"x"}`, 403, "origin"},
		{"POST /api/session", nil, long, 413, "too_large"},
		{"POST /api/session", header("Content-Type", text), "x", 415, "content_type"},
		{"DELETE /api/session", nil, "", 204, ""},
		{"DELETE /api/session?x=1", nil, "", 400, "unknown_parameter"},
		{"DELETE /api/session", evil, "", 403, "origin"},

		{"POST " + links, as(tina), `{"role":"write","uses":2,"expires":"2999-01-01T00:00:00Z","note":"for the team"}`, 201, `"uses":2,"used":0,"note":"for the team","by":"tina"`},
		{"POST " + links, as(tina), `{"role":"read","uses":null,"expires":null,"note":null,"docs":"acme/*"}`, 201, `"docs":"acme/*"`},
		{"POST " + links, as(tina), `{"role":"admin"}`, 400, "bad_message"},
		{"POST " + links, as(will), `{"role":"read"}`, 403, "forbidden"},
		{"POST " + links, as(token("otto", "other", auth.Grant{Docs: "*", Role: auth.Admin})), `{"role":"read"}`, 404, "not_found"},
		{"POST " + links, as(tina), long, 413, "too_large"},
		{"POST " + links, as(tina, "Content-Type", text), "x", 415, "content_type"},
		{"GET " + links, as(tina), "", 200, `"used":0`},
		{"GET " + links, as(will), "", 403, "forbidden"},
		{"GET " + links + "?x=1", as(tina), "", 400, "unknown_parameter"},
		{"GET " + links, as(token("otto", "other")), "", 404, "not_found"},
		{"DELETE " + links + "/none", as(tina), "", 404, "not_found"},
		{"DELETE " + links + "/none", as(will), "", 403, "forbidden"},
		{"DELETE " + links + "/none?x=1", as(tina), "", 400, "unknown_parameter"},

		{"POST /api/revocations", op, `{"jti":"leaked"}`, 201, `"jti":"leaked","by":"op"`},
		{"POST /api/revocations", op, `{"author":"otto"}`, 201, `"author":"otto"`},
		{"POST /api/revocations", op, `{}`, 400, "bad_message"},
		{"POST /api/revocations", as(tina), `{"author":"op"}`, 201, `"namespace":"acme","author":"op","by":"tina"`},
		{"POST /api/revocations", as(tina), `{"author":"op","namespace":""}`, 403, "forbidden"},
		{"POST /api/revocations", as(will), `{"author":"op"}`, 403, "forbidden"},
		{"POST /api/revocations", op, long, 413, "too_large"},
		{"POST /api/revocations", as(token("op", "", auth.Grant{Docs: "*", Role: auth.Admin}), "Content-Type", text), "x", 415, "content_type"},
		{"GET /api/revocations", op, "", 200, `"author":"otto"`},
		{"GET /api/revocations", as(tina), "", 200, `{"revocations":[{"namespace":"acme","author":"op"`},
		{"GET /api/revocations", as(will), "", 403, "forbidden"},
		{"GET /api/revocations?x=1", op, "", 400, "unknown_parameter"},
	} {
		d.do(x)
	}
	made := d.do(exchange{"POST " + links, as(tina), `{"role":"read"}`, 201, ""})
	d.do(exchange{"DELETE " + links + "/" + regexp.MustCompile(`"id":"([^"]+)"`).FindStringSubmatch(string(made.body))[1], as(tina), "", 204, ""})

	paths, _ := d.at("paths")
	for p, ops := range paths.(map[string]any) {
		for method := range ops.(map[string]any) {
			if method == "parameters" || p == "/api/openapi.json" || p == "/api/session" && method != "get" {
				continue
			}
			address := regexp.MustCompile(`\{\w+\}`).ReplaceAllString(p, "x")
			if got := d.do(exchange{request: strings.ToUpper(method) + " " + address}); got.status != http.StatusUnauthorized {
				d.t.Errorf("%s %s without saying who: %d %s", method, address, got.status, got.body)
			}
		}
	}
}
