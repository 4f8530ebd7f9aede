package main

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"quire/session"
	"quire/storage"
	"quire/storage/bolt"
)

// fetchBackup downloads a backup and verifies its digest and length.
func fetchBackup(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url + "api/backup")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || resp.ContentLength != int64(len(data)) {
		t.Fatalf("%s, %d bytes of %d, %v", resp.Status, len(data), resp.ContentLength, err)
	}
	sum := sha256.Sum256(data)
	if want := "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"; resp.Header.Get("Content-Digest") != want {
		t.Errorf("Content-Digest %s, want %s", resp.Header.Get("Content-Digest"), want)
	}
	path := filepath.Join(t.TempDir(), "backup.db")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestBackupUnderLoad downloads backups from the real program while clients of every type
// write. Each restores, passes the check, and has every operation that was
// acknowledged before it began, without a gap.
func TestBackupUnderLoad(t *testing.T) {
	p := launch(t, "--listen", "127.0.0.1:0", "--data", t.TempDir())
	defer p.kill()
	var run atomic.Bool
	run.Store(true)
	var writers []*writer
	var wg sync.WaitGroup
	acks := make(chan struct{}, 1)
	for i := range crashTypes {
		w := newWriter(p.url, i, "client-"+crashTypes[i].typ.Name(), uint64(i))
		w.acked = func() {
			select {
			case acks <- struct{}{}:
			default:
			}
		}
		writers = append(writers, w)
		wg.Go(func() { w.live(&run) })
	}
	stop := sync.OnceFunc(func() {
		run.Store(false)
		wg.Wait()
	})
	defer stop()
	for range 3 {
		for range 20 {
			<-acks
		}
		var before []map[uint64]session.Revision
		for _, w := range writers {
			w.mu.Lock()
			before = append(before, maps.Clone(w.journal))
			w.mu.Unlock()
		}
		backup := fetchBackup(t, p.url)
		folder := filepath.Join(t.TempDir(), "restored")
		if code, out, errOut := cli([]string{"restore-backup", backup, "--data", folder}); code != exitOK {
			t.Fatalf("restore-backup: %d %s%s", code, out, errOut)
		}
		if code, out, errOut := cli([]string{"check", folder}); code != exitOK {
			t.Fatalf("check: %d %s%s", code, out, errOut)
		}
		holds(t, folder, writers, before)
	}
	stop()
	for _, w := range writers {
		if err := w.failure(); err != nil {
			t.Error(err)
		}
	}
}

// holds fails the test unless a data folder has every operation of the journals.
func holds(t *testing.T, folder string, writers []*writer, journals []map[uint64]session.Revision) {
	t.Helper()
	store, err := bolt.Open(bolt.Options{Path: filepath.Join(folder, dataFile), MustExist: true, Packers: packers(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for i, w := range writers {
		if len(journals[i]) == 0 {
			continue
		}
		info, err := store.Stat(t.Context(), w.doc.ID)
		if err != nil {
			t.Fatal(err)
		}
		found := map[uint64]session.Revision{}
		for rev := storage.Revision(-1); rev < info.Head; {
			recs, err := store.Read(t.Context(), w.doc.ID, rev, info.Head)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range recs {
				rev++
				if r.Client == w.doc.Client {
					found[r.Seq] = rev
				}
			}
		}
		for seq, rev := range journals[i] {
			if found[seq] != rev {
				t.Errorf("%s: seq %d was acknowledged at revision %d before the backup, which has it at %d", w.doc.Client, seq, rev, found[seq])
			}
		}
	}
}

// TestBackupRefuses: other methods, pages of other origins, and a second one at once.
func TestBackupRefuses(t *testing.T) {
	_, url, _ := start(t, "--data", t.TempDir())
	for _, c := range []struct {
		method, origin string
		status         int
		says           string
	}{
		{"POST", "", 405, "method"},
		{"GET", "https://evil.example", 403, "origin"},
	} {
		req, err := http.NewRequest(c.method, url+"api/backup", nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.origin != "" {
			req.Header.Set("Origin", c.origin)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != c.status || !strings.Contains(string(body), `"code":"`+c.says+`"`) {
			t.Errorf("%s %s: %s %s", c.method, c.origin, resp.Status, body)
		}
	}
}
