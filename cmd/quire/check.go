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

	"github.com/spf13/cobra"

	"quire/cmd/quire/commands"
	"quire/session"
	"quire/storage/bolt"
)

// dataPath is the data file that an argument names: the one in a folder, or the file itself.
func dataPath(arg string) string {
	if info, err := os.Stat(arg); err == nil && info.IsDir() {
		return filepath.Join(arg, dataFile)
	}
	return arg
}

// checkCommand verifies a data folder that no server uses: the file's structure and
// checksums, gapless revisions, and that each document's log can be replayed and makes
// the snapshots that are kept of it. Or it repairs the folder.
func checkCommand(p *commands.Program) *cobra.Command {
	var repair *bool
	c := p.Command("check DATA", "verify a data folder; the server has to be stopped", "quire check ./quire-data\nquire check ./quire-data --repair", commands.Local, exactly(1, checkUsage), func(c *commands.Call) error {
		if *repair {
			return repairData(c, c.Args[0])
		}
		return verifyFolder(c.Ctx, c.Args[0], c.Report)
	})
	repair = c.Flags().Bool("repair", false, "make a damaged folder usable; what cannot be kept is written to a file that is named")
	return c
}

const checkUsage = "quire check DATA, where DATA is the data folder"

// check is quire check with nothing but an argument.
func check(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 1 || args[0] == "" || args[0][0] == '-' {
		return usageError("usage: " + checkUsage)
	}
	return verifyFolder(ctx, args[0], func(_ any, format string, args ...any) error {
		_, err := fmt.Fprintf(out, format+"\n", args...)
		return err
	})
}

// A report tells a result: a value as JSON, or a text.
type report func(v any, format string, args ...any) error

// verifyFolder verifies, and reports each problem.
func verifyFolder(ctx context.Context, folder string, tell report) error {
	path := dataPath(folder)
	problems := 0
	sum, err := bolt.Check(ctx, bolt.Options{Path: path, Packers: packers()}, func(p bolt.Problem) {
		problems++
		_ = tell(problem{p.Doc, int64(p.Rev), p.String()}, "%s", p)
	})
	inFile := problems > 0
	if err == nil && !inFile {
		problems, err = replay(ctx, path, func(doc string, rev session.Revision, what string) {
			_ = tell(problem{doc, int64(rev), what}, "%s", what)
		})
	}
	if err != nil {
		return checkError(folder, path, err)
	}
	text := fmt.Sprintf("%s: %s, %s, %s, %d bytes", path, count(sum.Documents, "document"), count(sum.Records, "record"), count(sum.Snapshots, "snapshot"), sum.Bytes)
	if problems == 0 {
		text += "\nNo problems found."
	}
	if err := tell(summary{path, sum.Documents, sum.Records, sum.Snapshots, sum.Bytes, problems}, "%s", text); err != nil {
		return err
	}
	switch {
	case inFile:
		return fmt.Errorf("%s found; %s", count(problems, "problem"), repairHint(folder))
	case problems > 0:
		return errors.New(count(problems, "problem") + " found")
	}
	return nil
}

// repairHint says what to do about damaged data, which folder, or a file, holds.
func repairHint(folder string) string {
	return fmt.Sprintf("quire check %s --repair makes a usable file of what is whole", folder)
}

// problem and summary are what check prints with --json.
type problem struct {
	Doc     string `json:"doc,omitempty"`
	Rev     int64  `json:"rev"` // -1: of none
	Problem string `json:"problem"`
}

type summary struct {
	File      string `json:"file"`
	Documents int    `json:"documents"`
	Records   int    `json:"records"`
	Snapshots int    `json:"snapshots"`
	Bytes     int64  `json:"bytes"`
	Problems  int    `json:"problems"`
}

// checkError says why data cannot be looked at.
func checkError(arg, path string, err error) error {
	switch {
	case errors.Is(err, bolt.ErrLocked):
		return folderError(arg, err)
	case errors.Is(err, fs.ErrNotExist):
		return noData(arg, err)
	}
	return fmt.Errorf("%s cannot be checked: %w", path, err)
}

// replay verifies the content of every document, calls report for each problem and returns
// how many there were.
func replay(ctx context.Context, path string, report func(doc string, rev session.Revision, what string)) (problems int, err error) {
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
				report(info.ID, rev, fmt.Sprintf("document %q, revision %d: %s", info.ID, rev, what))
			})
			if err != nil {
				problems++
				report(info.ID, -1, fmt.Sprintf("document %q cannot be read: %v", info.ID, err))
			}
		}
		if len(infos) < page {
			return problems, nil
		}
	}
}

// repairData makes a damaged folder usable, and says what became of everything.
func repairData(c *commands.Call, folder string) error {
	path := dataPath(folder)
	c.Progress("repairing %s …", path)
	r, err := bolt.Repair(c.Ctx, bolt.Options{Path: path, Packers: packers()})
	c.Progressed()
	if errors.Is(err, bolt.ErrForeign) {
		return commands.Errorf(commands.Damaged, "%s cannot be repaired: %w", path, err)
	} else if err != nil {
		return checkError(folder, path, err)
	}
	if r.Healthy {
		if err := verifyFolder(c.Ctx, folder, c.Report); err != nil {
			return fmt.Errorf("the file is in order, but what documents hold is not, and cannot be repaired: %w", err)
		}
		return nil
	}
	for _, cut := range r.Cut {
		text := fmt.Sprintf("document %q has revisions %d to %d: %s", cut.Doc, cut.Oldest, cut.Head, cut.Why)
		if cut.Head < 0 {
			text = fmt.Sprintf("document %q is not there any more: %s", cut.Doc, cut.Why)
		}
		if err := c.Report(problem{cut.Doc, int64(cut.Head), text}, "%s", text); err != nil {
			return err
		}
	}
	err = c.Report(repaired{path, r.Damaged, r.Aside, r.Documents, r.Records, len(r.Cut), r.Lost, r.LostAppends, r.AsideRecords + r.AsideSnapshots + r.AsideOther, r.Doubt},
		"%s: %s and %s were found whole; the file as it was is %s", path, count(r.Documents, "document"), count(r.Records, "record"), r.Damaged)
	if err != nil {
		return err
	}
	if r.Aside != "" {
		c.Say("What was set aside is in " + r.Aside + ", one JSON object a line.")
	}
	if r.Lost > 0 || r.LostAppends > 0 {
		c.Say(fmt.Sprintf("Nothing was found of %s and %s.", count(r.Lost, "document"), count(r.LostAppends, "append")))
	}
	if r.Doubt {
		c.Say("Whether the newest edits are all there cannot be told.")
	}
	if len(r.Cut) > 0 || r.Lost > 0 || r.LostAppends > 0 || r.Aside != "" || r.Doubt {
		return commands.Errorf(commands.Damaged, "%s can be used again, but not everything could be kept; the file as it was is %s", path, r.Damaged)
	}
	return nil
}

// repaired is what check --repair prints with --json.
type repaired struct {
	File        string `json:"file"`
	Damaged     string `json:"damaged"`
	Aside       string `json:"aside,omitempty"`
	Documents   int    `json:"documents"`
	Records     int    `json:"records"`
	Cut         int    `json:"cut"`
	Lost        int    `json:"lost"`
	LostAppends int    `json:"lost_appends"`
	SetAside    int    `json:"set_aside"`
	Doubt       bool   `json:"doubt"`
}

// exactly takes so many arguments, or says how the command is used.
func exactly(n int, usage string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != n {
			return usageError("usage: " + usage)
		}
		return nil
	}
}

// count puts a number before a noun.
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return strconv.Itoa(n) + " " + noun
}
