package main

import (
	"os"
	"syscall"
)

// sibling has a process started as a child of this one's parent: the service manager waits for the end of a
// main process only when it is its own child, and kills others at once that are to stop.
func sibling() *syscall.SysProcAttr {
	if os.Getpid() == 1 {
		return nil // the first process of its namespace has no parent there
	}
	return &syscall.SysProcAttr{Cloneflags: syscall.CLONE_PARENT}
}
