package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// target is a server to measure.
type target struct {
	name string // "quire" or "raw, …"
	raw  bool
	url  string // http://host:port/
	// token says who asks, of a server that asks people who they are; it may be empty.
	token string
	args  []string // how it was started; nil when it was running
	exe   string
	cpu   int // the CPU it was pinned to; -1: none
	cmd   *exec.Cmd
	log   *lastLines
	done  chan error // receives how cmd ended
}

// Names of the broadcaster's two ways.
const (
	perFrame  = "frame"
	perWakeUp = "wakeup"
)

// start starts the target's process and waits until it tells its URL.
func (t *target) start(ctx context.Context) error {
	t.cmd = exec.Command(t.exe, t.args...)
	t.cmd.Env = cleanEnviron(os.Environ())
	t.log = &lastLines{}
	t.cmd.Stderr = t.log
	out, err := t.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := startPinned(t.cmd, t.cpu); err != nil {
		return fmt.Errorf("%s cannot be started: %w", t.name, err)
	}
	t.done = make(chan error, 1)
	first := make(chan string, 1)
	go func() {
		in := bufio.NewReader(out)
		line, _ := in.ReadString('\n')
		first <- line
		_, _ = io.Copy(io.Discard, in)
		t.done <- t.cmd.Wait()
	}()
	select {
	case line := <-first:
		_, at, ok := strings.Cut(strings.TrimSpace(line), " is at ")
		if !ok {
			t.stop()
			return fmt.Errorf("%s did not start: %s%s", t.name, line, t.log)
		}
		t.url = at
		return nil
	case <-ctx.Done():
		t.stop()
		return ctx.Err()
	case <-time.After(time.Minute):
		t.stop()
		return fmt.Errorf("%s did not start in a minute: %s", t.name, t.log)
	}
}

// stop ends the process, gently first. It does nothing when the target was running
// before or has ended.
func (t *target) stop() {
	if t.cmd == nil {
		return
	}
	if t.cmd.Process.Signal(syscall.SIGTERM) != nil {
		_ = t.cmd.Process.Kill() // not every system has gentle signals
	}
	select {
	case <-t.done:
	case <-time.After(20 * time.Second):
		_ = t.cmd.Process.Kill()
		<-t.done
	}
	t.cmd = nil
}

// cleanEnviron leaves out settings that would change the server that is measured.
func cleanEnviron(environ []string) []string {
	var out []string
	for _, kv := range environ {
		if !strings.HasPrefix(kv, "QUIRE_") {
			out = append(out, kv)
		}
	}
	return out
}

// socket returns the WebSocket URL of a path of the target.
func (t *target) socket(path string) (string, error) {
	u, err := url.Parse(t.url)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("%q is not a URL such as http://127.0.0.1:8080", t.url)
	}
	u.Scheme = strings.Replace(u.Scheme, "http", "ws", 1)
	return u.JoinPath(path).String(), nil
}

// dial connects to a WebSocket of the target. subprotocol may be empty.
func (t *target) dial(path, subprotocol string, buffer int) (*conn, error) {
	address, err := t.socket(path)
	if err != nil {
		return nil, err
	}
	return dial(address, subprotocol, t.token, buffer)
}

// usage is what a process has used.
type usage struct {
	cpu time.Duration // since it started
	rss int64         // bytes in memory
}

var scraper = &http.Client{Timeout: 20 * time.Second}

// usage asks the target's metrics.
func (t *target) usage() (usage, error) {
	req, err := http.NewRequest(http.MethodGet, strings.TrimSuffix(t.url, "/")+"/metrics", nil)
	if err != nil {
		return usage{}, err
	}
	if t.token != "" {
		req.Header.Set("Authorization", "Bearer "+t.token)
	}
	resp, err := scraper.Do(req)
	if err != nil {
		return usage{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return usage{}, fmt.Errorf("the server's metrics, which are for its operators, cannot be read: %s", resp.Status)
	}
	var u usage
	found := 0
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		v, err := strconv.ParseFloat(value, 64)
		switch {
		case err != nil:
		case name == "process_cpu_seconds_total":
			u.cpu = time.Duration(v * float64(time.Second))
			found++
		case name == "process_resident_memory_bytes":
			u.rss = int64(v)
			found++
		}
	}
	if err := lines.Err(); err != nil {
		return usage{}, err
	}
	if found < 2 {
		return usage{}, errors.New("the server's metrics do not tell its processor time and memory")
	}
	return u, nil
}

// lastLines keeps the end of what a process says, for error messages.
type lastLines struct{ text []byte }

// Write keeps the end of p.
func (l *lastLines) Write(p []byte) (int, error) {
	const most = 4 << 10
	l.text = append(l.text, p...)
	if len(l.text) > most {
		l.text = append([]byte(nil), l.text[len(l.text)-most:]...)
	}
	return len(p), nil
}

// String returns what was kept; call it when the process has ended.
func (l *lastLines) String() string { return string(l.text) }
