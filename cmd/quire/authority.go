package main

import (
	"quire/storage/bolt"
	"quire/web/auth"
)

// authority makes what says who somebody is, from the settings.
func (m *Main) authority(store *bolt.Store) (*auth.Authority, error) {
	return auth.New(auth.Options{})
}
