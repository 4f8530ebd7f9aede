package journal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"quire/ot"
	"quire/ot/text"
	"quire/session"
	"quire/web/quirev1"
	"quire/web/quirev1/client"
)

// run is a small run of two clients, and a history, that can be doctored.
type run struct {
	h        History
	ada, bob []Event
}

func sum(s string) string {
	doc, err := text.Type{}.Create([]byte(fmt.Sprintf("%q", s)))
	if err != nil {
		panic(err)
	}
	return sumOf(text.Type{}, doc)
}

// op is a wire operation.
func op(s string) []byte { return []byte(s) }

// truth is a run in which every promise is kept: Ada types "a", Bob "b" after it, Ada
// "cd" in two operations after her connection was cut. Bob reads the last two as one.
func truth() *run {
	return &run{
		h: History{Doc: "notes", Type: text.Type{}, Sum: sum("abcd"), Steps: []Step{
			{1, "ada", 1, op(`["a"]`)}, {2, "bob", 1, op(`[1,"b"]`)}, {3, "ada", 2, op(`[2,"c"]`)}, {4, "ada", 3, op(`[3,"d"]`)},
		}},
		ada: []Event{
			{Kind: Asked, At: 1}, {Kind: Opened, At: 2, Sum: sum("")},
			{Kind: Submitted, At: 3, Seq: 1, N: 1},
			{Kind: Acked, At: 4, Seq: 1, Rev: 1}, {Kind: Read, At: 5, N: 1, Client: "ada", Seq: 1, Op: op(`["a"]`)},
			{Kind: Read, At: 9, Rev: 1, N: 1, Client: "bob", Seq: 1, Op: op(`[1,"b"]`)}, {Kind: Held, Rev: 2, Sum: sum("ab")},
			{Kind: Submitted, At: 10, Rev: 2, Seq: 2, N: 2}, {Kind: Lost, At: 11},
			{Kind: Asked, At: 12, Rev: 2, Resumed: true}, {Kind: Opened, At: 13, Rev: 2, Head: 4, Seq: 3, Resumed: true},
			{Kind: Acked, At: 14, Seq: 2, Rev: 3}, {Kind: Acked, At: 14, Seq: 3, Rev: 4},
			{Kind: Read, At: 14, Rev: 2, N: 1, Client: "ada", Seq: 2, Op: op(`[2,"c"]`)}, {Kind: Read, At: 14, Rev: 3, N: 1, Client: "ada", Seq: 3, Op: op(`[3,"d"]`)},
			{Kind: Done, At: 20, Rev: 4, Sum: sum("abcd")},
		},
		bob: []Event{
			{Kind: Asked, At: 6}, {Kind: Opened, At: 7, Rev: 1, Head: 1, Sum: sum("a")},
			{Kind: Submitted, At: 7, Rev: 1, Seq: 1, N: 1},
			{Kind: Acked, At: 8, Seq: 1, Rev: 2}, {Kind: Read, At: 8, Rev: 1, N: 1, Client: "bob", Seq: 1, Op: op(`[1,"b"]`)},
			{Kind: Read, At: 15, Rev: 2, N: 2, Op: op(`[2,"cd"]`)}, {Kind: Told, At: 16, Rev: 4, Sum: sum("abcd")},
			{Kind: Done, At: 20, Rev: 4, Sum: sum("abcd")},
		},
	}
}

func each(events []Event) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for _, e := range events {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (r *run) check(t *testing.T) *Report {
	t.Helper()
	rep, err := Check(r.h, []Journal{{"ada", each(r.ada)}, {"bob", each(r.bob)}})
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

func TestTruth(t *testing.T) {
	rep := truth().check(t)
	if len(rep.Violations) > 0 {
		t.Errorf("%v", rep.Violations)
	}
	if rep.Clients != 2 || rep.Operations != 4 || rep.Acknowledgements != 4 || rep.Reads != 7 || rep.Sums != 4 || rep.Connections != 3 {
		t.Errorf("%+v", rep)
	}
}

// TestDoctored breaks every rule, each in several ways, and expects it to be named.
func TestDoctored(t *testing.T) {
	drop := func(events *[]Event, i int) { *events = slices.Delete(slices.Clone(*events), i, i+1) }
	for _, c := range []struct {
		name   string
		rule   Rule
		text   string
		doctor func(r *run)
	}{
		{"a revision is missing", Gapless, "revision 3 stands where 2 belongs", func(r *run) { r.h.Steps = slices.Delete(r.h.Steps, 1, 2) }},
		{"a revision was not read", Gapless, "what follows revision 2, it was at 1", func(r *run) { drop(&r.ada, 5) }},
		{"a revision was read twice", Gapless, "what follows revision 1, it was at 2", func(r *run) { r.bob = slices.Insert(r.bob, 5, r.bob[4]) }},
		{"resumed elsewhere", Gapless, "resumed at revision 1, it was at 2", func(r *run) { r.ada[10].Rev = 1 }},
		{"read without having opened", Gapless, "that it had not open", func(r *run) { drop(&r.ada, 10) }},
		{"an acknowledged operation is lost", Acknowledged, "seq 3 was acknowledged at 4 and is not in the history", func(r *run) { r.h.Steps = r.h.Steps[:3]; r.h.Sum = sum("abc") }},
		{"acknowledged at another revision", Acknowledged, "seq 1 was acknowledged at 2, the history has it at 1", func(r *run) { r.ada[3].Rev = 2 }},
		{"acknowledged twice", Acknowledged, "seq 1 was acknowledged again", func(r *run) { r.ada = slices.Insert(r.ada, 4, r.ada[3]) }},
		{"acknowledged and never submitted", Acknowledged, "seq 3 was acknowledged, submitted was up to 2", func(r *run) { r.ada[7].N = 1 }},
		{"applied twice", Once, "seq 3 is in the history at 4 and at 5", func(r *run) {
			r.h.Steps = append(r.h.Steps, Step{5, "ada", 3, op(`[4,"d"]`)})
			r.h.Sum = sum("abcdd")
		}},
		{"out of order", Once, "seq 3 follows seq 1", func(r *run) { r.h.Steps[2].Seq, r.h.Steps[3].Seq = 3, 2 }},
		{"unacknowledged, and applied twice", Once, "seq 3 is in the history at 4 and at 5", func(r *run) {
			r.h.Steps = append(r.h.Steps, Step{5, "ada", 3, op(`[4,"d"]`)})
			r.ada = slices.Delete(r.ada, 11, 13)
		}},
		{"never submitted", Once, "seq 3 is in the history at 4, submitted was up to 2", func(r *run) { r.ada[7].N = 1 }},
		{"read another operation", Prefix, "at revision 2 it read another operation", func(r *run) { r.ada[5].Op = op(`["b"]`) }},
		{"read the operation of somebody else", Prefix, "it read seq 1 of eve, the history has seq 1 of bob", func(r *run) { r.ada[5].Client = "eve" }},
		{"read what is not there any more", Prefix, "it read revision 4, the history ends at 3", func(r *run) { r.h.Steps = r.h.Steps[:3] }},
		{"opened what is not there any more", Prefix, "it held revision 7, the history ends at 4", func(r *run) { r.bob[1].Rev = 7 }},
		{"a composite of something else", Content, "at revision 4 somebody held", func(r *run) { r.bob[6].Sum = sum("abdc") }},
		{"two contents of one revision", Content, "at revision 2 it held another content than ada", func(r *run) { r.bob = slices.Insert(r.bob, 5, Event{Kind: Held, Rev: 2, Sum: sum("ba")}) }},
		{"a wrong content when opened", Content, "at revision 1 somebody held", func(r *run) { r.bob[1].Sum = sum("") }},
		{"a client that cannot go on", Content, "the copies differ", func(r *run) { r.ada = slices.Insert(r.ada, 6, Event{Kind: Broken, Text: "the copies differ"}) }},
		{"a history that does not fit", Replay, "leads to revision 2 cannot be applied", func(r *run) { r.h.Steps[1].Op = op(`[9,"b"]`) }},
		{"a history that is no history", Replay, "leads to revision 2 cannot be applied", func(r *run) { r.h.Steps[1].Op = op(`{}`) }},
		{"the server gives something else", Replay, "the server's has", func(r *run) { r.h.Sum = sum("abc") }},
		{"an old copy was opened", Fresh, "told of revision 0 as the newest when 1 had been acknowledged", func(r *run) { r.bob[1].Head = 0 }},
		{"an old copy was resumed", Fresh, "told of revision 1 as the newest when 2 had been acknowledged", func(r *run) { r.ada[10].Head = 1 }},
		{"does not get everything", Converged, "it ended at revision 2, the history at 4", func(r *run) { r.bob[7].Rev = 2 }},
		{"still waits in the end", Converged, "1 operations are pending", func(r *run) { r.ada[len(r.ada)-1].N = 1 }},
		{"shows something else in the end", Converged, "it ended with the checksum", func(r *run) { r.bob[7].Sum = sum("abdc") }},
		{"has no end", Converged, "the journal has no end", func(r *run) { drop(&r.ada, len(r.ada)-1) }},
		{"goes on after its end", Converged, "goes on after its end", func(r *run) { r.ada = append(r.ada, Event{Kind: Held}) }},
	} {
		r := truth()
		c.doctor(r)
		rep := r.check(t)
		if !slices.ContainsFunc(rep.Violations, func(v Violation) bool { return v.Rule == c.rule && strings.Contains(v.String(), c.text) }) {
			t.Errorf("%s: no %s with %q in %v", c.name, c.rule, c.text, rep.Violations)
		}
	}
}

// posted is a run of Ada, who numbers her edits, and Eve, who posts hers under marks: the first
// twice because the answer was lost, the second once more although it was answered.
func posted() *run {
	return &run{
		h: History{Doc: "notes", Type: text.Type{}, Closed: true, Sum: sum("a<eve:1><eve:2>"), Steps: []Step{
			{1, "ada", 1, op(`["a"]`)}, {2, "key.x", 77, op(`[1,"<eve:1>"]`)}, {3, "key.y", 5, op(`[8,"<eve:2>"]`)},
		}},
		ada: []Event{
			{Kind: Asked, At: 1}, {Kind: Opened, At: 2, Sum: sum("")}, {Kind: Submitted, At: 3, Seq: 1, N: 1},
			{Kind: Acked, At: 4, Seq: 1, Rev: 1}, {Kind: Read, At: 5, N: 1, Client: "ada", Seq: 1, Op: op(`["a"]`)}, {Kind: Lost, At: 6},
			{Kind: Asked, At: 30, Rev: 1, Resumed: true}, {Kind: Opened, At: 31, Rev: 1, Head: -1, Resumed: true},
			{Kind: Read, At: 32, Rev: 1, N: 1, Client: "key.x", Seq: 77, Op: op(`[1,"<eve:1>"]`)},
			{Kind: Read, At: 33, Rev: 2, N: 1, Client: "key.y", Seq: 5, Op: op(`[8,"<eve:2>"]`)},
			{Kind: Done, At: 34, Rev: 3, Sum: sum("a<eve:1><eve:2>")},
		},
		bob: []Event{
			{Kind: Asked, At: 6}, {Kind: Opened, At: 7, Rev: 1, Head: 1, Sum: sum("a")},
			{Kind: Sent, At: 8, Text: "<eve:1>"}, {Kind: Sent, At: 9, Text: "<eve:1>"}, {Kind: Answered, At: 10, Rev: 2, Text: "<eve:1>"},
			{Kind: Asked, At: 11}, {Kind: Opened, At: 12, Rev: 2, Head: 2, Sum: sum("a<eve:1>")},
			{Kind: Sent, At: 13, Text: "<eve:2>"}, {Kind: Answered, At: 14, Rev: 3, Text: "<eve:2>"},
			{Kind: Sent, At: 15, Text: "<eve:2>"}, {Kind: Answered, At: 16, Rev: 3, Text: "<eve:2>"},
			{Kind: Asked, At: 17}, {Kind: Opened, At: 18, Rev: 3, Head: 3, Sum: sum("a<eve:1><eve:2>")},
			{Kind: Done, At: 19, Rev: 3, Sum: sum("a<eve:1><eve:2>")},
		},
	}
}

// TestDoctoredPosts breaks the promises that are made to those who write without a copy of the document.
func TestDoctoredPosts(t *testing.T) {
	if rep := posted().check(t); len(rep.Violations) > 0 || rep.Acknowledgements != 3 || rep.Operations != 3 {
		t.Errorf("the truth: %+v", rep)
	}
	again := func(r *run, client string, seq uint64, content string) {
		r.h.Steps = append(r.h.Steps, Step{4, client, seq, op(`[15,"` + content + `"]`)})
		r.h.Sum = sum("a<eve:1><eve:2>" + content)
	}
	for _, c := range []struct {
		name   string
		rule   Rule
		text   string
		doctor func(r *run)
	}{
		{"posted again under another number", Once, "the edit <eve:2> is in the history at 3 and at 4", func(r *run) { again(r, "key.z", 9, "<eve:2>") }},
		{"posted again under none", Once, "the edit <eve:1> is in the history at 2 and at 4", func(r *run) { again(r, "", 0, "<eve:1>") }},
		{"twice in one operation", Once, "the edit <eve:2> is in the history at 3 and at 3", func(r *run) { r.h.Steps[2].Op = op(`[8,"<eve:2><eve:2>"]`) }},
		{"an unanswered one twice", Once, "the edit <eve:2> is in the history at 3 and at 4", func(r *run) {
			again(r, "key.z", 9, "<eve:2>")
			r.bob = slices.Concat(r.bob[:8], r.bob[11:])
		}},
		{"nobody posted it", Once, "what leads to revision 4 is in the history, and nobody sent it", func(r *run) { again(r, "key.z", 9, "<eve:3>") }},
		{"nobody wrote it", Once, "nobody sent it", func(r *run) { again(r, "", 0, "x") }},
		{"a key that is there twice", Once, "seq 5 is in the history at 3 and at 4", func(r *run) { again(r, "key.y", 5, "x") }},
		{"an answered post is lost", Acknowledged, "the edit <eve:2> was acknowledged at 3 and is not in the history", func(r *run) { r.h.Steps = r.h.Steps[:2]; r.h.Sum = sum("a<eve:1>") }},
		{"answered with another revision", Acknowledged, "the edit <eve:1> was acknowledged at 1, the history has it at 2", func(r *run) { r.bob[4].Rev = 1 }},
		{"answered otherwise the second time", Acknowledged, "the edit <eve:2> was acknowledged at 3 and at 4", func(r *run) { r.bob[10].Rev = 4 }},
		{"answered and never posted", Acknowledged, "the edit <eve:9> was acknowledged and never sent", func(r *run) { r.bob[4].Text = "<eve:9>" }},
		{"the answer to somebody else", Acknowledged, "the edit <eve:2> was acknowledged and never sent", func(r *run) { r.ada = slices.Insert(r.ada, 10, Event{Kind: Answered, At: 33, Rev: 3, Text: "<eve:2>"}) }},
		{"an old document after the answer", Fresh, "told of revision 1 as the newest when 2 had been acknowledged", func(r *run) { r.bob[6] = Event{Kind: Opened, At: 12, Rev: 1, Head: 1, Sum: sum("a")} }},
		{"another document was read", Content, "at revision 2 somebody held", func(r *run) { r.bob[6].Sum = sum("a") }},
		{"a post that is not there any more was read", Prefix, "it held revision 3, the history ends at 2", func(r *run) { r.h.Steps = r.h.Steps[:2]; r.h.Sum = sum("a<eve:1>") }},
		{"read a post otherwise", Prefix, "at revision 2 it read another operation", func(r *run) { r.ada[8].Op = op(`[1,"<eve:0>"]`) }},
		{"has not everything in the end", Converged, "it ended at revision 2, the history at 3", func(r *run) { r.bob[13].Rev = 2 }},
	} {
		r := posted()
		c.doctor(r)
		rep := r.check(t)
		if !slices.ContainsFunc(rep.Violations, func(v Violation) bool { return v.Rule == c.rule && strings.Contains(v.String(), c.text) }) {
			t.Errorf("%s: no %s with %q in %v", c.name, c.rule, c.text, rep.Violations)
		}
	}
}

func TestManyViolations(t *testing.T) {
	r := truth()
	for range 250 {
		r.ada = slices.Insert(r.ada, 1, Event{Kind: Broken})
	}
	if rep := r.check(t); len(rep.Violations) != mostViolations || rep.More != 150 {
		t.Errorf("%d violations and %d more", len(rep.Violations), rep.More)
	}
}

// TestRecorder has a document write a journal, through everything that can happen to it,
// and reads it back.
func TestRecorder(t *testing.T) {
	var out bytes.Buffer
	r := NewRecorder(&out, client.NewDocument("notes", "ada", text.Type{}), time.Now())
	acked := 0
	r.OnAcked(func(uint64, session.Revision) { acked++ })
	receive := func(s string) error {
		var m quirev1.ServerMessage
		if err := json.Unmarshal([]byte(s), &m); err != nil {
			t.Fatal(err)
		}
		return r.Receive(&m)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	r.Open()
	must(receive(`{"t":"opened","type":"text","inc":"1","rev":0,"head":0,"content":"","sum":"00000000"}`))
	x, err := text.Type{}.DecodeOp(op(`["a"]`), ot.Limits{})
	must(err)
	must(r.Edit(x))
	if r.Next() == nil {
		t.Fatal("nothing to send")
	}
	must(receive(`{"t":"ops","rev":0,"ops":[{"c":"ada","s":1,"op":["a"]},{"n":2,"op":[1,"bc"]}]}`))
	must(receive(`{"t":"check","rev":3,"sum":"` + sum("abc") + `"}`))
	if err := receive(`{"t":"error","code":"busy","class":"retry","message":"later"}`); err == nil {
		t.Error("no error")
	}
	r.Disconnected()
	if m := r.Open(); m.Rev == nil || *m.Rev != 3 {
		t.Errorf("%+v", m)
	}
	must(receive(`{"t":"opened","inc":"1","rev":3,"head":3,"seq":1,"resumed":true}`))
	if err := receive(`{"t":"ops","rev":7,"ops":[{"op":["z"]}]}`); err == nil {
		t.Error("a gap is no error")
	}
	must(r.Done())
	var kinds []Kind
	for e, err := range Events(bytes.NewReader(out.Bytes())) {
		must(err)
		kinds = append(kinds, e.Kind)
	}
	want := []Kind{Asked, Opened, Submitted, Acked, Read, Read, Held, Told, Refused, Held, Lost, Asked, Opened, Broken, Done}
	if !slices.Equal(kinds, want) || acked != 1 {
		t.Errorf("%v\nwant %v; %d acknowledged", kinds, want, acked)
	}
	h := History{Type: text.Type{}, Sum: sum("abc"), Steps: []Step{{1, "ada", 1, op(`["a"]`)}, {2, "bob", 1, op(`[1,"b"]`)}, {3, "bob", 2, op(`[2,"c"]`)}}}
	rep, err := Check(h, []Journal{ReadJournal("ada", bytes.NewReader(out.Bytes()))})
	must(err)
	if len(rep.Violations) != 1 || rep.Violations[0].Rule != Content || !strings.Contains(rep.Violations[0].Text, "expected 3") {
		t.Errorf("%v", rep.Violations)
	}
}

func TestJournalThatCannotBeKept(t *testing.T) {
	r := NewRecorder(full{}, client.NewDocument("notes", "ada", text.Type{}), time.Now())
	r.Open()
	if r.Err() == nil || r.Done() == nil {
		t.Error("a journal that could not be written is no error")
	}
	_, err := Check(truth().h, []Journal{ReadJournal("ada", strings.NewReader(`{"k":"asked"}{"k":`))})
	if err == nil || !strings.Contains(err.Error(), "journal of ada") {
		t.Errorf("half a journal: %v", err)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, fmt.Errorf("no room") }
