package main

import "flag"

// authConfig is the part of Config about who may do what.
type authConfig struct{}

// flags declares the settings and sets them to their defaults.
func (c *authConfig) flags(fs *flag.FlagSet) {}

// check returns what cannot work, each with its name and range; all has the other settings.
func (c *authConfig) check(all *Config) []error { return nil }
