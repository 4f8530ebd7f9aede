package main

import (
	"context"
	"fmt"

	"quire/session"
	"quire/storage/bolt"
	"quire/web/auth"
	"quire/web/reread"
)

// authority makes what says who somebody is, from the settings. The files with keys are read again when they
// change, until ctx ends.
func (m *Main) authority(ctx context.Context, store *bolt.Store) (*auth.Authority, error) {
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
	var a *auth.Authority
	files := reread.New(splitList(c.AuthKeys), func() { m.replaceKeys(a) })
	keys, err := readKeys(c.AuthKeys)
	if err != nil {
		return nil, err
	}
	a, err = auth.New(auth.Options{
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
	if len(keys) > 0 {
		m.keys.Store(files)
		go files.Watch(ctx, fileLook)
	}
	m.Logger.Info("people are asked who they are", append(by, "invitations", c.AuthLinks)...)
	return a, nil
}

// replaceKeys reads the keys of tokens again. When a file cannot be used the log says why, and all keys stay.
func (m *Main) replaceKeys(a *auth.Authority) {
	keys, err := readKeys(m.Config.AuthKeys)
	if err != nil {
		m.Logger.Error("the keys of tokens cannot be read again; those before stay", "err", err)
		return
	}
	a.SetKeys(keys)
	m.Logger.Info("keys of tokens read again; what keys that are gone had signed has ended", "keys", auth.Names(keys))
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
		data, err := reread.Read(name)
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
