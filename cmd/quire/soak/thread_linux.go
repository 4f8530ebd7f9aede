package soak

import (
	"os/exec"
	"runtime"
	"sync"
)

// thread is a thread of the system that starts processes. A process that is to end with its parent ends
// with the thread that started it: that may be none that ends before, as those do that were in a namespace.
type thread chan func()

// starter starts all processes but those in namespaces. It ends with this process.
var starter = sync.OnceValue(func() thread {
	t := make(thread)
	go func() {
		runtime.LockOSThread()
		t.run()
	}()
	return t
})

// run is the life of the thread, until the channel is closed.
func (t thread) run() {
	for f := range t {
		f()
	}
}

// start starts a process.
func (t thread) start(cmd *exec.Cmd) error {
	done := make(chan error)
	t <- func() { done <- cmd.Start() }
	return <-done
}
