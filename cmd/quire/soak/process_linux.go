package soak

import (
	"fmt"
	"net/http"
	"strconv"
	"syscall"
	"time"
)

// crewSize and crewPerDoc are how many clients there usually are, and how many of them edit one
// document.
const (
	crewSize   = 10
	crewPerDoc = 2
)

// shortKills is how often the server is killed in CI.
const shortKills = 12

// people is how many clients there are.
func (r *rig) people() int {
	if r.Hasty {
		return 3 * crewPerDoc
	}
	return crewSize
}

func processScenarios() []*scenario {
	return []*scenario{
		{name: "kill", fault: "killed (SIGKILL) under load", how: "kill -9 at a random moment, started again", short: shortKills, long: 2000, round: 100, mixed: true, run: kill},
		{name: "handover", fault: "killed while it hands over (SIGUSR2)", how: "at a random moment both processes or the old one are killed; each third time neither", short: 6, long: 300, round: 60, mixed: true, run: handOver},
		{name: "halt", fault: "halted (SIGSTOP) and going on", how: "for up to 0.4 s, each tenth time for 3 s", short: 4, long: 100, round: 50, run: halt},
		{name: "memory", fault: "little memory", how: "GOMEMLIMIT=48MiB, documents of 20 KB each", short: 20, long: 200, run: littleMemory},
		{name: "budget", fault: "more documents than max-memory holds", how: "max-memory is 32 KiB for each document; clients come and go", short: 32, long: 200, round: 100, run: smallBudget},
	}
}

// kill kills the server again and again while everybody edits.
func kill(r *rig, n int) error {
	if err := r.begin(crewSize, crewPerDoc); err != nil {
		return err
	}
	for range n {
		r.pause(r.between(0, 100*time.Millisecond))
		r.srv.kill()
		if err := r.srv.log.crashed(); err != nil {
			return err
		}
		if err := r.start(); err != nil {
			return err
		}
		if err := r.progress(1); err != nil { // it has work to lose
			return err
		}
	}
	return r.everybody()
}

// handOver has the server hand over to a new process, and kills both, or the old one, at some moment of it. Where one is
// left it has to serve.
func handOver(r *rig, n int) error {
	if err := r.begin(r.people(), crewPerDoc); err != nil {
		return err
	}
	for i := range n {
		if err := r.srv.cmd.Process.Signal(syscall.SIGUSR2); err != nil {
			return err
		}
		if i%3 == 1 {
			if err := r.until("there is a new process", r.srv.hasHeir); err != nil {
				return err
			}
		}
		r.pause(r.between(0, 200*time.Millisecond))
		if i%3 != 0 {
			if i%3 == 1 {
				_ = r.srv.cmd.Process.Kill() // or it has ended by itself
			}
			if err := r.everybody(); err != nil {
				return err
			}
		}
		r.srv.kill()
		if err := r.srv.log.crashed(); err != nil {
			return err
		}
		if err := r.start(); err != nil {
			return err
		}
		if err := r.progress(1); err != nil {
			return err
		}
	}
	return r.everybody()
}

// halt stops the server's process and lets it go on.
func halt(r *rig, n int) error {
	if err := r.begin(r.people(), crewPerDoc); err != nil {
		return err
	}
	for i := range n {
		d := r.between(0, 400*time.Millisecond)
		if i%10 == 9 {
			d = patience + 500*time.Millisecond
		}
		if err := r.srv.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			return err
		}
		r.pause(d)
		if err := r.srv.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			return err
		}
		if err := r.progress(1); err != nil {
			return err
		}
	}
	return r.everybody()
}

// littleMemory has one client in each of n documents, with more in them than there is memory for.
func littleMemory(r *rig, n int) error {
	r.environ = append(r.environ, "GOMEMLIMIT=48MiB")
	if err := r.start(); err != nil {
		return err
	}
	// Many clients are to fill the memory, not to take all of the machine.
	r.thinking, r.pace = min(thinking*time.Duration(max(1, n/50)), patience/8), time.Duration(n)*5*time.Millisecond
	if err := r.scatter(n, r.Kinds); err != nil {
		return err
	}
	g, err := r.srv.measure()
	if err != nil {
		return err
	}
	r.notice("%d documents of 20 KB and more open, %d MiB in memory", n, int(g.memory)>>20)
	return r.says(http.StatusOK, "ready")
}

// scatter makes n clients, each with a document of its own and edits of 20 KB and more, and waits until each has
// had an acknowledgement.
func (r *rig) scatter(n int, kinds []Kind) error {
	for i := range n {
		k := kinds[i%len(kinds)]
		if err := r.join(k, fmt.Sprintf("%s-%d", k.Type.Name(), i), fmt.Sprintf("client-%04d", i), 20<<10); err != nil {
			return err
		}
	}
	return r.everybody()
}

// smallBudget has clients of n documents come and go where there is room for a few of them at once: those that nobody
// has open leave for others, and when all are in use, who comes is told to come back.
func smallBudget(r *rig, n int) error {
	r.visits = true
	r.args = append(r.args, "--max-memory", strconv.Itoa(max(1<<20, n<<15)), "--idle-after", "2s") // nobody leaves so soon by itself
	if err := r.start(); err != nil {
		return err
	}
	if err := r.scatter(n, r.Kinds[:1]); err != nil { // of one kind, so that none is much larger than others
		return err
	}
	if err := r.until("a document has left for others", func() bool {
		g, err := r.srv.measure()
		return err == nil && g.sessions < n
	}); err != nil {
		return err
	}
	rounds := 3
	if r.Hasty {
		rounds = 1
	}
	for range rounds {
		if err := r.everybody(); err != nil {
			return err
		}
	}
	g, err := r.srv.measure()
	if err != nil {
		return err
	}
	r.notice("%d documents where there is room for about %d", n, g.sessions)
	return r.says(http.StatusOK, "ready")
}
