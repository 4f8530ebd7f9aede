package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"quire/web/quirev1/client"
)

// TestHandOver restarts the program again and again while clients edit and scripts ask: nobody is
// refused, nothing is lost, and clients are told to come back spread out.
func TestHandOver(t *testing.T) {
	data := t.TempDir()
	l := found(t, nil, buildProgram(t, t.TempDir()), "--listen", "127.0.0.1:0", "--data", data, "--come-back", "2s")
	var run atomic.Bool
	run.Store(true)
	var wg sync.WaitGroup
	var writers []*writer
	for i := range 2 * len(crashTypes) {
		w := newWriter(l.url, i%len(crashTypes), fmt.Sprintf("client-%04d", i), uint64(i))
		writers = append(writers, w)
		wg.Go(func() { w.live(&run) })
	}
	asked := make([]atomic.Int64, 2)
	for i := range asked {
		c := &http.Client{Transport: &http.Transport{DisableKeepAlives: i == 0}}
		wg.Go(func() {
			defer c.CloseIdleConnections()
			for run.Load() {
				resp, err := c.Get(l.url + "api/docs")
				if err != nil {
					t.Errorf("asking: %v", err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					t.Errorf("asking: %s", resp.Status)
				}
				asked[i].Add(1)
			}
		})
	}
	acked := func() (n int64) {
		for _, w := range writers {
			n += w.acks.Load()
		}
		return n
	}
	const handovers = 5
	for range handovers {
		byes := readers(t, l.url, 12)
		before, answers := acked(), asked[0].Load()
		for end := time.Now().Add(time.Minute); acked() < before+20 || asked[0].Load() < answers+5; time.Sleep(time.Millisecond) { // until there is something to disturb
			if t.Failed() {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("in a minute %d operations were acknowledged and %d requests answered", acked()-before, asked[0].Load()-answers)
			}
		}
		l.handOver()
		spread(t, byes, 2000)
	}
	run.Store(false)
	wg.Wait()
	l.signal(syscall.SIGTERM)
	if code := l.ended(); code != 0 {
		t.Errorf("the last process ended with %d", code)
	}
	t.Logf("%d operations acknowledged, %d and %d requests answered across %d handovers", acked(), asked[0].Load(), asked[1].Load(), handovers)
	verifyJournals(t, data, writers)
}

// readers connects clients that wait to be told when to come back, and returns what they are told,
// in milliseconds.
func readers(t *testing.T, url string, n int) <-chan int64 {
	out := make(chan int64, n)
	var wg sync.WaitGroup
	for range n {
		conn, _, err := client.Dial(url, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer conn.Close()
			if bye, err := conn.Receive(); err != nil || bye.T != "bye" {
				t.Errorf("%+v, %v", bye, err)
			} else {
				out <- int64(bye.In)
			}
		})
	}
	go func() { wg.Wait(); close(out) }()
	return out
}

// spread checks that clients were told different times up to a most.
func spread(t *testing.T, in <-chan int64, most int64) {
	t.Helper()
	times := map[int64]bool{}
	for ms := range in {
		times[ms] = true
		if ms < 0 || ms > most {
			t.Errorf("a client is to come back in %d ms", ms)
		}
	}
	if len(times) < 3 {
		t.Errorf("clients are to come back at the times %v", times)
	}
}

// TestFailedHandOver has the new process fail in every way: the old one goes on.
func TestFailedHandOver(t *testing.T) {
	folder, data := t.TempDir(), t.TempDir()
	config := filepath.Join(folder, "quire.conf")
	configured := func(more string) {
		if err := os.WriteFile(config, []byte("listen = 127.0.0.1:0\ndata = "+data+"\n"+more), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	configured("")
	name := buildProgram(t, folder)
	l := found(t, nil, name, "--config", config)
	goesOn := func(doc string) {
		t.Helper()
		if err := roundTrip(l.url, doc); err != nil {
			t.Fatal(err)
		}
	}
	goesOn("before")

	configured("max-ran = 7\n")
	l.signal(syscall.SIGUSR2)
	l.wait(`there is no setting "max-ran"`)
	l.wait("cannot take over; this one goes on")
	goesOn("bad-settings")
	configured("")

	replaceProgram(t, name, []byte("\x7fELF is not enough"))
	l.signal(syscall.SIGUSR2)
	l.wait("cannot take over; this one goes on")
	goesOn("bad-program")

	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	l.signal(syscall.SIGUSR2)
	l.wait("cannot take over; this one goes on")
	goesOn("no-program")

	// It says that it is ready, and ends when it should open the data.
	replaceProgram(t, name, []byte("#!/bin/sh\necho ready >&4\nexit 1\n"))
	l.signal(syscall.SIGUSR2)
	l.wait("ended before it served; this one goes on")
	l.wait("Quire is at " + l.url)
	goesOn("bad-start")

	buildProgram(t, folder)
	l.handOver()
	goesOn("after")
	docs := must(t, "GET", l.url+"api/docs", "", "")
	for _, doc := range []string{"before", "bad-settings", "bad-program", "no-program", "bad-start", "after"} {
		if !strings.Contains(docs, `"id":"`+doc+`"`) {
			t.Errorf("%s is missing in %s", doc, docs)
		}
	}
}

// serviceManager hears what systemd would with NotifyAccess=main.
type serviceManager struct {
	t    *testing.T
	conn *net.UnixConn
	main int // the process that it looks after
}

func newServiceManager(t *testing.T, path string) *serviceManager {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var setErr error
	err = raw.Control(func(fd uintptr) { setErr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1) })
	if err := errors.Join(err, setErr); err != nil {
		t.Fatal(err)
	}
	return &serviceManager{t: t, conn: conn}
}

// hears waits for a message that begins with something. None may come from another process than the main
// one, which may name the next.
func (s *serviceManager) hears(want string) {
	s.t.Helper()
	buf, oob := make([]byte, 1000), make([]byte, unix.CmsgSpace(unix.SizeofUcred))
	_ = s.conn.SetReadDeadline(time.Now().Add(time.Minute))
	for {
		n, o, _, _, err := s.conn.ReadMsgUnix(buf, oob)
		if err != nil {
			s.t.Fatalf("%s: %v", want, err)
		}
		got := string(buf[:n])
		messages, err := unix.ParseSocketControlMessage(oob[:o])
		if err != nil || len(messages) != 1 {
			s.t.Fatalf("%s: %v, %v", got, messages, err)
		}
		if from, err := unix.ParseUnixCredentials(&messages[0]); err != nil || int(from.Pid) != s.main {
			s.t.Errorf("%s is from %+v, %v, and the main process is %d", got, from, err, s.main)
		}
		if pid, ok := strings.CutPrefix(got, "MAINPID="); ok {
			pid, _, _ = strings.Cut(pid, "\n")
			s.main, _ = strconv.Atoi(pid)
		}
		if strings.HasPrefix(got, want) {
			return
		}
	}
}

// TestServiceManager starts the program with sockets as systemd does, and listens to what it tells.
func TestServiceManager(t *testing.T) {
	folder := t.TempDir()
	manager := newServiceManager(t, filepath.Join(folder, "notify"))
	hears := manager.hears
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	// The socket has a connection already, as of a client that did not notice the restart.
	early, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer early.Close()
	fmt.Fprint(early, "GET /healthz HTTP/1.0\r\n\r\n")
	ln.Close()
	// The shell becomes the program, so that LISTEN_PID is its process id.
	script := filepath.Join(folder, "start")
	program := buildProgram(t, folder)
	content := fmt.Sprintf("#!/bin/sh\nexport LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=quire.socket WATCHDOG_PID=$$\nexec %s \"$@\" 3<&0 </dev/null\n", program)
	if err := os.WriteFile(script, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
	l := foundWith(t, f, []string{"NOTIFY_SOCKET=" + filepath.Join(folder, "notify"), "WATCHDOG_USEC=300000"}, script, "--data", filepath.Join(folder, "data"))
	f.Close()
	if want := "http://" + ln.Addr().String() + "/"; l.url != want {
		t.Errorf("it serves at %s, the socket is of %s", l.url, want)
	}
	manager.main = l.pid
	hears("READY=1")
	hears("WATCHDOG=1")
	hears("WATCHDOG=1")
	if answer, err := io.ReadAll(early); err != nil || !strings.HasSuffix(string(answer), "ok\n") {
		t.Errorf("the early connection: %q, %v", answer, err)
	}
	for range 2 { // also from a process that was not started by the service manager
		l.handOver()
		hears("MAINPID=")
		if manager.main != l.pid {
			t.Errorf("the main process is to be %d, want %d", manager.main, l.pid)
		}
		hears("WATCHDOG=1")
		hears("WATCHDOG=1")
	}
	must(t, "GET", l.url+"healthz", "", "")
	replaceProgram(t, program, []byte("#!/bin/sh\necho its parent is $PPID >&2\nexit 1\n"))
	l.signal(syscall.SIGUSR2)
	if got, want := l.wait("its parent is "), fmt.Sprintf("its parent is %d", os.Getpid()); got != want {
		t.Errorf("%s, want %s, the service manager", got, want)
	}
	l.wait("cannot take over; this one goes on")
	l.signal(syscall.SIGTERM)
	hears("STOPPING=1")
	if code := l.ended(); code != 0 {
		t.Errorf("it ended with %d", code)
	}
}

// TestPassedSocketIsGuarded refuses a socket that other machines reach when nobody would be asked who they are,
// whatever address the settings have.
func TestPassedSocketIsGuarded(t *testing.T) {
	ln, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	c, err := configure([]string{"--data", t.TempDir()}, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	m := NewMain(c, io.Discard, slog.New(slog.DiscardHandler))
	m.passed = &passed{sockets: []*socket{{name: mainSocket, ln: ln}}}
	if err := m.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "nobody would be asked who they are") {
		t.Errorf("it serves: %v", err)
	}
	if c, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		c.Close()
		t.Error("the socket is still open")
	}
}
