package soak

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"quire/web/quirev1/client/journal"
)

// Options says what to disturb, and where.
type Options struct {
	// Exe is the program, and Environ what is added to its environment. Required.
	Exe     string
	Environ []string
	// Self are the arguments with which Exe runs Run of this package. Required.
	Self []string
	// Folder is where data and journals are kept while a scenario runs. Default: the system's for temporary files.
	Folder string
	// Seed makes the choices of clients and of the network; how they meet differs all the same.
	Seed uint64
	// Kinds are the documents that clients edit. Required.
	Kinds []Kind
	// Hasty does not wait for the last goroutines that would end by themselves.
	Hasty bool
	// Race says that Exe has the race detector, whose own memory is not to be measured.
	Race bool
	// Keep leaves the folder of a scenario that failed.
	Keep bool
}

// scenario is a kind of fault.
type scenario struct {
	name, fault, how string
	short, long      int  // how often: in CI, and in the long run
	round            int  // how often on one data folder; 0: as often as there is
	mixed            bool // documents are edited over HTTP and by ShareDB's protocol, too
	prepare          func(r *rig) error
	run              func(r *rig, n int) error
}

func scenarios() []*scenario {
	return slices.Concat(processScenarios(), diskScenarios(), damageScenarios(), networkScenarios(), peerScenarios())
}

// Names returns the names of all scenarios, in the order in which they run.
func Names() []string {
	var out []string
	for _, s := range scenarios() {
		out = append(out, s.name)
	}
	return out
}

// Result is what became of one scenario.
type Result struct {
	Name, Fault, How string
	// Times is how often the fault was made.
	Times int
	// Took is how long that took.
	Took time.Duration
	// Report is what was checked.
	Report journal.Report
	// Saw says what clients, and who looked at /readyz, saw.
	Saw string
	// Err is why it failed, or nil.
	Err error
}

// UnavailableError says that a fault cannot be made on this machine, or by this user.
type UnavailableError struct{ Err error }

// Error says why.
func (e *UnavailableError) Error() string { return "this fault cannot be made here: " + e.Err.Error() }

// Unwrap returns the reason.
func (e *UnavailableError) Unwrap() error { return e.Err }

// Try makes one kind of fault so many times; 0 is as often as CI does. The error is an
// *UnavailableError when it cannot be made here, otherwise what went wrong.
func Try(ctx context.Context, o Options, name string, times int) (*Result, error) {
	for _, s := range scenarios() {
		if s.name == name {
			if times == 0 {
				times = s.short
			}
			res := s.try(ctx, &o, times, func(int) {})
			return res, res.Err
		}
	}
	return nil, fmt.Errorf("there is no scenario %q", name)
}

// try runs a scenario in rounds.
func (s *scenario) try(ctx context.Context, o *Options, times int, tell func(done int)) *Result {
	res := &Result{Name: s.name, Fault: s.fault, How: s.how}
	began := time.Now()
	var saw sight
	var notes []string
	for res.Times < times && res.Err == nil {
		n := times - res.Times
		if s.round > 0 {
			n = min(n, s.round)
		}
		r, err := newRig(ctx, o)
		if err != nil {
			res.Err = err
			break
		}
		r.mixed = s.mixed
		err = s.one(r, n, &res.Report)
		for _, l := range r.log {
			if !slices.Contains(notes, l) {
				notes = append(notes, l)
			}
		}
		saw.add(&r.saw)
		r.close(err != nil)
		if err != nil && o.Keep {
			err = fmt.Errorf("%w\ndata and journals are in %s", err, r.folder)
		}
		res.Err = err
		if err == nil {
			res.Times += n
			tell(res.Times)
		}
	}
	res.Took = time.Since(began)
	res.Saw = strings.Join(append([]string{saw.String()}, notes...), "; ")
	return res
}

// one is one round.
func (s *scenario) one(r *rig, n int, rep *journal.Report) error {
	if s.prepare != nil {
		if err := s.prepare(r); err != nil {
			return &UnavailableError{err}
		}
	}
	if err := s.run(r, n); err != nil {
		return err
	}
	return r.verify(rep)
}

// UsageError is a mistake on the command line.
type UsageError string

// Error returns the mistake.
func (e UsageError) Error() string { return string(e) }

// Run is the command: it makes every fault, tells how far it is on errOut, and writes a table to out. It returns
// a UsageError for a mistake in args and flag.ErrHelp when help was asked for.
func Run(ctx context.Context, args []string, o Options, out, errOut io.Writer) error {
	if len(args) > 0 && args[0] == gateCommand {
		return behindGate(args[1:])
	}
	fs := flag.NewFlagSet("quire soak", flag.ContinueOnError)
	fs.SetOutput(errOut)
	kills := fs.Int("kills", 2000, "how often the server is killed, a `number`; with --short, unless given, "+strconv.Itoa(shortKills))
	factor := fs.Int("times", 1, "make every other fault so many times as often, a `number`; with --short, too")
	only := fs.String("only", "", "comma-separated `names` of the faults to make: "+strings.Join(Names(), ", "))
	short := fs.Bool("short", false, "make every fault as seldom, unless --kills or --times say otherwise, and wait as little, as CI does")
	fs.StringVar(&o.Folder, "folder", "", "`folder` for data and journals while it runs; by default the system's for temporary files")
	fs.BoolVar(&o.Keep, "keep", true, "leave the data and the journals of what failed")
	fs.Uint64Var(&o.Seed, "seed", uint64(time.Now().UnixNano()), "`number` that clients' choices are made from")
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return err
	} else if err != nil {
		return UsageError(err.Error())
	}
	if *kills < 1 || *factor < 1 || fs.NArg() > 0 {
		return UsageError("kills and times have to be at least 1, and there is nothing but flags")
	}
	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	given := false
	fs.Visit(func(f *flag.Flag) { given = given || f.Name == "kills" })
	if *short && !given {
		*kills = shortKills
	}
	o.Hasty = *short
	moreDescriptors()
	var results []*Result
	for _, s := range chosen {
		n := s.long * *factor
		switch {
		case s.name == "kill":
			n = *kills
		case *short:
			n = s.short * *factor
		}
		fmt.Fprintf(errOut, "%s: %s, %d times\n", s.name, s.fault, n)
		began := time.Now()
		res := s.try(ctx, &o, n, func(done int) {
			fmt.Fprintf(errOut, "%s: %d of %d in %s\n", s.name, done, n, time.Since(began).Round(time.Second))
		})
		results = append(results, res)
		if res.Err != nil {
			fmt.Fprintf(errOut, "%s: %v\n", s.name, res.Err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return table(out, results)
}

func choose(only string) ([]*scenario, error) {
	all := scenarios()
	if only == "" {
		return all, nil
	}
	var out []*scenario
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(all, func(s *scenario) bool { return s.name == strings.TrimSpace(name) })
		if i < 0 {
			return nil, UsageError(fmt.Sprintf("there is no fault %q; there are %s", name, strings.Join(Names(), ", ")))
		}
		out = append(out, all[i])
	}
	return out, nil
}

// table writes the results as a table in Markdown.
func table(out io.Writer, results []*Result) error {
	fmt.Fprintf(out, "%s, %s, %d processors, Linux %s\n\n", time.Now().UTC().Format(time.DateOnly), runtime.GOARCH, runtime.NumCPU(), release())
	fmt.Fprintf(out, "| fault | times | operations | acknowledged | reads compared | contents compared | lost or wrong | seen | took |\n|---|---|---|---|---|---|---|---|---|\n")
	var failed, missing []string
	for _, r := range results {
		what := "nothing"
		var no *UnavailableError
		switch {
		case errors.As(r.Err, &no):
			what = "**not tried**: " + no.Err.Error()
			missing = append(missing, r.Name)
		case r.Err != nil:
			what = "**failed**"
			failed = append(failed, r.Name)
		}
		fmt.Fprintf(out, "| %s | %d | %d | %d | %d | %d | %s | %s | %s |\n", r.Fault, r.Times, r.Report.Operations, r.Report.Acknowledgements,
			r.Report.Reads, r.Report.Sums, what, r.Saw, r.Took.Round(time.Second))
	}
	if len(missing) > 0 {
		fmt.Fprintf(out, "\nNot tried: %s.\n", strings.Join(missing, ", "))
	}
	if len(failed) > 0 {
		return fmt.Errorf("failed: %s", strings.Join(failed, ", "))
	}
	return nil
}

// release returns the kernel's version.
func release() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}

// moreDescriptors lets this process, and the servers that it starts, have as many files open as
// the system allows.
func moreDescriptors() {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) == nil {
		l.Cur = l.Max
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &l)
	}
}

// smallDisk makes the rig's data folder a file system of so many bytes, in memory.
func (r *rig) smallDisk(bytes int) error {
	if err := unix.Mount("tmpfs", r.data, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		return fmt.Errorf("a small disk cannot be mounted: %w", err)
	}
	r.unmount = func() { _ = unix.Unmount(r.data, unix.MNT_DETACH) }
	return os.Chmod(r.data, 0o700)
}
