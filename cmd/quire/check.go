package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"

	"quire/session"
	"quire/storage/bolt"
)

// check verifies a data folder that no server uses: the file's structure and
// checksums, gapless revisions, and that each document's log can be replayed and makes
// the snapshots that are kept of it.
func check(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 1 || args[0] == "" || args[0][0] == '-' {
		return usageError("usage: quire check DATA, where DATA is the data folder")
	}
	path := args[0]
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, dataFile)
	}
	problems := 0
	sum, err := bolt.Check(ctx, bolt.Options{Path: path, Packers: packers()}, func(p bolt.Problem) {
		problems++
		fmt.Fprintln(out, p)
	})
	switch {
	case errors.Is(err, bolt.ErrLocked):
		return fmt.Errorf("%s is in use by a running Quire: stop it first", path)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no data at %s", args[0])
	case err != nil:
		return fmt.Errorf("%s cannot be checked: %w", path, err)
	}
	if problems == 0 {
		if problems, err = replay(ctx, path, out); err != nil {
			return fmt.Errorf("%s cannot be checked to the end: %w", path, err)
		}
	}
	fmt.Fprintf(out, "%s: %s, %s, %s, %d bytes\n", path, count(sum.Documents, "document"), count(sum.Records, "record"), count(sum.Snapshots, "snapshot"), sum.Bytes)
	if problems > 0 {
		return errors.New(count(problems, "problem") + " found")
	}
	fmt.Fprintln(out, "No problems found.")
	return nil
}

// replay verifies the content of every document and returns how many problems it has
// reported.
func replay(ctx context.Context, path string, out io.Writer) (problems int, err error) {
	const never = 1 << 30 // leave the file as it is
	store, err := bolt.Open(bolt.Options{Path: path, MustExist: true, FoldAfter: never, FoldAlways: never, Packers: packers(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return 0, err
	}
	defer store.Close()
	const page = 1000
	for after := ""; ; {
		infos, err := store.List(ctx, "", after, page)
		if err != nil {
			return problems, err
		}
		for _, info := range infos {
			after = info.ID
			_, err := session.Verify(ctx, store, types(), info.ID, func(rev session.Revision, what string) {
				problems++
				fmt.Fprintf(out, "document %q, revision %d: %s\n", info.ID, rev, what)
			})
			if err != nil {
				problems++
				fmt.Fprintf(out, "document %q cannot be read: %v\n", info.ID, err)
			}
		}
		if len(infos) < page {
			return problems, nil
		}
	}
}

// count puts a number before a noun.
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return strconv.Itoa(n) + " " + noun
}
