package main

import "flag"

// limitConfig is the part of Config about limits.
type limitConfig struct{}

// flags declares the settings and sets them to their defaults.
func (c *limitConfig) flags(fs *flag.FlagSet) {}

// check returns what cannot work, each with its name and range; all has the other settings.
func (c *limitConfig) check(all *Config) []error { return nil }
