// Package trace reads recorded editing sessions in the format of the public
// collection josephg/editing-traces, sequential ones and concurrent ones, and makes
// some up.
package trace

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"

	"quire/ot/text"
)

// Patch replaces Deleted code points from code point At on with Inserted.
type Patch struct {
	At, Deleted int
	Inserted    string
}

// Txn is a group of patches that one agent made, each on the document after the one
// before.
type Txn struct {
	// Agent is who made it, in [0, Trace.Agents).
	Agent int
	// Patches are not empty and none of them changes nothing.
	Patches []Patch
	// Seen tells for each agent how many of its patches, from the first on, the
	// agent had when it made this: all of its own so far among them. Transactions
	// before it in Txns cover that.
	Seen []int
}

// Trace is a recorded session. Txns are in an order in which each comes after
// everything that its agent had seen. In a sequential session there is one agent.
type Trace struct {
	// Start and End are the document before and after all transactions.
	Start, End string
	Agents     int
	Txns       []Txn
}

// Len returns the number of patches.
func (t *Trace) Len() int {
	n := 0
	for i := range t.Txns {
		n += len(t.Txns[i].Patches)
	}
	return n
}

// Sequence returns the patches of a sequential trace in order.
func (t *Trace) Sequence() []Patch {
	out := make([]Patch, 0, t.Len())
	for i := range t.Txns {
		out = append(out, t.Txns[i].Patches...)
	}
	return out
}

// Op returns the patch as an operation on d, whose positions count UTF-16 code
// units. It fails when the patch reaches outside d.
func (p *Patch) Op(d *text.Doc) (text.Op, error) {
	from, err := d.FromRunesToUnits(p.At)
	if err != nil {
		return nil, err
	}
	to, err := d.FromRunesToUnits(p.At + p.Deleted)
	if err != nil {
		return nil, err
	}
	var b text.Builder
	b.Retain(from)
	b.Delete(to - from)
	b.Insert(p.Inserted)
	return b.Op()
}

// UnmarshalJSON reads [position, deleted, inserted].
func (p *Patch) UnmarshalJSON(data []byte) error {
	parts := []any{&p.At, &p.Deleted, &p.Inserted}
	if err := json.Unmarshal(data, &parts); err != nil {
		return err
	}
	if len(parts) != 3 || p.At < 0 || p.Deleted < 0 {
		return fmt.Errorf("trace: %s is not a patch", data)
	}
	return nil
}

// recorded is a trace's file.
type recorded struct {
	Kind                     string
	StartContent, EndContent string
	NumAgents                int
	Txns                     []struct {
		Parents []int
		Agent   int
		Patches []Patch
	}
}

// ReadFile reads a trace from a file, gzipped or not.
func ReadFile(name string) (*Trace, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return t, nil
}

// Read reads a trace, gzipped or not.
func Read(r io.Reader) (*Trace, error) {
	in := bufio.NewReader(r)
	r = in
	if magic, _ := in.Peek(2); string(magic) == "\x1f\x8b" {
		var err error
		if r, err = gzip.NewReader(in); err != nil {
			return nil, err
		}
	}
	var rec recorded
	if err := json.NewDecoder(r).Decode(&rec); err != nil {
		return nil, err
	}
	t := &Trace{Start: rec.StartContent, End: rec.EndContent, Agents: 1}
	if rec.Kind == "concurrent" {
		t.Agents = rec.NumAgents
	}
	if t.Agents < 1 || t.Agents > 1<<16 {
		return nil, fmt.Errorf("trace: %d agents", t.Agents)
	}
	return t, t.fill(&rec)
}

// fill turns what was recorded into transactions. What a transaction's agent had seen
// is what its parents' agents had seen, and the parents.
func (t *Trace) fill(rec *recorded) error {
	made := make([]int, t.Agents)         // patches of each agent so far
	after := make([][]int, len(rec.Txns)) // seen with the transaction itself
	for i, r := range rec.Txns {
		if r.Agent < 0 || r.Agent >= t.Agents {
			return fmt.Errorf("trace: transaction %d has agent %d of %d", i, r.Agent, t.Agents)
		}
		seen := make([]int, t.Agents)
		if t.Agents == 1 {
			seen[0] = made[0]
		}
		for _, p := range r.Parents {
			if p < 0 || p >= i {
				return fmt.Errorf("trace: transaction %d has parent %d", i, p)
			}
			for a, n := range after[p] {
				seen[a] = max(seen[a], n)
			}
		}
		if seen[r.Agent] != made[r.Agent] {
			return fmt.Errorf("trace: transaction %d does not know all that its agent %d made", i, r.Agent)
		}
		txn := Txn{Agent: r.Agent, Seen: seen}
		for _, p := range r.Patches {
			if p.Deleted > 0 || p.Inserted != "" {
				txn.Patches = append(txn.Patches, p)
			}
		}
		made[r.Agent] += len(txn.Patches)
		after[i] = append([]int(nil), seen...)
		after[i][r.Agent] = made[r.Agent]
		if len(txn.Patches) > 0 {
			t.Txns = append(t.Txns, txn)
		}
	}
	if len(t.Txns) == 0 {
		return errors.New("trace: there are no transactions")
	}
	return nil
}

// Synthetic makes up a sequential session of n patches of one character: somebody
// types a few words, takes some of it back, and goes on elsewhere, near the end
// rather than at the start.
func Synthetic(n int, seed uint64) *Trace {
	r := rand.New(rand.NewPCG(seed, 0))
	const letters = "eeeeeettttaaaaooooiiinnnsssrrhhlldcumfpgwybvk       ,.\n"
	t := &Trace{Agents: 1, Txns: make([]Txn, n)}
	var doc []byte
	at, burst, back := 0, 0, 0
	for i := range t.Txns {
		if burst == 0 && back == 0 {
			burst = 3 + r.IntN(60)
			if r.IntN(4) == 0 {
				back = 1 + r.IntN(8)
			}
			if at = len(doc); r.IntN(3) == 0 {
				at = len(doc) - int(float64(len(doc))*r.Float64()*r.Float64())
			}
		}
		var p Patch
		if burst > 0 || at == 0 {
			burst = max(0, burst-1)
			p = Patch{At: at, Inserted: string(letters[r.IntN(len(letters))])}
			doc = append(doc, 0)
			copy(doc[at+1:], doc[at:])
			doc[at] = p.Inserted[0]
			at++
		} else {
			back--
			at--
			p = Patch{At: at, Deleted: 1}
			doc = append(doc[:at], doc[at+1:]...)
		}
		if at == 0 {
			back = 0
		}
		t.Txns[i] = Txn{Patches: []Patch{p}, Seen: []int{i}}
	}
	t.End = string(doc)
	return t
}
