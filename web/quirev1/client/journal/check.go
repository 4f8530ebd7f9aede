package journal

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"slices"
	"sort"

	"quire/ot"
	"quire/session"
)

// Rule names a promise that Check decides about.
type Rule string

// The rules. docs/reliability.md says them in full.
const (
	// Gapless: the history numbers its revisions without a gap, and each client was given every revision once.
	Gapless Rule = "gapless"
	// Acknowledged: every acknowledged operation is in the history at the revision acknowledged, and was submitted.
	Acknowledged Rule = "acknowledged"
	// Once: no operation of a client is in the history twice, out of its order, or without having been submitted.
	Once Rule = "once"
	// Prefix: what each client read at a revision is what the history has there.
	Prefix Rule = "prefix"
	// Content: whoever held a revision held the content that the history makes.
	Content Rule = "content"
	// Replay: the history can be replayed, and makes the content that the server gives.
	Replay Rule = "replay"
	// Fresh: an open that was asked for after an acknowledgement knew of it.
	Fresh Rule = "fresh"
	// Converged: every client that ended in order has everything, with nothing pending.
	Converged Rule = "converged"
)

// Rules are all rules, in the order of their explanation.
func Rules() []Rule {
	return []Rule{Gapless, Acknowledged, Once, Prefix, Content, Replay, Fresh, Converged}
}

// Step is one operation as the server has it in the end: the one that leads to Rev.
type Step struct {
	Rev    session.Revision
	Client string
	Seq    uint64
	Op     []byte // as on the wire
}

// History is what the server has of a document in the end.
type History struct {
	Doc  string
	Type ot.Type
	// Steps lead from the empty document of Type to the head.
	Steps []Step
	// Sum is the checksum of the content that the server gives at its head.
	Sum string
	// Closed says that everybody who took part kept a journal.
	Closed bool
}

// Journal is a client's journal to be checked.
type Journal struct {
	Client string
	Events iter.Seq2[Event, error]
}

// ReadJournal returns the journal of a client that r holds. It can be read once.
func ReadJournal(client string, r io.Reader) Journal { return Journal{client, Events(r)} }

// Violation is a promise that was broken.
type Violation struct {
	Rule Rule
	// Client is whose journal tells it, or whose operation it is; empty for the history itself.
	Client string
	Text   string
}

// String returns the violation as a line.
func (v Violation) String() string {
	who := v.Client
	if who == "" {
		who = "the history"
	}
	return fmt.Sprintf("%s: %s: %s", v.Rule, who, v.Text)
}

// mostViolations is how many violations are told: the first ones explain the others.
const mostViolations = 100

// Report is what Check found.
type Report struct {
	// Clients, Operations (in the history), Acknowledgements, Reads (revisions, of all clients), Sums
	// (contents compared) and Connections (opens answered) are how much was checked.
	Clients, Operations, Acknowledgements, Reads, Sums, Connections int
	// Violations are the first hundred; More is how many there are besides.
	Violations []Violation
	More       int
}

// Add adds what was found of another document.
func (r *Report) Add(o *Report) {
	r.Clients += o.Clients
	r.Operations += o.Operations
	r.Acknowledgements += o.Acknowledgements
	r.Reads += o.Reads
	r.Sums += o.Sums
	r.Connections += o.Connections
	r.More += o.More
	for _, v := range o.Violations {
		r.violation(v)
	}
}

func (r *Report) violation(v Violation) {
	if len(r.Violations) < mostViolations {
		r.Violations = append(r.Violations, v)
	} else {
		r.More++
	}
}

// place is an operation of a client.
type place struct {
	client string
	seq    uint64
}

// stamp is a revision and when it was told.
type stamp struct {
	at  int64
	rev session.Revision
}

// check is one Check under way.
type check struct {
	Report
	h         History
	head      session.Revision
	found     map[place]session.Revision
	submitted map[string]uint64                    // the highest seq of each client that keeps a journal
	sums      map[session.Revision]map[string]bool // every checksum that somebody had at a revision
	whose     map[session.Revision]string          // the first who did
	acks      []stamp
	asked     []struct {
		stamp
		client string
	}
	final string
	marks marks
}

// Check decides about one document, from the journals of its clients and the history that
// the server has in the end. Clients without a journal may have taken part, too. The
// error is that of a journal that cannot be read.
func Check(h History, journals []Journal) (*Report, error) {
	c := &check{h: h, found: map[place]session.Revision{}, submitted: map[string]uint64{},
		sums: map[session.Revision]map[string]bool{}, whose: map[session.Revision]string{}, marks: marks{}}
	c.Clients, c.Operations = len(journals), len(h.Steps)
	for _, j := range journals {
		c.submitted[j.Client] = 0
	}
	c.history()
	var done []func()
	for _, j := range journals {
		end, err := c.journal(j)
		if err != nil {
			return nil, fmt.Errorf("journal of %s: %w", j.Client, err)
		}
		done = append(done, end)
	}
	c.origins()
	c.marked()
	c.fresh()
	c.replay()
	for _, end := range done {
		end()
	}
	return &c.Report, nil
}

func (c *check) broken(rule Rule, client, format string, args ...any) {
	c.violation(Violation{rule, client, fmt.Sprintf(format, args...)})
}

// history looks at the history alone: revisions without a gap, each operation once, those of a client that keeps a
// journal in order.
func (c *check) history() {
	last := map[string]uint64{}
	for i, s := range c.h.Steps {
		if want := session.Revision(i + 1); s.Rev != want {
			c.broken(Gapless, "", "revision %d stands where %d belongs", s.Rev, want)
		}
		c.head = s.Rev
		if s.Client == "" {
			continue
		}
		k := place{s.Client, s.Seq}
		if rev := c.found[k]; rev != 0 {
			c.broken(Once, s.Client, "seq %d is in the history at %d and at %d", s.Seq, rev, s.Rev)
			continue
		}
		c.found[k] = s.Rev
		if _, numbered := c.submitted[s.Client]; numbered && s.Seq != last[s.Client]+1 {
			c.broken(Once, s.Client, "seq %d follows seq %d in the history, at %d", s.Seq, last[s.Client], s.Rev)
		}
		last[s.Client] = s.Seq
	}
}

// reader is where a journal has got to.
type reader struct {
	*check
	client string
	rev    session.Revision
	open   bool
	asked  int64
	acked  uint64
	ended  Kind
	end    Event
}

// journal looks at one journal. What it returns is to be called after replay.
func (c *check) journal(j Journal) (func(), error) {
	r := &reader{check: c, client: j.Client}
	for e, err := range j.Events {
		if err != nil {
			return nil, err
		}
		if r.ended != "" {
			c.broken(Converged, r.client, "the journal goes on after its end")
			break
		}
		r.event(&e)
	}
	return r.converged, nil
}

func (r *reader) event(e *Event) {
	switch e.Kind {
	case Asked:
		r.asked = e.At
	case Opened:
		r.opened(e)
	case Submitted:
		r.submitted[r.client] = max(r.submitted[r.client], e.Seq+uint64(e.N)-1)
	case Read:
		r.read(e)
	case Acked:
		r.ack(e)
	case Sent:
		r.marks.sent(r.client, e.Text)
	case Answered:
		r.answered(e)
	case Held, Told:
		r.held(e.Rev, e.Sum)
	case Broken:
		r.broken(Content, r.client, "it cannot go on at revision %d: %s", e.Rev, e.Text)
	case Done, Left:
		r.ended, r.end = e.Kind, *e
	case Lost:
		r.open = false
	}
}

func (r *reader) opened(e *Event) {
	r.Connections++
	r.open = true
	if e.Resumed && e.Rev != r.rev {
		r.broken(Gapless, r.client, "resumed at revision %d, it was at %d", e.Rev, r.rev)
	}
	if !e.Resumed {
		r.rev = e.Rev
		r.held(e.Rev, e.Sum)
	}
	if e.Head < 0 {
		return
	}
	r.check.asked = append(r.check.asked, struct {
		stamp
		client string
	}{stamp{r.asked, e.Head}, r.client})
}

// read compares an item with the history. Of a composite only where it leads can be
// compared: the recorder notes the content after each.
func (r *reader) read(e *Event) {
	if !r.open {
		r.broken(Gapless, r.client, "it read revision %d of a document that it had not open", e.Rev+1)
	}
	if e.Rev != r.rev {
		r.broken(Gapless, r.client, "it was given what follows revision %d, it was at %d", e.Rev, r.rev)
	}
	r.rev = e.Rev + session.Revision(e.N)
	r.Reads += e.N
	if r.rev > r.head {
		r.broken(Prefix, r.client, "it read revision %d, the history ends at %d", r.rev, r.head)
		return
	}
	if e.N != 1 || int(e.Rev) >= len(r.h.Steps) {
		return
	}
	s := &r.h.Steps[e.Rev]
	if e.Client != "" && (e.Client != s.Client || e.Seq != s.Seq) {
		r.broken(Prefix, r.client, "at revision %d it read seq %d of %s, the history has seq %d of %s", r.rev, e.Seq, e.Client, s.Seq, s.Client)
	} else if !r.same(e.Op, s.Op) {
		r.broken(Prefix, r.client, "at revision %d it read another operation than the history has", r.rev)
	}
}

// same compares two operations as on the wire.
func (c *check) same(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	x, err := c.h.Type.DecodeOp(a, ot.Limits{})
	if err != nil {
		return false
	}
	y, err := c.h.Type.DecodeOp(b, ot.Limits{})
	return err == nil && bytes.Equal(c.h.Type.AppendOp(nil, x), c.h.Type.AppendOp(nil, y))
}

func (r *reader) ack(e *Event) {
	r.Acknowledgements++
	switch rev := r.found[place{r.client, e.Seq}]; {
	case e.Seq <= r.acked:
		r.broken(Acknowledged, r.client, "seq %d was acknowledged again, at %d", e.Seq, e.Rev)
	case e.Seq > r.submitted[r.client]:
		r.broken(Acknowledged, r.client, "seq %d was acknowledged, submitted was up to %d", e.Seq, r.submitted[r.client])
	case rev == 0:
		r.broken(Acknowledged, r.client, "seq %d was acknowledged at %d and is not in the history", e.Seq, e.Rev)
	case rev != e.Rev:
		r.broken(Acknowledged, r.client, "seq %d was acknowledged at %d, the history has it at %d", e.Seq, e.Rev, rev)
	}
	r.acked = max(r.acked, e.Seq)
	r.acks = append(r.acks, stamp{e.At, e.Rev})
}

// held notes a content, to be compared with what the history makes.
func (r *reader) held(rev session.Revision, sum string) {
	r.Sums++
	if rev > r.head {
		r.broken(Prefix, r.client, "it held revision %d, the history ends at %d", rev, r.head)
	}
	if r.sums[rev] == nil {
		r.sums[rev] = map[string]bool{}
		r.whose[rev] = r.client
	}
	if !r.sums[rev][sum] && len(r.sums[rev]) > 0 {
		r.broken(Content, r.client, "at revision %d it held another content than %s", rev, r.whose[rev])
	}
	r.sums[rev][sum] = true
}

// origins finds operations in the history that their client did not submit.
func (c *check) origins() {
	for _, s := range c.h.Steps {
		if last, ok := c.submitted[s.Client]; ok && s.Seq > last {
			c.broken(Once, s.Client, "seq %d is in the history at %d, submitted was up to %d", s.Seq, s.Rev, last)
		}
	}
}

// fresh compares every answer to an open with what had been acknowledged, to anybody,
// before it was asked for.
func (c *check) fresh() {
	sort.Slice(c.acks, func(i, j int) bool { return c.acks[i].at < c.acks[j].at })
	sort.Slice(c.asked, func(i, j int) bool { return c.asked[i].at < c.asked[j].at })
	i, known := 0, session.Revision(0)
	for _, a := range c.asked {
		for ; i < len(c.acks) && c.acks[i].at < a.at; i++ {
			known = max(known, c.acks[i].rev)
		}
		if a.rev < known {
			c.broken(Fresh, a.client, "it was told of revision %d as the newest when %d had been acknowledged", a.rev, known)
		}
	}
}

// replay makes the content of every revision that somebody held.
func (c *check) replay() {
	doc, err := c.h.Type.Create(nil)
	if err != nil {
		c.broken(Replay, "", "no empty document can be made: %v", err)
		return
	}
	c.compare(0, doc)
	for i, s := range c.h.Steps {
		op, err := c.h.Type.DecodeOp(s.Op, ot.Limits{})
		if err == nil {
			doc, err = c.h.Type.Apply(doc, op)
		}
		if err != nil {
			c.broken(Replay, "", "the operation that leads to revision %d cannot be applied: %v", s.Rev, err)
			return
		}
		c.compare(session.Revision(i+1), doc)
	}
	if c.final = sumOf(c.h.Type, doc); c.final != c.h.Sum {
		c.broken(Replay, "", "the history makes a content with the checksum %s, the server's has %s", c.final, c.h.Sum)
	}
}

func (c *check) compare(rev session.Revision, doc ot.Doc) {
	held := c.sums[rev]
	if len(held) == 0 {
		return
	}
	want := sumOf(c.h.Type, doc)
	var others []string
	for sum := range held {
		if sum != want {
			others = append(others, sum)
		}
	}
	slices.Sort(others)
	for _, sum := range others {
		c.broken(Content, c.whose[rev], "at revision %d somebody held a content with the checksum %s, the history makes %s", rev, sum, want)
	}
}

// converged looks at how a journal ended.
func (r *reader) converged() {
	switch {
	case r.ended == Left:
	case r.ended != Done:
		r.broken(Converged, r.client, "the journal has no end")
	case r.end.N > 0:
		r.broken(Converged, r.client, "%d operations are pending in the end", r.end.N)
	case r.end.Rev != r.head:
		r.broken(Converged, r.client, "it ended at revision %d, the history at %d", r.end.Rev, r.head)
	case r.final != "" && r.end.Sum != r.final:
		r.broken(Converged, r.client, "it ended with the checksum %s, the history with %s", r.end.Sum, r.final)
	}
}
