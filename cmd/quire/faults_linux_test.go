package main

import (
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"quire/cmd/quire/soak"
	"quire/ot"
	"quire/ot/ottest"
)

var crashKills = flag.Int("crash.kills", 24, "how often TestCrash kills the server")

// crashKinds are documents of every type.
func crashKinds() []soak.Kind {
	drawn := func(gen ottest.Gen) func(*rand.Rand, ot.Doc, string) (ot.Op, error) {
		return func(rng *rand.Rand, doc ot.Doc, _ string) (ot.Op, error) { return gen.Op(rng, doc, 3), nil }
	}
	marked := soak.Kinds()[0] // text, with edits that can be told from each other
	return []soak.Kind{marked, {Type: crashTypes[1].typ, Edit: drawn(ottest.Delta())}, {Type: crashTypes[2].typ, Edit: drawn(ottest.JSON0())},
		{Type: crashTypes[3].typ, Edit: drawn(ottest.Text0())}, {Type: crashTypes[4].typ, Edit: drawn(ottest.TextUnicode())}}
}

// disturb makes a kind of fault, so many times or as often as a short run does.
func disturb(t *testing.T, kinds []soak.Kind, name string, times int) (*soak.Result, error) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o := soak.Options{Exe: exe, Environ: []string{asServer + "=1"}, Self: []string{"soak"}, Folder: t.TempDir(), Seed: uint64(time.Now().UnixNano()), Kinds: kinds, Hasty: true, Race: ottest.Race}
	if name == "handover" { // to itself: the test binary would not be the program again
		o.Exe, o.Environ = buildProgram(t, t.TempDir()), nil
	}
	return soak.Try(t.Context(), o, name, times)
}

// judge fails the test, or skips it where a fault cannot be made: never in CI as root.
func judge(t *testing.T, res *soak.Result, err error) {
	var no *soak.UnavailableError
	switch {
	case errors.As(err, &no) && (os.Getenv("CI") != "true" || os.Geteuid() != 0):
		t.Skipf("SKIPPED: %v", err)
	case err != nil:
		t.Fatal(err)
	}
	t.Logf("%d times in %v: %+v; %s", res.Times, res.Took.Round(time.Millisecond), res.Report, res.Saw)
	if res.Times == 0 || res.Report.Acknowledgements == 0 || res.Report.Reads == 0 || res.Report.Sums == 0 {
		t.Errorf("nothing was compared: %+v", res)
	}
}

// TestCrash kills the server with SIGKILL again and again while clients edit documents of every
// type, and decides from their journals that nothing was lost.
func TestCrash(t *testing.T) {
	res, err := disturb(t, crashKinds(), "kill", *crashKills)
	judge(t, res, err)
}

// TestFaults makes every other kind of fault, a few at a time: much of each is waiting.
func TestFaults(t *testing.T) {
	type outcome struct {
		res *soak.Result
		err error
	}
	outcomes := map[string]chan outcome{}
	places := make(chan struct{}, 4)
	for _, name := range soak.Names() {
		if name == "kill" {
			continue // TestCrash
		}
		ch := make(chan outcome, 1)
		outcomes[name] = ch
		go func() {
			places <- struct{}{}
			defer func() { <-places }()
			res, err := disturb(t, soak.Kinds(), name, 0)
			ch <- outcome{res, err}
		}()
	}
	for _, name := range soak.Names() {
		if ch := outcomes[name]; ch != nil {
			t.Run(name, func(t *testing.T) {
				o := <-ch
				judge(t, o.res, o.err)
			})
		}
	}
}

// TestSoakCommand runs the command for one fault, and with mistakes.
func TestSoakCommand(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out, errOut strings.Builder
	o := soak.Options{Exe: exe, Environ: []string{asServer + "=1"}, Self: []string{"soak"}, Kinds: soak.Kinds(), Race: ottest.Race}
	err = soak.Run(t.Context(), []string{"--short", "--only", "sync-error", "--folder", t.TempDir()}, o, &out, &errOut)
	if want := "| syncs fail | 2 | "; err != nil || !strings.Contains(out.String(), want) || !strings.Contains(errOut.String(), "sync-error: 2 of 2 in ") {
		t.Errorf("%v\n%s\n%s", err, &out, &errOut)
	}
	out.Reset()
	err = soak.Run(t.Context(), []string{"--short", "--kills", "2", "--only", "kill", "--folder", t.TempDir()}, o, &out, &errOut)
	if want := "| killed (SIGKILL) under load | 2 | "; err != nil || !strings.Contains(out.String(), want) {
		t.Errorf("%v\n%s\n%s", err, &out, &errOut)
	}
	for args, want := range map[string]string{"--only=fly": `there is no fault "fly"`, "--kills=0": "have to be at least 1", "more": "nothing but flags"} {
		if code, _, errOut := cli([]string{"soak", args}); code != exitUsage || !strings.Contains(errOut, want) {
			t.Errorf("soak %s: code %d, %s", args, code, errOut)
		}
	}
}
