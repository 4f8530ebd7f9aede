// Command quire is a collaborative document editing server. quire help lists what
// it can do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"quire/cmd/quire/commands"
)

// Version is the program's version.
const Version = "0.1.0"

// version returns Version with the revision it was built from, when known.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Version
	}
	return versionFrom(info.Settings)
}

// versionFrom returns Version with the revision that the settings of a build name, and whether its sources
// were other than that revision's.
func versionFrom(build []debug.BuildSetting) string {
	set := make(map[string]string, len(build))
	for _, s := range build {
		set[s.Key] = s.Value
	}
	revision := set["vcs.revision"]
	if len(revision) < 12 {
		return Version
	}
	v := Version + "+" + revision[:12]
	if set["vcs.modified"] == "true" {
		v += ".modified"
	}
	return v
}

// Exit codes; package commands has the others.
const (
	exitOK     = commands.OK
	exitFailed = commands.Failed
	exitUsage  = commands.Usage
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// run is the command line: it does what args say and returns the exit code.
func run(ctx context.Context, args, environ []string, out, errOut io.Writer) int {
	return runWith(ctx, args, &commands.Program{
		In: os.Stdin, Out: out, Err: errOut, Environ: environ, Terminal: isTerminal(out), ErrTerminal: isTerminal(errOut),
	})
}

// isTerminal reports whether a person looks at w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// runWith is run with what is around it.
func runWith(ctx context.Context, args []string, p *commands.Program) int {
	p.Serve = func(ctx context.Context, folder string) (func() (net.Conn, error), func() error, error) {
		return serveHere(ctx, folder, p.Environ, p.Err)
	}
	root := newRoot(p)
	root.SetArgs(normal(args))
	err := root.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &usage):
		err = &commands.Error{Code: exitUsage, Err: err}
	case errors.Is(err, context.Canceled):
		err = &commands.Error{Code: commands.Interrupted, Err: errors.New("stopped")}
	}
	fmt.Fprintln(p.Err, "quire:", err)
	return commands.ExitCode(err)
}

// normal names the command when args do not: flags alone are those of serve.
func normal(args []string) []string {
	if len(args) == 0 {
		return []string{"serve"}
	}
	switch args[0] {
	case "-h", "-help", "--help":
		return append([]string{"help"}, args[1:]...)
	case "-version", "--version":
		return append([]string{"version"}, args[1:]...)
	}
	if args[0] != "" && args[0][0] == '-' {
		return append([]string{"serve"}, args...)
	}
	return args
}

// usageError is a mistake on the command line.
type usageError string

func (e usageError) Error() string { return string(e) }

// settings is configure with every mistake a usageError.
func settings(args, environ []string, errOut io.Writer) (*Config, error) {
	c, err := configure(args, environ, errOut)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		err = usageError(err.Error())
	}
	return c, err
}

func serve(ctx context.Context, args, environ []string, out, errOut io.Writer) error {
	c, err := settings(args, environ, errOut)
	if err != nil {
		return err
	}
	// On one processor a thread that waits for the disk would keep all others waiting
	// until the runtime notices; with a few to spare, somebody goes on at once.
	if os.Getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) < 4 {
		runtime.GOMAXPROCS(4)
	}
	// The live heap is small beside what edits leave behind: collect less often.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(300)
	}
	m := NewMain(c, out, c.logger(errOut))
	m.Program = programPath()
	if m.passed, err = takePassed(); err != nil {
		return err
	}
	if m.passed.from != nil {
		c.LockTimeout += c.StopWithin + time.Minute // the one before has to save and close the data first
	}
	over, stop := context.WithCancel(ctx)
	defer stop()
	go m.signals(over, isTerminal(os.Stdout))
	return m.Run(ctx)
}

// usage prints the settings of the server.
func usage(out io.Writer, fs *flag.FlagSet) {
	fmt.Fprint(out, `Usage: quire [serve] [flags]
       quire checkconfig [flags]   prints the settings that would be in force
       quire health [flags]        asks whether the server is ready: the one at $QUIRE_SERVER, else the
                                   one on this machine that has --data, else the one at --listen, which
                                   as a flag comes before --data

Settings, each also as an environment variable (QUIRE_MAX_DOCUMENT for --max-document)
and as a line "max-document = 1000000" in the file that --config names. What is off unless
it is said is said by its flag alone (--auth-links), else by true (auth-links = true):

`)
	fs.VisitAll(func(f *flag.Flag) {
		name, help := flag.UnquoteUsage(f)
		if _, ok := f.Value.(interface{ IsBoolFlag() bool }); ok {
			name = ""
		}
		fmt.Fprintf(out, "  --%-22s %s", strings.TrimSpace(f.Name+" "+strings.ToUpper(name)), help)
		if f.DefValue != "" && f.DefValue != "false" {
			fmt.Fprintf(out, " (default %s)", f.DefValue)
		}
		fmt.Fprintln(out)
	})
	if fs.Lookup("config") == nil {
		fmt.Fprintf(out, "  --%-22s %s\n", "config FILE", `file with settings, one "name = value" a line`)
	}
}
