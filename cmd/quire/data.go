package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"quire/cmd/quire/commands"
	"quire/session"
	"quire/storage/bolt"
)

// dataCommands are those on data as a whole.
func dataCommands(p *commands.Program) []*cobra.Command {
	return []*cobra.Command{backupCommand(p), restoreBackupCommand(p), checkCommand(p), compactCommand(p)}
}

// backupCommand downloads a backup and verifies it.
func backupCommand(p *commands.Program) *cobra.Command {
	return p.Command("backup [URL] FILE", "copy all data of a running server into a file, and verify it", "quire backup http://127.0.0.1:8080 quire-backup.db", commands.Remote, func(cmd *cobra.Command, args []string) error {
		if len(args) < 1 || len(args) > 2 {
			return usageError("usage: quire backup [URL] FILE")
		}
		return nil
	}, func(c *commands.Call) error {
		name := c.Args[len(c.Args)-1]
		if len(c.Args) == 2 {
			if err := c.At(c.Args[0]); err != nil {
				return err
			}
		}
		var sum bolt.Summary
		bytes, err := commands.WriteFile(name, 0o600, func(f *os.File) error {
			if err := download(c, f); err != nil {
				return err
			}
			var err error
			sum, err = verified(c, f.Name())
			return err
		})
		if err != nil {
			return err
		}
		return c.Done(map[string]any{"file": name, "bytes": bytes, "documents": sum.Documents, "records": sum.Records},
			"%s: %s, %s, %d bytes, verified.", name, count(sum.Documents, "document"), count(sum.Records, "record"), bytes)
	})
}

// download writes the server's backup into f, whole or not at all.
func download(c *commands.Call, f *os.File) error {
	c.Progress("the server is copying its data …")
	defer c.Progressed()
	resp, err := c.Backup(c.Ctx)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	digest := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, digest), c.Counting(resp.Body, resp.ContentLength))
	if err != nil {
		return err
	}
	want, found := strings.CutPrefix(resp.Header.Get("Content-Digest"), "sha-256=:")
	sum, decodeErr := base64.StdEncoding.DecodeString(strings.TrimSuffix(want, ":"))
	switch {
	case !found || decodeErr != nil:
		return errors.New("the answer is not a backup: it has no digest to verify it with")
	case resp.ContentLength >= 0 && n != resp.ContentLength, subtle.ConstantTimeCompare(sum, digest.Sum(nil)) != 1:
		return commands.Errorf(commands.Damaged, "the backup was damaged on its way: it is not what the server sent")
	}
	return f.Sync()
}

// verified checks a data file completely, as quire check does.
func verified(c *commands.Call, path string) (bolt.Summary, error) {
	c.Progress("verifying %s …", path)
	defer c.Progressed()
	var first string
	note := func(problem string) {
		if first == "" {
			first = problem
		}
	}
	sum, err := bolt.Check(c.Ctx, bolt.Options{Path: path, Packers: packers()}, func(p bolt.Problem) { note(p.String()) })
	if err == nil && first == "" {
		_, err = replay(c.Ctx, path, func(_ string, _ session.Revision, problem string) { note(problem) })
	}
	if err == nil && first != "" {
		err = commands.Errorf(commands.Damaged, "%s is damaged: %s", path, first)
	}
	return sum, err
}

// restoreBackupCommand makes a data folder of a backup.
func restoreBackupCommand(p *commands.Program) *cobra.Command {
	var at *string
	c := p.Command("restore-backup FILE --data FOLDER", "make a data folder of a backup, as it is or as of a time", "quire restore-backup quire-backup.db --data ./restored\nquire restore-backup quire-backup.db --at '2026-11-20 10:00' --data ./restored", commands.Folder, exactly(1, "quire restore-backup FILE [--at TIME] --data FOLDER"), func(c *commands.Call) error {
		o := bolt.RestoreOptions{Backup: c.Args[0], Dir: c.Folder, Packers: packers(), KeepNote: session.NoteHolds}
		if c.Folder == "" {
			return usageError("say where to with --data FOLDER, which has to be empty or not there yet")
		}
		if *at != "" {
			var ok bool
			if o.At, ok = commands.ParseTime(*at); !ok {
				return usageError(fmt.Sprintf("--at is %q; write a time as 2026-11-20T10:00:00Z, 2026-11-20 10:00 or 2h (ago)", *at))
			}
		}
		c.Progress("restoring %s …", o.Backup)
		r, err := bolt.Restore(c.Ctx, o)
		c.Progressed()
		if errors.Is(err, bolt.ErrNotEmpty) {
			return commands.Errorf(commands.Changed, "%s is not empty: a backup is restored into a folder of its own", c.Folder)
		} else if err != nil {
			return folderError(o.Backup, err)
		}
		if _, err := verified(c, r.Path); err != nil {
			return err
		}
		for _, doc := range r.Newer {
			fmt.Fprintf(c.Err(), "quire: what %q was at that time is not kept any more: it is as it was at its oldest revision\n", doc)
		}
		if r.Left > 0 {
			fmt.Fprintf(c.Err(), "quire: %s created later left out\n", count(r.Left, "document"))
		}
		return c.Done(map[string]any{"path": r.Path, "documents": r.Summary.Documents, "records": r.Summary.Records, "left": r.Left, "newer": len(r.Newer)},
			"%s: %s, %s, verified.", r.Path, count(r.Summary.Documents, "document"), count(r.Summary.Records, "record"))
	})
	at = c.Flags().String("at", "", "restore what there was at this `time`")
	return c
}

// compactCommand makes a data folder small.
func compactCommand(p *commands.Program) *cobra.Command {
	return p.Command("compact DATA", "make a data folder as small as it can be; the server has to be stopped", "quire compact ./quire-data", commands.Local, exactly(1, "quire compact DATA, where DATA is the data folder"), func(c *commands.Call) error {
		path := dataPath(c.Args[0])
		if _, err := os.Stat(path); err != nil {
			return noData(c.Args[0], err)
		}
		done, err := bolt.Compact(c.Ctx, bolt.Options{Path: path, Packers: packers(), MustExist: true}, func(done, all int64) {
			c.Progress("compacting %s: %d %%", path, 100*done/max(all, 1))
		})
		c.Progressed()
		if err != nil {
			return folderError(c.Args[0], err)
		}
		return c.Done(compacted{path, done.Before, done.After, done.Summary.Documents, done.Summary.Records},
			"%s: %d bytes, before %d; %s, %s, verified.", path, done.After, done.Before, count(done.Summary.Documents, "document"), count(done.Summary.Records, "record"))
	})
}

// compacted is what compact prints with --json.
type compacted struct {
	File      string `json:"file"`
	Before    int64  `json:"before"`
	After     int64  `json:"after"`
	Documents int    `json:"documents"`
	Records   int    `json:"records"`
}
