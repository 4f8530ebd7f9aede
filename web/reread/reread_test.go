package reread_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"quire/web/reread"
)

// TestWatch replaces a file in ways that operators and their tools do, and checks that each is noticed once, and that
// nothing is when nothing happens.
func TestWatch(t *testing.T) {
	dir := t.TempDir()
	at := func(parts ...string) string { return filepath.Join(append([]string{dir}, parts...)...) }
	try := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	long := time.Unix(1, 0)
	// As a cluster has a mounted secret: a link to a file in a folder behind a link, which is swapped. All files are of one
	// size and one time, as in an image that is built reproducibly.
	for _, f := range []string{"one", "two", "three"} {
		try(os.Mkdir(at(f), 0o700))
		try(os.WriteFile(at(f, "key"), []byte(f[:2]), 0o600))
		try(os.Chtimes(at(f, "key"), long, long))
	}
	point := func(to string) {
		try(os.Symlink(to, at("next")))
		try(os.Rename(at("next"), at("..data")))
	}
	point("one")
	try(os.Symlink(filepath.Join("..data", "key"), at("key")))

	synctest.Test(t, func(t *testing.T) {
		read := make(chan string, 100)
		files := reread.New([]string{at("key")}, func() {
			data, err := reread.Read(at("key"))
			if err != nil {
				data = []byte("error")
			}
			read <- string(data)
		})
		ctx, cancel := context.WithCancel(t.Context())
		go files.Watch(ctx, time.Second)
		step := func(what, want string) {
			t.Helper()
			time.Sleep(5500 * time.Millisecond) // of the bubble
			synctest.Wait()
			var got []string
			for len(read) > 0 {
				got = append(got, <-read)
			}
			if want == "" && got != nil || want != "" && (len(got) != 1 || got[0] != want) {
				t.Errorf("%s: read %q, want %q once", what, got, want)
			}
		}
		step("nothing", "")
		point("two")
		step("another folder", "tw")
		try(os.Rename(at("three", "key"), at("two", "key")))
		step("another file of one size and time", "th")
		try(os.WriteFile(at("two", "key"), []byte("longer"), 0o600))
		step("written anew", "longer")
		if os.Getuid() != 0 { // who may read everything
			try(os.Chmod(at("two", "key"), 0))
			step("not to be read", "error")
			try(os.Chmod(at("two", "key"), 0o600))
			step("to be read again", "longer")
		}
		try(os.Remove(at("two", "key")))
		step("removed", "error")
		try(os.Mkdir(at("two", "key"), 0o700))
		step("a folder", "error")
		try(os.Remove(at("two", "key")))
		try(os.WriteFile(at("two", "key"), make([]byte, reread.MaxFile+1), 0o600))
		step("huge", "error")
		point("one")
		step("as it was", "on")
		if files.Reload(); len(read) != 1 {
			t.Errorf("asked to read: it is read %d times", len(read))
		}
		cancel()
	})
}
