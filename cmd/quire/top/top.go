// Package top shows what a server is doing: the hottest documents, how long edits take,
// who is connected.
package top

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"quire/cmd/quire/commands"
	"quire/cmd/quire/remote"
)

// Frame is what is shown at a time.
type Frame struct {
	Status      remote.Status       `json:"status"`
	Sessions    []remote.Session    `json:"sessions"`
	Connections []remote.Connection `json:"connections"`
	at          time.Time
}

// source is where frames come from: a *remote.Client, or a test.
type source interface {
	Status(ctx context.Context) (remote.Status, error)
	Sessions(ctx context.Context, by string, limit int) (remote.Sessions, error)
	Connections(ctx context.Context, by string, limit int) (remote.Connections, error)
}

var _ source = (*remote.Client)(nil)

// orders are how documents can be sorted, connOrders connections.
var (
	orders     = []string{"rate", "memory", "readers", "doc"}
	connOrders = []string{"since", "sent", "received"}
)

// rows is how many entries of each kind are asked for.
const rows = 200

// take asks for a frame.
func take(ctx context.Context, from source, by, connBy string) (f Frame, err error) {
	if f.Status, err = from.Status(ctx); err != nil {
		return f, err
	}
	sessions, err := from.Sessions(ctx, by, rows)
	if err != nil {
		return f, err
	}
	conns, err := from.Connections(ctx, connBy, rows)
	f.Sessions, f.Connections, f.at = sessions.Sessions, conns.Connections, time.Now()
	return f, err
}

// Command makes quire top.
func Command(p *commands.Program) *cobra.Command {
	var once bool
	var every time.Duration
	var by, at string
	cmd := p.Command("top", "show what a server is doing: documents, latencies, connections; for operators", "quire top --admin http://127.0.0.1:8081", commands.Remote, cobra.NoArgs, func(c *commands.Call) error {
		if every < 100*time.Millisecond {
			return commands.Errorf(commands.Usage, "--every is %v; it has to be at least 100ms", every)
		}
		if at != "" {
			if err := c.At(at); err != nil {
				return err
			}
		}
		if !slices.Contains(orders, by) {
			return commands.Errorf(commands.Usage, "--by is %q; it has to be rate, memory, readers or doc", by)
		}
		if once || !p.Terminal || c.JSON() {
			f, err := take(c.Ctx, c.Client, by, connOrders[0])
			if err != nil {
				return err
			}
			if c.JSON() {
				return c.Report(f, "")
			}
			fmt.Fprint(p.Out, Table(f))
			return nil
		}
		t, err := open(os.Stdin, os.Stdout)
		if err != nil {
			return err
		}
		defer t.close()
		return watch(c.Ctx, c.Client, by, every, t)
	})
	cmd.GroupID = "serve"
	cmd.Flags().BoolVar(&once, "once", false, "print what is so now and end; so it is without a terminal and with --json")
	cmd.Flags().DurationVar(&every, "every", 2*time.Second, "`time` between looks")
	cmd.Flags().StringVar(&by, "by", orders[0], "`order` of the documents: rate, memory, readers or doc")
	cmd.Flags().StringVar(&at, "admin", "", "`URL` of the server's listener for operators (default: that of the server)")
	return cmd
}
