package api

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"quire/session"
)

// TestBundleOfASquashedPast exports a document that has a label from before its oldest revision, and
// imports it.
func TestBundleOfASquashedPast(t *testing.T) {
	m, url := serve(t, Options{})
	if _, err := m.Create(t.Context(), "a", "text", nil, session.User{}); err != nil {
		t.Fatal(err)
	}
	for i, label := range []string{"gone", "here", "now"} {
		if _, err := m.Edit(t.Context(), "a", session.Revision(i), [][]byte{[]byte(`["x"]`)}, session.Writer{}); err != nil {
			t.Fatal(err)
		}
		if _, err := m.SetLabel(t.Context(), "a", label, session.Head, session.User{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.Squash(t.Context(), "a", session.Keep{Count: 2}); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(url + "/api/docs/a?format=bundle")
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	send := func(id, bundle string) (int, string) {
		resp, err := http.Post(url+"/api/docs?id="+id, mediaBundle, strings.NewReader(bundle))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(answer)
	}
	if status, answer := send("copy", string(bundle)); status != http.StatusCreated {
		t.Fatalf("%d %s", status, answer)
	}
	labels, err := m.Labels(t.Context(), "copy")
	if err != nil || len(labels) != 2 || labels[0].Name != "here" || labels[1].Name != "now" {
		t.Errorf("labels %+v, %v", labels, err)
	}
	forged := strings.Replace(string(bundle), `"name":"here","rev":2`, `"name":"here","rev":1`, 1)
	if status, answer := send("forged", forged); status != http.StatusBadRequest || !strings.Contains(answer, "is of revision 1; there are 2 to 3") {
		t.Errorf("with a label of no revision: %d %s", status, answer)
	}
}
