package auth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// The algorithms of tokens, RFC 7518 and RFC 8037.
const (
	HS256 = "HS256"
	EdDSA = "EdDSA"
	RS256 = "RS256"
	ES256 = "ES256"
)

// algorithms are those that tokens may be signed with.
var algorithms = []string{HS256, EdDSA, RS256, ES256}

// Key verifies tokens of one algorithm, and signs them when its private part is known.
type Key struct {
	// ID is what a token's kid has to be when both have one.
	ID string
	// Alg is the algorithm; a token that says another is not verified by this key.
	Alg string

	print   string // tells keys apart, whatever their ID; of a secret it is not to be kept
	public  any    // []byte, ed25519.PublicKey, *rsa.PublicKey or *ecdsa.PublicKey
	private any    // nil: not known
}

// minSecret and minRSA are the shortest secrets in bytes and RSA keys in bits, RFC 7518
// sections 3.2 and 3.3.
const (
	minSecret = 32
	minRSA    = 2048
)

// NewKey makes a key from a secret ([]byte of at least 32 bytes, HS256), an Ed25519, an RSA (at
// least 2048 bits) or a P-256 key, public or private. It keeps the key.
func NewKey(id string, key any) (Key, error) {
	switch k := key.(type) {
	case []byte:
		if len(k) < minSecret {
			return Key{}, fmt.Errorf("a secret of %d bytes is too short; it needs %d", len(k), minSecret)
		}
		return Key{id, HS256, secretPrint + printOf(k), k, k}, nil
	case ed25519.PrivateKey:
		out, err := NewKey(id, k.Public())
		out.private = k
		return out, err
	case ed25519.PublicKey:
		return publicKey(id, EdDSA, k)
	case *rsa.PrivateKey:
		out, err := NewKey(id, &k.PublicKey)
		out.private = k
		return out, err
	case *rsa.PublicKey:
		if k.N.BitLen() < minRSA {
			return Key{}, fmt.Errorf("an RSA key of %d bits is too short; it needs %d", k.N.BitLen(), minRSA)
		}
		return publicKey(id, RS256, k)
	case *ecdsa.PrivateKey:
		out, err := NewKey(id, &k.PublicKey)
		out.private = k
		return out, err
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return Key{}, errors.New("an elliptic curve key has to be of P-256")
		}
		return publicKey(id, ES256, k)
	}
	return Key{}, fmt.Errorf("keys of the kind %T are not for tokens here", key)
}

// publicKey makes a key from one that crypto/x509 knows.
func publicKey(id, alg string, key any) (Key, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	return Key{id, alg, printOf(der), key, nil}, err
}

// secretPrint begins Key.print of a secret.
const secretPrint = "secret:"

func printOf(data []byte) string {
	sum := sha256.Sum256(data)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// ParseKeys reads what a key file has: PEM (PKCS #8, PKIX, PKCS #1 or SEC 1, public or
// private), a JSON Web Key or a set of them, or lines of "hs256:" and a secret. A key's ID is a JWK's kid.
func ParseKeys(data []byte) ([]Key, error) {
	data = bytes.TrimSpace(data)
	switch {
	case bytes.HasPrefix(data, []byte("{")):
		return parseJWKs(data)
	case bytes.HasPrefix(data, secretBegin):
		return parseSecrets(data)
	case bytes.HasPrefix(data, pemBegin):
		return parsePEM(data)
	}
	return nil, errors.New(`it is neither PEM, nor a JSON Web Key, nor "hs256:" and a secret`)
}

// parseSecrets reads secrets, each on a line of its own.
func parseSecrets(data []byte) (keys []Key, err error) {
	for line := range bytes.Lines(data) {
		secret, ok := bytes.CutPrefix(bytes.TrimSpace(line), secretBegin)
		if !ok {
			return nil, fmt.Errorf("line %d does not begin with %q as the one before", len(keys)+1, secretBegin)
		}
		k, err := NewKey("", bytes.Clone(secret))
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// How what ParseKeys reads begins.
var secretBegin, pemBegin = []byte("hs256:"), []byte("-----BEGIN")

// parsePEM reads PEM blocks, with nothing but space between them: what cannot be read is not passed over, or a
// slip in a file of two keys would take one of them out.
func parsePEM(data []byte) (keys []Key, err error) {
	for len(data) > 0 {
		block, rest := pem.Decode(data)
		if block == nil || !bytes.HasPrefix(data, pemBegin) || bytes.Count(data[:len(data)-len(rest)], pemBegin) != 1 {
			return nil, fmt.Errorf("its PEM block %d is none that can be read", len(keys)+1)
		}
		data = bytes.TrimSpace(rest)
		key, err := parseBlock(block)
		if err != nil {
			return nil, fmt.Errorf("the PEM block %s: %w", block.Type, err)
		}
		k, err := NewKey("", key)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

func parseBlock(block *pem.Block) (any, error) {
	switch block.Type {
	case "PRIVATE KEY":
		return x509.ParsePKCS8PrivateKey(block.Bytes)
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "EC PRIVATE KEY":
		return x509.ParseECPrivateKey(block.Bytes)
	case "CERTIFICATE":
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return cert.PublicKey, nil
	}
	return nil, errors.New("this is no key")
}

// parseJWKs reads a JSON Web Key or a set of them, RFC 7517. Of a set, keys that are not for
// verifying tokens of the algorithms here are left out.
func parseJWKs(data []byte) ([]Key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, err
	}
	if set.Keys == nil {
		set.Keys = []json.RawMessage{data}
	}
	var keys []Key
	last := errors.New("it has no keys")
	for _, raw := range set.Keys {
		var j jose.JSONWebKey
		if err := j.UnmarshalJSON(raw); err != nil {
			last = err
			continue
		}
		k, err := NewKey(j.KeyID, j.Key)
		switch {
		case err != nil:
			last = err
		case j.Use != "" && j.Use != "sig":
			last = fmt.Errorf("the key %.40q is for %.40q, not for signatures", j.KeyID, j.Use)
		case j.Algorithm != "" && j.Algorithm != k.Alg:
			last = fmt.Errorf("the key %.40q is for %.40q; of its kind only %s is taken", j.KeyID, j.Algorithm, k.Alg)
		default:
			keys = append(keys, k)
		}
	}
	if keys == nil {
		return nil, last
	}
	return keys, nil
}

// fits reports whether a key may verify a token with such a header.
func (k *Key) fits(alg, kid string) bool {
	return k.Alg == alg && (k.ID == "" || kid == "" || k.ID == kid)
}

// Names says of keys, for people, which they are.
func Names(keys []Key) string {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = k.Alg
		if k.ID != "" {
			out[i] += " " + k.ID
		}
	}
	return strings.Join(out, ", ")
}
