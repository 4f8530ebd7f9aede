package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"quire/storage/storagetest/overdue"
)

// built is the program as it is delivered: static, without the race detector.
var built struct {
	once sync.Once
	data []byte
	err  error
}

// buildProgram puts the program into a folder and returns its name.
func buildProgram(t *testing.T, folder string) string {
	t.Helper()
	built.once.Do(func() {
		name := filepath.Join(t.TempDir(), "quire")
		cmd := exec.Command("go", "build", "-trimpath", "-o", name, ".")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s", out)
			built.err = err
			return
		}
		built.data, built.err = os.ReadFile(name)
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return replaceProgram(t, filepath.Join(folder, "quire"), built.data)
}

// replaceProgram puts a file in another's place, as package managers do.
func replaceProgram(t *testing.T, name string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(name+".new", content, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
	return name
}

// lineage is a line of processes that take over from each other, with what they print.
type lineage struct {
	t    *testing.T
	pid  int // of the one that serves
	url  string
	cmd  *exec.Cmd
	more *sync.Cond

	mu   sync.Mutex
	said []string // lines; guarded by mu
	next int      // the first that nobody waited for; guarded by mu
	over bool     // all processes have ended; guarded by mu
}

// found starts a line of processes with the first one.
func found(t *testing.T, environ []string, name string, args ...string) *lineage {
	t.Helper()
	return foundWith(t, nil, environ, name, args...)
}

// foundWith is found with something for the first one's standard input.
func foundWith(t *testing.T, stdin *os.File, environ []string, name string, args ...string) *lineage {
	t.Helper()
	overdue.Watch(t)
	// So that heirs, whose parents end, become children of the test, which waits for them.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	l := &lineage{t: t, cmd: exec.Command(name, args...)}
	l.more = sync.NewCond(&l.mu)
	l.cmd.Env = append(os.Environ(), environ...)
	l.cmd.Stdout, l.cmd.Stderr = out, out
	if stdin != nil {
		l.cmd.Stdin = stdin
	}
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out.Close()
	l.pid = l.cmd.Process.Pid
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(in); lines.Scan(); {
			l.add(lines.Text(), false)
		}
		l.add("", true)
	}()
	t.Cleanup(func() {
		for _, pid := range l.pids() {
			_ = syscall.Kill(pid, syscall.SIGKILL) // children of the test: no others have these ids before it waits
			var status syscall.WaitStatus
			_, _ = syscall.Wait4(pid, &status, 0, nil)
		}
		<-read
		in.Close()
	})
	l.url = strings.TrimPrefix(l.wait("Quire is at "), "Quire is at ")
	return l
}

func (l *lineage) add(line string, over bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said, l.over = append(l.said, line), over
	l.more.Broadcast()
}

var handedTo = regexp.MustCompile(`msg="handing over to a new process" pid=(\d+)`)

// pids are all processes that there were and nobody waited for.
func (l *lineage) pids() []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := []int{l.cmd.Process.Pid}
	for _, line := range l.said {
		if m := handedTo.FindStringSubmatch(line); m != nil {
			pid, _ := strconv.Atoi(m[1])
			out = append(out, pid)
		}
	}
	return out
}

// wait returns the next line that contains something, of those that no wait returned or passed.
func (l *lineage) wait(want string) string {
	l.t.Helper()
	late := time.AfterFunc(time.Minute, func() { l.add("", true) })
	defer late.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		for ; l.next < len(l.said); l.next++ {
			if line := l.said[l.next]; strings.Contains(line, want) {
				l.next++
				return line
			}
		}
		if l.over {
			l.t.Fatalf("%q was not printed:\n%s", want, strings.Join(l.said, "\n"))
		}
		l.more.Wait()
	}
}

func (l *lineage) signal(s syscall.Signal) {
	l.t.Helper()
	if err := syscall.Kill(l.pid, s); err != nil {
		l.t.Fatal(err)
	}
}

// ended waits until the process that serves has ended, and returns its exit code.
func (l *lineage) ended() int {
	l.t.Helper()
	late := time.AfterFunc(2*time.Minute, func() { _ = syscall.Kill(l.pid, syscall.SIGQUIT) }) // its stacks tell what it waits for
	defer late.Stop()
	var status syscall.WaitStatus
	for {
		_, err := syscall.Wait4(l.pid, &status, 0, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			l.t.Fatal(err)
		}
		return status.ExitStatus()
	}
}

// handOver has the process that serves hand over to a new one, and waits for its end.
func (l *lineage) handOver() {
	l.t.Helper()
	l.signal(syscall.SIGUSR2)
	m := handedTo.FindStringSubmatch(l.wait("handing over to a new process"))
	l.wait("the new process serves")
	if code := l.ended(); code != 0 {
		l.t.Errorf("the process that handed over ended with %d", code)
	}
	l.pid, _ = strconv.Atoi(m[1])
}
