package auth_test

import (
	"strings"
	"testing"

	"quire/web/auth"
)

// TestKeyFiles reads files of several keys: what cannot be read in one is not passed over, for that would take a key
// out.
func TestKeyFiles(t *testing.T) {
	block := "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n"
	secret := "hs256:" + strings.Repeat("s", 32) + "\n"
	for _, c := range []struct {
		name, file string
		keys       int
	}{
		{"two blocks", block + "\r\n\n" + block, 2},
		{"a second block without an end", block + block[:len(block)-30], 0},
		{"a second block that is not base64", block + strings.Replace(block, "MCow", "M*ow", 1), 0},
		{"a first block that is not base64", strings.Replace(block, "MCow", "M*ow", 1) + block, 0},
		{"a block without line breaks", strings.ReplaceAll(block, "\n", " "), 0},
		{"a secret after a block", block + secret, 0},
		{"a set after a block", block + `{"keys":[]}`, 0},
		{"two secrets", secret + secret, 2},
		{"a block after a secret", secret + block, 0},
		{"a second secret that is short", secret + secret[:20], 0},
	} {
		keys, err := auth.ParseKeys([]byte(c.file))
		if len(keys) != c.keys || err == nil != (c.keys > 0) {
			t.Errorf("%s: %d keys, %v; want %d", c.name, len(keys), err, c.keys)
		}
	}
}

// FuzzParseKeys reads key files, which are read again while the server runs: whatever is in one, it is keys that
// are each of an algorithm, or an error.
func FuzzParseKeys(f *testing.F) {
	for _, seed := range []string{
		"hs256:0123456789abcdef0123456789abcdef", "hs256:short", "{", `{"keys":[]}`, `{"keys":[null,{}]}`, `{"kty":"oct","k":""}`,
		`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`, `{"kty":"OKP","crv":"Ed25519","x":"AA"}`,
		`{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}`,
		`{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}`, `{"kty":"RSA","n":"AA","e":"AA"}`, `{"kty":"RSA","n":"","e":""}`,
		"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----", "-----BEGIN PUBLIC KEY-----\nAA",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := auth.ParseKeys(data)
		if err == nil && len(keys) == 0 {
			t.Fatal("neither keys nor an error")
		}
		for _, k := range keys {
			if err == nil && k.Alg == "" {
				t.Fatalf("a key of no algorithm: %+v", k.ID)
			}
		}
	})
}
