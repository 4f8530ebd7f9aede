package command

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"quire/cmd/quire/mirror"
)

// stopCodes are the exit codes of what stops a sync.
var stopCodes = map[mirror.Reason]int{mirror.Refused: Failed, mirror.NotFound: NotFound, mirror.Changed: Changed, mirror.Gone: Gone}

// sync keeps a file and a document the same.
func (p *Program) sync() *builder {
	b := p.new("sync FILE DOC", "keep a file and a document the same while both are edited", "quire sync notes.txt notes\nquire sync notes.txt notes --once", cobra.ExactArgs(2))
	once := b.cmd.Flags().Bool("once", false, "make both the same, and end")
	typ := typeFlag(b)
	prefer := b.cmd.Flags().String("prefer", "", "what to take `from` when both are there at first and differ: file or document")
	settle := b.cmd.Flags().Duration("settle", 100*time.Millisecond, "`time` that the file has to be left alone before it is read")
	return b.does("fd", func(c *call) error {
		if p := mirror.Prefer(*prefer); p != "" && p != mirror.FromFile && p != mirror.FromDocument {
			return Errorf(Usage, "--prefer is %q; it has to be file or document", *prefer)
		}
		if *settle <= 0 || *settle > time.Minute {
			return Errorf(Usage, "--settle is %v; it has to be more than 0 and at most 1m", *settle)
		}
		m, err := mirror.Open(mirror.Options{
			Client: c.Client, File: c.args[0], Doc: document(c.args[1]), Type: *typ, Prefer: mirror.Prefer(*prefer), Settle: *settle, Note: c.note,
		})
		if err == nil {
			defer m.Close()
			if *once {
				err = m.Once(c.ctx)
			} else {
				err = m.Run(c.ctx)
			}
		}
		var stop *mirror.Stop
		if errors.As(err, &stop) {
			err = &Error{stopCodes[stop.Reason], stop}
		}
		return err
	})
}

// note says what a sync does: to programs everything, to others what they have to know.
func (c *call) note(n mirror.Note) {
	if c.json {
		_ = c.line(n)
		_ = c.flush()
		return
	}
	text := n.Text
	if text == "" && c.watch && n.Event != "same" {
		text = fmt.Sprintf("%s: revision %d", n.Event, n.Rev)
	}
	if text != "" {
		fmt.Fprintf(c.err, "%s %s\n", time.Now().Format("15:04:05"), plain(text))
	}
}
