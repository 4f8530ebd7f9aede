package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/spf13/cobra"

	"quire/cmd/quire/commands"
	"quire/web/auth"
)

// authCommands are those that make keys and tokens.
func authCommands(p *commands.Program) []*cobra.Command {
	return []*cobra.Command{genkeyCommand(p), tokenCommand(p)}
}

func genkeyCommand(p *commands.Program) *cobra.Command {
	var alg string
	c := &cobra.Command{
		Use: "genkey FILE", Short: "make a key that tokens are signed with", GroupID: "serve",
		Long: "Make a key for --auth-keys and quire token.\n\nWith --alg eddsa, the default, FILE is the private key, by which tokens are made, and FILE.pub the\n" +
			"public one, which is all that the server needs. With --alg hs256 there is one secret for both.\nFiles that are there are not overwritten.",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return genkey(p, strings.ToLower(alg), args[0]) },
	}
	c.Flags().StringVar(&alg, "alg", "eddsa", "`algorithm`: eddsa or hs256")
	return c
}

func genkey(p *commands.Program, alg, name string) error {
	switch alg {
	case "hs256":
		secret := make([]byte, 32)
		rand.Read(secret)
		if err := newFile(name, []byte("hs256:"+base64.RawURLEncoding.EncodeToString(secret)+"\n"), 0o600); err != nil {
			return err
		}
		fmt.Fprintf(p.Out, "The secret is in %s: quire serve --auth-keys %s\n", name, name)
	case "eddsa":
		public, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			return err
		}
		secret, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			return err
		}
		open, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			return err
		}
		if err := newFile(name, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600); err != nil {
			return err
		}
		if err := newFile(name+".pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: open}), 0o644); err != nil {
			return errors.Join(err, os.Remove(name)) // half a pair is none
		}
		fmt.Fprintf(p.Out, "The private key is in %s, the public one in %s.pub: quire serve --auth-keys %s.pub\n", name, name, name)
	default:
		return usageError(fmt.Sprintf("--alg is %q; it has to be eddsa or hs256", alg))
	}
	return nil
}

// newFile writes a file that was not there.
func newFile(name string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(filepath.Clean(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, os.ErrExist) {
		return commands.Errorf(commands.Changed, "%s is there already; keys are not written over others", name)
	} else if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

func tokenCommand(p *commands.Program) *cobra.Command {
	var key, author, name, ns, issuer, audience, id string
	var grants []string
	var life time.Duration
	c := &cobra.Command{
		Use: "token", Short: "make a token that says who somebody is and what they may do", GroupID: "serve",
		Long: "Print a token, signed with a private key, for tests and operators.\n\n" +
			"  quire token --key quire.key --author ada --name 'Ada Lovelace' --grant 'plans/*=write' --expires 8h\n" +
			"  quire token --key quire.key --author root --grant '*=admin'      who may do everything",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			claims := auth.Claims{Name: name, Namespace: ns}
			now := time.Now()
			claims.Subject, claims.Issuer, claims.ID = author, issuer, id
			claims.IssuedAt, claims.ExpiresAt = jwt.NewNumericDate(now), jwt.NewNumericDate(now.Add(life))
			if audience != "" {
				claims.Audience = jwt.ClaimStrings{audience}
			}
			if id == "" {
				claims.ID = rand.Text()
			}
			for _, g := range grants {
				grant, err := parseGrant(g)
				if err != nil {
					return err
				}
				claims.Grants = append(claims.Grants, grant)
			}
			return makeToken(p, key, claims)
		},
	}
	f := c.Flags()
	f.StringVar(&key, "key", "", "`file` with the private key or secret")
	f.StringVar(&author, "author", "", "`author`, who it is: recorded with their edits")
	f.StringVar(&name, "name", "", "`name` by which others see them; the author when empty")
	f.StringVar(&ns, "ns", "", "`namespace` that they are confined to")
	f.StringArrayVar(&grants, "grant", nil, "`PATTERN=ROLE`, where the role is read, write or admin; may be repeated")
	f.DurationVar(&life, "expires", time.Hour, "`time` for which it is good")
	f.StringVar(&issuer, "issuer", "", "`issuer` (iss), for servers with auth-issuer")
	f.StringVar(&audience, "audience", "", "`audience` (aud), for servers with auth-audience")
	f.StringVar(&id, "id", "", "`id` (jti) by which it can be revoked; random when empty")
	return c
}

func parseGrant(s string) (auth.Grant, error) {
	i := strings.LastIndexByte(s, '=')
	if i < 1 {
		return auth.Grant{}, usageError(fmt.Sprintf("--grant is %q; it reads 'plans/*=write'", s))
	}
	role, err := auth.ParseRole(s[i+1:])
	if err != nil {
		return auth.Grant{}, usageError("--grant: " + err.Error())
	}
	return auth.Grant{Docs: auth.Pattern(s[:i]), Role: role}, nil
}

func makeToken(p *commands.Program, file string, claims auth.Claims) error {
	if file == "" {
		return usageError("--key is missing: a file that quire genkey made")
	}
	if claims.Subject == "" {
		return usageError("--author is missing: who the token is for")
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	keys, err := auth.ParseKeys(data)
	if err != nil {
		return fmt.Errorf("%s has no key that can be used: %w", file, err)
	}
	token, err := auth.Sign(keys[0], claims)
	if err != nil {
		return err
	}
	fmt.Fprintln(p.Out, token)
	return nil
}
