package main

import "flag"

// serveConfig is the part of Config about how connections are taken: TLS, addresses, taking over.
type serveConfig struct{}

// flags declares the settings and sets them to their defaults.
func (c *serveConfig) flags(fs *flag.FlagSet) {}

// check returns what cannot work, each with its name and range; all has the other settings.
func (c *serveConfig) check(all *Config) []error { return nil }
