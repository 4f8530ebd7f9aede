// Package bench measures a running server: how many edits it takes and delivers,
// how fast, and what that costs it. It starts the server and, to compare with, a
// broadcaster that does nothing but pass messages on; both run on one CPU and the
// load generator on another, so that the ratio between them says what Quire's work
// costs whatever the machine.
package bench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// UsageError is a mistake on the command line.
type UsageError string

// Error returns the mistake.
func (e UsageError) Error() string { return string(e) }

// Credentials say who measures a server that asks people who they are.
type Credentials struct {
	// Token returns the token that is in a file, or, for "", the one that the environment names, which may
	// be none: "". Required.
	Token func(file string) (string, error)
	// Usage explains the flag that names the file.
	Usage string
}

// options are what the flags set.
type options struct {
	url, data, dataRoot, server   string
	json, pin, raw                bool
	warmUp, duration              time.Duration
	writers, readers, run, window int
	docs, conns, revisions, edits int
	inFlight, times, reads        int
	trace                         string
	tokenFile, token              string
}

// kind is a benchmark.
type kind struct {
	name, args, help string
	flags            func(fs *flag.FlagSet, o *options)
	run              func(ctx context.Context, b *bench) (*report, error)
	noRaw            bool // the broadcaster cannot do this
}

// bench is one run of a benchmark.
type bench struct {
	options
	kind     *kind
	out, err io.Writer
	targets  []*target
	machine  string // what it runs on, and what was pinned to which CPU
	folder   string // temporary; empty when the server was running before
}

func kindsOf() []*kind {
	return []*kind{
		{name: "hot", help: "one document, many writers, each with one operation in flight", flags: hotFlags, run: hot},
		{name: "fanout", help: "one document, one writer, many readers, as fast as all can follow", flags: fanoutFlags, run: fanout},
		{name: "many", help: "many documents, a writer and a reader each", flags: manyFlags, run: many},
		{name: "idle", help: "memory of connections that hold a document open", flags: idleFlags, run: idle},
		{name: "replay", args: "FILE", help: "a recorded session (josephg/editing-traces), typed one by one", flags: replayFlags, run: replay},
		{name: "catchup", help: "coming back after many missed edits", flags: catchupFlags, run: catchup, noRaw: true},
		{name: "open", help: "opening a document with a long history", flags: openFlags, run: open, noRaw: true},
		{name: "history", help: "size of a long history, and reading old revisions of it", flags: historyFlags, run: history, noRaw: true},
	}
}

// Run measures what args say, a kind and its flags, and writes the result to out.
// It returns a UsageError for a mistake in args and flag.ErrHelp when help was asked
// for. Processes and files that it makes are gone when it returns.
func Run(ctx context.Context, args []string, who Credentials, out, errOut io.Writer) error {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		help(out)
		if len(args) == 0 {
			return UsageError("which benchmark?")
		}
		return nil
	}
	if args[0] == "raw" {
		return raw(ctx, args[1:], out, errOut)
	}
	for _, k := range kindsOf() {
		if k.name == args[0] {
			return k.start(ctx, args[1:], who, out, errOut)
		}
	}
	return UsageError(fmt.Sprintf("there is no benchmark %q; quire bench help lists them", args[0]))
}

func help(out io.Writer) {
	fmt.Fprint(out, `quire bench KIND [flags] measures a server. Without --url it starts one, on one CPU and
with its data in a temporary folder, and after it the bare broadcaster to compare with.

`)
	for _, k := range kindsOf() {
		fmt.Fprintf(out, "  %-14s %s\n", strings.TrimSpace(k.name+" "+k.args), k.help)
	}
	fmt.Fprintf(out, "  %-14s %s\n\nquire bench KIND --help lists the flags.\n", "raw", "serves the bare broadcaster")
}

func flagSet(name string, errOut io.Writer) *flag.FlagSet {
	fs := flag.NewFlagSet("quire bench "+name, flag.ContinueOnError)
	fs.SetOutput(errOut)
	return fs
}

func parse(fs *flag.FlagSet, args []string) error {
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return err
	} else if err != nil {
		return UsageError(err.Error())
	}
	if fs.NArg() > 0 {
		return UsageError(fmt.Sprintf("unexpected argument %q", fs.Arg(0)))
	}
	return nil
}

// raw serves the broadcaster.
func raw(ctx context.Context, args []string, out, errOut io.Writer) error {
	fs := flagSet("raw", errOut)
	listen := fs.String("listen", "127.0.0.1:0", "`address` to serve on; port 0 takes a free one")
	per := fs.String("per", perWakeUp, "one write per `frame`, or per wakeup: everything that waits for a connection")
	if err := parse(fs, args); err != nil {
		return err
	}
	if *per != perFrame && *per != perWakeUp {
		return UsageError("per is " + *per + "; it has to be " + perFrame + " or " + perWakeUp)
	}
	return serveRaw(ctx, *listen, *per == perFrame, out)
}

// start runs a benchmark from its flags to its report.
func (k *kind) start(ctx context.Context, args []string, who Credentials, out, errOut io.Writer) (err error) {
	b := &bench{kind: k, out: out, err: errOut}
	fs := flagSet(k.name, errOut)
	o := &b.options
	fs.StringVar(&o.url, "url", "", "`URL` of a running server; without it one is started")
	fs.StringVar(&o.tokenFile, "token-file", "", who.Usage)
	fs.StringVar(&o.data, "data", "", "`folder` with the data of the running server, to tell its size")
	fs.StringVar(&o.dataRoot, "data-root", ".", "`folder` in which a server that is started keeps its temporary data")
	fs.StringVar(&o.server, "server", "", "`executable` to start as the server instead of this one")
	fs.BoolVar(&o.json, "json", false, "write a JSON object per target instead of a table")
	fs.BoolVar(&o.pin, "pin", true, "keep what is started on one CPU and the load generator on another")
	if !k.noRaw {
		fs.BoolVar(&o.raw, "raw", true, "measure the broadcaster too, unless there is a --url")
	}
	if k.flags != nil {
		k.flags(fs, o)
	}
	if k.args != "" {
		args = k.file(o, args)
	}
	if err := parse(fs, args); err != nil {
		return err
	}
	if err := check(fs); err != nil {
		return err
	}
	if k.args != "" && o.trace == "" {
		return UsageError("quire bench " + k.name + " needs a " + k.args)
	}
	if o.url == "" && o.tokenFile != "" {
		return UsageError("token-file is for a running server, which --url names; the one that is started asks nobody")
	}
	if o.url != "" {
		if o.token, err = who.Token(o.tokenFile); err != nil {
			return err
		}
	}
	defer func() { err = errors.Join(err, b.cleanUp()) }()
	if err := b.prepare(); err != nil {
		return err
	}
	rep, err := k.run(ctx, b)
	if err != nil {
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		return err
	}
	rep.kind, rep.machine = k.name, b.machine
	if o.json {
		return rep.lines(out)
	}
	rep.text(out)
	return nil
}

// file takes the file that a benchmark is about out of its arguments: it comes before
// or after the flags.
func (k *kind) file(o *options, args []string) []string {
	n := len(args)
	switch {
	case n > 0 && !strings.HasPrefix(args[0], "-"):
		o.trace, args = args[0], args[1:]
	case n > 0 && !strings.HasPrefix(args[n-1], "-"):
		o.trace, args = args[n-1], args[:n-1]
	}
	return args
}

// check refuses numbers and times that cannot work.
func check(fs *flag.FlagSet) (err error) {
	fs.VisitAll(func(f *flag.Flag) {
		switch v := f.Value.(flag.Getter).Get().(type) {
		case int:
			if v < 1 {
				err = UsageError(fmt.Sprintf("%s is %d; it has to be at least 1", f.Name, v))
			}
		case time.Duration:
			if v < 0 || v == 0 && f.Name != "warm-up" {
				err = UsageError(fmt.Sprintf("%s is %v; it has to be longer", f.Name, v))
			}
		}
	})
	return err
}

// prepare decides on the targets and the CPUs.
func (b *bench) prepare() error {
	cpu := -1
	var pinned string
	defer func(m string) { b.machine = m + "; " + pinned }(machine())
	if b.url != "" {
		b.targets = []*target{{name: "quire", url: b.url, token: b.token, cpu: cpu}}
		pinned = "the server at " + b.url + " was running, nothing is pinned"
		return nil
	}
	switch all := cpus(); {
	case !b.pin:
		pinned = "nothing is pinned to a CPU"
	case len(all) < 2:
		pinned = "nothing is pinned: there is one CPU, or they cannot be told apart here"
	default:
		if err := pinSelf(all[1]); err != nil {
			return err
		}
		cpu = all[0]
		pinned = fmt.Sprintf("servers pinned to CPU %d, the load generator to CPU %d", all[0], all[1])
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	root, err := filepath.Abs(b.dataRoot)
	if err != nil {
		return err
	}
	if b.folder, err = os.MkdirTemp(root, "quire-bench-"); err != nil {
		return err
	}
	b.data = b.folder
	server := exe
	if b.server != "" {
		server = b.server
	}
	b.targets = []*target{{name: "quire", exe: server, cpu: cpu,
		args: []string{"serve", "--listen", "127.0.0.1:0", "--data", b.folder, "--log-level", "warn",
			// What is measured is how fast it can go, all from one address.
			"--max-client-rate", "0", "--max-author-rate", "0", "--max-document-rate", "0", "--max-open-rate", "0", "--max-rate", "0",
			"--max-address-connections", "0", "--max-address-http", "0", "--max-connections", "1000000"}}}
	if b.raw {
		for _, per := range []string{perFrame, perWakeUp} {
			b.targets = append(b.targets, &target{name: "raw, per " + per, raw: true, exe: exe, cpu: cpu,
				args: []string{"bench", "raw", "--per", per}})
		}
	}
	return nil
}

// each starts the targets one after the other, measures them and stops them.
func (b *bench) each(ctx context.Context, measure func(t *target) (*result, error)) ([]*result, error) {
	var out []*result
	for _, t := range b.targets {
		res, err := b.with(ctx, t, func() (*result, error) { return measure(t) })
		if err != nil {
			return nil, err
		}
		out = append(out, res)
	}
	return out, nil
}

// with runs f while a target runs.
func (b *bench) with(ctx context.Context, t *target, f func() (*result, error)) (*result, error) {
	if t.args != nil {
		if err := t.start(ctx); err != nil {
			return nil, err
		}
	}
	fmt.Fprintf(b.err, "measuring %s at %s\n", t.name, t.url)
	res, err := f()
	t.stop()
	if err != nil && t.log != nil && t.log.String() != "" {
		err = fmt.Errorf("%w\n%s said: %s", err, t.name, t.log)
	}
	if res != nil {
		res.target = t.name
	}
	return res, err
}

// cleanUp removes the temporary data.
func (b *bench) cleanUp() error {
	if b.folder == "" {
		return nil
	}
	return os.RemoveAll(b.folder)
}
