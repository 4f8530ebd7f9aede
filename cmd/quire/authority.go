package main

import (
	"context"
	"fmt"
	"os"

	"quire/session"
	"quire/storage/bolt"
	"quire/web/auth"
)

// authority makes what says who somebody is, from the settings.
func (m *Main) authority(store *bolt.Store) (*auth.Authority, error) {
	c := m.Config
	if m.Private {
		return auth.New(auth.Options{Store: store, Logger: m.Logger}) // which shows the names that were kept
	}
	if !c.asks() {
		if c.InsecureOpen {
			m.Logger.Warn("nobody is asked who they are: everybody who can reach this server may read and change every document (insecure-open)")
		}
		return auth.New(auth.Options{})
	}
	keys, err := readKeys(c.AuthKeys)
	if err != nil {
		return nil, err
	}
	a, err := auth.New(auth.Options{
		Keys: keys, JWKS: c.AuthJWKS, Issuer: c.AuthIssuer, Audience: c.AuthAudience, Leeway: c.AuthLeeway, MaxLife: c.AuthMaxLife, Endless: c.AuthEndless,
		Callback: c.AuthURL, CallbackTimeout: c.AuthTimeout, CallbackGrace: c.AuthGrace,
		Links: c.AuthLinks, SessionLife: c.AuthSession,
		Store: store, Logger: m.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("logins and invitations cannot be read: %w", err)
	}
	var by []any
	for _, a := range [][2]string{{"keys", auth.Names(keys)}, {"jwks", plainURL(c.AuthJWKS)}, {"application", plainURL(c.AuthURL)}} {
		if a[1] != "" {
			by = append(by, a[0], a[1])
		}
	}
	m.Logger.Info("people are asked who they are", append(by, "invitations", c.AuthLinks)...)
	return a, nil
}

// following is a store whose documents take the invitations to them along to another id, before
// anybody is told of it.
type following struct {
	session.Store
	authority *auth.Authority
}

// Rename implements session.Store.
func (f following) Rename(ctx context.Context, from, to string) error {
	err := f.Store.Rename(ctx, from, to)
	if err == nil {
		f.authority.Moved(ctx, from, to)
	}
	return err
}

// Delete implements session.Store.
func (f following) Delete(ctx context.Context, id string) error {
	err := f.Store.Delete(ctx, id)
	if err == nil {
		f.authority.Moved(ctx, id, "")
	}
	return err
}

// readKeys reads the keys of tokens from files.
func readKeys(list string) (keys []auth.Key, err error) {
	for _, name := range splitList(list) {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("auth-keys: %w", err)
		}
		k, err := auth.ParseKeys(data)
		if err != nil {
			return nil, fmt.Errorf("auth-keys: %s has no key that can be used: %w", name, err)
		}
		keys = append(keys, k...)
	}
	return keys, nil
}
