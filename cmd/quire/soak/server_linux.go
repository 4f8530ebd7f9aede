package soak

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// server is one life of the program.
type server struct {
	cmd    *exec.Cmd
	url    string
	addr   string
	log    *tail
	gate   *gate         // may be nil
	exited chan struct{} // closed when it has ended
	err    error         // how; when exited is closed
	base   gauges        // when it had just started
	race   bool          // as Options.Race
}

// notStarted is a program that ended before it served.
type notStarted struct {
	err error
	log string
}

func (e *notStarted) Error() string {
	return fmt.Sprintf("the server did not start (%v); it said:\n%s", e.err, e.log)
}

// command is the program, to be run with args.
func (r *rig) command(args ...string) *exec.Cmd {
	cmd := exec.Command(r.Exe, args...)
	for _, kv := range os.Environ() { // settings of the machine are not the test's
		if !strings.HasPrefix(kv, "QUIRE_") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(append(cmd.Env, r.Environ...), r.environ...)
	return cmd
}

// launch starts the program on the rig's data and waits until it serves. usable also takes its
// first measures.
func (r *rig) launch(usable bool) (*server, error) {
	s := &server{race: r.Race, log: &tail{}, exited: make(chan struct{})}
	s.cmd = r.command(append([]string{"serve", "--listen", r.listen, "--data", r.data}, r.args...)...)
	s.cmd.Stderr = s.log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL} // a Ctrl-C is for who runs the soak
	switch {
	case r.gated:
		s.gate, err = startGated(s.cmd, r.Environ, append([]string{r.Exe}, r.Self...))
	case r.wire != nil:
		err = r.wire.inner.start(s.cmd)
	default:
		err = starter().start(s.cmd)
	}
	if err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	for s.url == "" && lines.Scan() {
		s.url, _ = strings.CutPrefix(lines.Text(), "Quire is at ")
		if !strings.HasPrefix(s.url, "http") {
			s.url = ""
		}
	}
	go func() {
		_, _ = io.Copy(io.Discard, out)
		s.err = s.cmd.Wait()
		close(s.exited)
		if s.gate != nil {
			s.gate.close()
		}
	}()
	if s.url == "" {
		<-s.exited
		return nil, &notStarted{s.err, s.log.String()}
	}
	s.addr = strings.Trim(strings.TrimPrefix(s.url, "http://"), "/")
	if usable {
		if s.base, err = s.measure(); err != nil {
			s.kill()
			return nil, err
		}
	}
	return s, nil
}

// kill ends the server with SIGKILL, and with it one that takes over from it.
func (s *server) kill() {
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	<-s.exited
}

// hasHeir reports whether the server has started the program anew. (Before the first process that it starts, Go's
// library makes one that ends at once, to see what the system can do.)
func (s *server) hasHeir() bool {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", s.cmd.Process.Pid))
	return slices.ContainsFunc(lists, func(list string) bool {
		pids, _ := os.ReadFile(list)
		return slices.ContainsFunc(strings.Fields(string(pids)), func(pid string) bool {
			environ, _ := os.ReadFile(filepath.Join("/proc", pid, "environ"))
			return slices.ContainsFunc(strings.Split(string(environ), "\x00"), func(kv string) bool { return strings.HasPrefix(kv, "QUIRE_HANDOVER=") })
		})
	})
}

// stop ends it in order.
func (s *server) stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-s.exited:
	case <-time.After(time.Minute):
		s.kill()
		return fmt.Errorf("the server did not stop in a minute; it said:\n%s", s.log)
	}
	if s.err != nil {
		return fmt.Errorf("an orderly stop ended with %w; the server said:\n%s", s.err, s.log)
	}
	return s.log.crashed()
}

// endsByItself waits until the server ends, with an error that it tells.
func (r *rig) endsByItself(text string) error {
	select {
	case <-r.srv.exited:
	case <-r.ctx.Done():
		return r.ctx.Err()
	case <-time.After(time.Minute):
		return fmt.Errorf("in a minute the server did not end%s", r.said())
	}
	if r.srv.err == nil || !strings.Contains(lastLine(r.srv.log.String()), text) {
		return fmt.Errorf("the server ended with %v%s", r.srv.err, r.said())
	}
	r.notice("the server ended: “%s”", lastLine(r.srv.log.String()))
	return r.srv.log.crashed()
}

// tail keeps the end of what a program says, and whether that was a crash.
type tail struct {
	mu   sync.Mutex
	text []byte
	bad  string
}

var crash = regexp.MustCompile(`(?m)^(panic|fatal error|runtime:|SIGSEGV|WARNING: DATA RACE).*|^.*panic in .*`)

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	const most = 16 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if t.bad == "" {
		t.bad = string(crash.Find(p))
	}
	if len(t.text) > 2*most {
		t.text = append([]byte(nil), t.text[len(t.text)-most:]...)
	}
	return len(p), nil
}

// String returns what was kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}

// crashed returns the beginning of a crash.
func (t *tail) crashed() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.bad != "" {
		return fmt.Errorf("the server crashed: %s\n%s", t.bad, t.text)
	}
	return nil
}

// web is for requests beside the clients; every one is made anew, so that none stays open.
var web = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// get asks for a path and returns status and body.
func (s *server) get(path string) (int, string, error) {
	resp, err := web.Get(s.url + path)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// says waits until /readyz has a status and a text.
func (r *rig) says(status int, text string) error {
	var code int
	var body string
	err := r.until(fmt.Sprintf("/readyz is %d with %q", status, text), func() bool {
		var err error
		code, body, err = r.srv.get("readyz")
		return err == nil && code == status && strings.Contains(body, text)
	})
	if err != nil {
		return fmt.Errorf("%w\n/readyz last was %d %s", err, code, body)
	}
	if status != http.StatusOK {
		reason, _, _ := strings.Cut(strings.TrimSpace(body), ";")
		r.notice("/readyz: “%s”", reason)
	}
	return nil
}

// gauges are what a server holds.
type gauges struct {
	goroutines, descriptors, connections, sessions int
	memory                                         float64 // bytes, without the mapped file; with the race detector those of heap and stacks
}

// measure asks the server's metrics.
func (s *server) measure() (g gauges, err error) {
	var heap float64
	status, body, err := s.get("metrics")
	if err != nil || status != http.StatusOK {
		return g, errors.Join(err, fmt.Errorf("metrics: status %d", status))
	}
	for line := range strings.Lines(body) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			continue
		}
		switch name {
		case "go_goroutines":
			g.goroutines = int(v)
		case "process_open_fds":
			g.descriptors = int(v)
		case "go_memstats_heap_inuse_bytes", "go_memstats_stack_inuse_bytes":
			heap += v
		case "quire_connections":
			g.connections = int(v)
		case "quire_sessions":
			g.sessions = int(v)
		}
	}
	if g.goroutines == 0 {
		return g, errors.New("the metrics do not tell how many goroutines there are")
	}
	if g.memory = heap; !s.race {
		g.memory, err = anonymous(s.cmd.Process.Pid)
	}
	return g, err
}

// anonymous returns how many bytes of a process's memory are its own. The data file, which
// is mapped, is not: the system takes that back when it needs room.
func anonymous(pid int) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		var kib float64
		if n, _ := fmt.Sscanf(line, "RssAnon: %f kB", &kib); n == 1 {
			return kib * 1024, nil
		}
	}
	return 0, errors.New("the system does not tell how much memory the server has")
}

// calm waits until a server that everybody has left holds no more than when it had
// started: connections, documents, goroutines, descriptors, and memory but for mostMemory bytes.
func (r *rig) calm(mostMemory float64) error {
	const spare = 4 // goroutines and descriptors of these very questions
	base, idle := r.srv.base, 0
	if r.Hasty {
		idle = len(r.crew) + r.peers // fasthttp's workers wait ten seconds for more work
	}
	var now gauges
	err := r.until("the server lets go of everything", func() bool {
		r.pause(20 * time.Millisecond)
		var err error
		now, err = r.srv.measure()
		return err == nil && now.connections == 0 && now.sessions == 0 && now.goroutines <= base.goroutines+spare+idle &&
			now.descriptors <= base.descriptors+spare && now.memory <= base.memory+mostMemory
	})
	if err != nil {
		return fmt.Errorf("%w\nat first %+v, now %+v", err, base, now)
	}
	return nil
}

// run runs a command of the program to its end.
func (r *rig) run(ctx context.Context, args ...string) (string, error) {
	cmd := r.command(args...)
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	out, err := cmd.CombinedOutput()
	return string(out), err
}
