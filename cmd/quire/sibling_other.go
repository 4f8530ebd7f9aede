//go:build !linux

package main

import "syscall"

// sibling would have a process started beside this one; only systemd wants that.
func sibling() *syscall.SysProcAttr { return nil }
