package auth_test

import (
	"testing"

	"quire/web/auth"
)

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
