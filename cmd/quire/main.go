// Command quire is a collaborative document editing server. quire help lists what
// it can do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
)

// Version is the program's version.
const Version = "0.1.0"

// version returns Version with the revision it was built from, when known.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return Version + "+" + s.Value[:12]
		}
	}
	return Version
}

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// run is the command line: it does what args say and returns the exit code.
func run(ctx context.Context, args, environ []string, out, errOut io.Writer) int {
	command := "serve"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		command, args = args[0], args[1:]
	} else if len(args) > 0 && (args[0] == "-h" || args[0] == "-help" || args[0] == "--help") {
		command = "help"
	} else if len(args) > 0 && (args[0] == "--version" || args[0] == "-version") {
		command = "version"
	}
	var err error
	switch command {
	case "serve":
		err = serve(ctx, args, environ, out, errOut)
	case "checkconfig":
		var c *Config
		if c, err = settings(args, environ, errOut); err == nil {
			c.print(out)
		}
	case "check":
		err = check(ctx, args, out)
	case "bench":
		err = bench(ctx, args, out, errOut)
	case "version":
		fmt.Fprintln(out, "quire", version())
	case "help":
		usage(out, (&Config{}).flags())
	default:
		err = usageError(fmt.Sprintf("there is no command %q; quire help lists them", command))
	}
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &usage):
		fmt.Fprintln(errOut, "quire:", err)
		return exitUsage
	}
	fmt.Fprintln(errOut, "quire:", err)
	return exitFailed
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
	log := slog.New(slog.NewTextHandler(errOut, &slog.HandlerOptions{Level: c.LogLevel}))
	return NewMain(c, out, log).Run(ctx)
}

func usage(out io.Writer, fs *flag.FlagSet) {
	fmt.Fprint(out, `Quire: collaborative editing of documents, every acknowledged edit on disk.

Usage:
  quire [serve] [flags]        serve documents (this is what "quire" alone does)
  quire check DATA             verify a data folder; the server has to be stopped
  quire checkconfig [flags]    print the settings that would be in force
  quire bench KIND [flags]     measure a running server; "quire bench help" says more
  quire version                print the version
  quire help                   print this

Settings, each also as an environment variable (QUIRE_MAX_DOCUMENT for --max-document)
and as a line "max-document = 1000000" in the file that --config names:

`)
	fs.VisitAll(func(f *flag.Flag) {
		name, help := flag.UnquoteUsage(f)
		fmt.Fprintf(out, "  --%-22s %s", strings.TrimSpace(f.Name+" "+strings.ToUpper(name)), help)
		if f.DefValue != "" {
			fmt.Fprintf(out, " (default %s)", f.DefValue)
		}
		fmt.Fprintln(out)
	})
	if fs.Lookup("config") == nil {
		fmt.Fprintf(out, "  --%-22s %s\n", "config FILE", `file with settings, one "name = value" a line`)
	}
}
