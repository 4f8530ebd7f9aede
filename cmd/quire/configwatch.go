package main

import "flag"

// watchConfig is the part of Config about what the server tells about itself: logs, traces, the operators' address.
type watchConfig struct{}

// flags declares the settings and sets them to their defaults.
func (c *watchConfig) flags(fs *flag.FlagSet) {}

// check returns what cannot work, each with its name and range; all has the other settings.
func (c *watchConfig) check(all *Config) []error { return nil }
