package auth

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
)

// A login ends with the key that its token was signed by, so it is kept by which. Of a public key that is its digest. Of
// a secret, which somebody may have thought up, it is one by which guessing is dear for who has a backup.

// stretched begins what is kept of a secret; the rounds, the salt and the hash follow, with colons between them.
const stretched = "pbkdf2:"

// stretch makes what is kept of a secret.
func stretch(secret []byte, rounds int, salt string) string {
	hash, err := pbkdf2.Key(sha256.New, string(secret), []byte(salt), rounds, sha256.Size)
	if err != nil {
		panic(err) // of sizes that are wrong
	}
	return stretched + strconv.Itoa(rounds) + ":" + salt + ":" + base64.RawURLEncoding.EncodeToString(hash)
}

// secrets calls fn with what is secret among the Authority's own keys, until it returns false.
func (a *Authority) secrets(fn func(k Key, secret []byte) bool) {
	a.mu.Lock()
	keys := a.keys
	a.mu.Unlock()
	for _, k := range keys {
		if secret, ok := k.public.([]byte); ok && !fn(k, secret) {
			return
		}
	}
}

// keptAs returns how a login keeps by which key its token was signed. It takes its time for the first one by a secret;
// writing is held.
func (a *Authority) keptAs(print string) string {
	if !strings.HasPrefix(print, secretPrint) {
		return print
	}
	if kept, ok := a.kept[print]; ok {
		return kept
	}
	out := stretched // when it has just been taken out
	a.secrets(func(k Key, secret []byte) bool {
		if k.print != print {
			return true
		}
		out = stretch(secret, a.opt.Rounds, rand.Text())
		a.kept[print] = out
		return false
	})
	return out
}

// recall is the reverse, after a restart: what is kept is returned as it is when no key here is meant by it. It remembers
// what it found out in known; mu is not held.
func (a *Authority) recall(kept string, known map[string]string) (print string) {
	rest, ok := strings.CutPrefix(kept, stretched)
	if !ok {
		return kept
	}
	if print, ok := known[kept]; ok {
		return print
	}
	print = kept
	if f := strings.Split(rest, ":"); len(f) == 3 {
		rounds, _ := strconv.Atoi(f[0])
		a.secrets(func(k Key, secret []byte) bool {
			if rounds < 1 || stretch(secret, rounds, f[1]) != kept {
				return true
			}
			print, a.kept[k.print] = k.print, kept
			return false
		})
	}
	known[kept] = print
	return print
}
