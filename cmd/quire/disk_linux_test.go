package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"quire/session"
	"quire/web/quirev1"
	"quire/web/quirev1/client"
)

// TestFullDisk fills a small disk: edits that do not fit are reported as not saved and
// never acknowledged, the process stops in order and in time, and everything that was
// acknowledged is there when it is started again.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=3m"); err != nil {
		if os.Getenv("CI") == "true" && os.Geteuid() == 0 {
			t.Fatalf("cannot mount a small disk: %v", err)
		}
		t.Skipf("SKIPPED: a full disk is not tested, mounting one takes root: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	p := launch(t, "--listen", "127.0.0.1:0", "--data", dir, "--stop-within", "3s", "--max-document", "100000000")
	defer p.kill()
	conn, _, err := client.Dial(p.url, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	doc, create := "full", "text"
	send := func(m quirev1.ClientMessage) {
		if err := conn.Send(&m); err != nil {
			t.Fatal(err)
		}
	}
	send(quirev1.ClientMessage{T: "open", Doc: &doc, Client: "client-0001", Create: create})
	acked := uint64(0)
	var base session.Revision
	text, _ := json.Marshal([]string{strings.Repeat("0123456789", 20_000)})
	submit := func() {
		seq := acked + 1
		b := base
		send(quirev1.ClientMessage{T: "submit", Doc: &doc, Base: &b, Seq: &seq, Ops: []json.RawMessage{text}})
	}
	for saved := true; saved; {
		m, err := conn.Receive()
		if err != nil {
			t.Fatal(err)
		}
		switch m.T {
		case "opened":
			submit()
		case "ops":
			acked, base = m.Ops[0].S, m.Rev+1
			submit()
		case "status":
			saved = m.Saved
		case "error":
			t.Fatalf("%+v", m)
		}
	}
	resp, err := http.Get(p.url + "readyz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("readyz: %s", resp.Status)
	}
	begin := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	err = p.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Errorf("the exit code is %d\n%s", exit.ExitCode(), p.log)
	}
	if d := time.Since(begin); d > 20*time.Second {
		t.Errorf("stopping took %v", d)
	}
	if !strings.Contains(p.log.String(), "could not be saved") {
		t.Errorf("the log does not say that edits were not saved:\n%s", p.log)
	}
	if strings.Contains(p.log.String(), "did not close in time") {
		t.Errorf("no time was left to close the data file:\n%s", p.log)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=30m"); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := check(context.Background(), []string{dir}, &out); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
	if !strings.Contains(out.String(), "1 document, "+count(int(acked)+1, "record")) { // and the one that creates it
		t.Errorf("%d operations were acknowledged; on disk: %s", acked, &out)
	}
}
