package main

import (
	"fmt"
	"strings"
	"testing"
)

// TestHostsOfListeners takes only the machine's own names where only the machine itself can connect.
func TestHostsOfListeners(t *testing.T) {
	for _, c := range []struct{ listen, hosts, want string }{
		{"127.0.0.1:8080", "", "[localhost]"},
		{"127.8.9.1:0", "", "[localhost]"},
		{"[::1]:8080", "", "[localhost]"},
		{"[::ffff:127.0.0.1]:8080", "", "[localhost]"},
		{"localhost:8080", "", "[localhost]"},
		{":8080", "", "[]"},
		{"0.0.0.0:8080", "", "[]"},
		{"192.0.2.7:80", "", "[]"},
		{"192.0.2.7:80", "docs.example.org", "[docs.example.org localhost]"},
		{"127.0.0.1:80", "docs.example.org", "[docs.example.org localhost]"},
		{"127.0.0.1:80", "*", "[]"},
	} {
		if got := fmt.Sprint((&webConfig{c.hosts}).hosts(c.listen)); got != c.want {
			t.Errorf("%s with --hosts %q: %s, want %s", c.listen, c.hosts, got, c.want)
		}
	}
	for hosts, ok := range map[string]bool{"a.example, 192.0.2.7, ::1": true, "https://a.example": false, "a.example:80": false, "u@a.example": false, "*": true} {
		if code, _, errOut := cli([]string{"checkconfig", "--hosts", hosts}); (code == 0) != ok || !ok && !strings.Contains(errOut, "hosts has") {
			t.Errorf("--hosts %q: code %d %s", hosts, code, errOut)
		}
	}
}
