package soak

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"quire/ot"
	"quire/storage"
	"quire/storage/bolt"
	"quire/web/quirev1"
	"quire/web/quirev1/client"
	"quire/web/quirev1/client/journal"
)

// mostLeft is how many bytes more than at first a server may have in memory after everybody
// left: what its caches keep and the collector has not given back.
const mostLeft = 64 << 20

// verify has everybody finish, looks at what the server holds then, stops it, and
// compares the journals with what it gave and with what is on disk.
func (r *rig) verify(rep *journal.Report) error {
	if err := r.settle(); err != nil {
		return err
	}
	sums := map[string]string{}
	for doc := range *r.finals.Load() {
		var err error
		if sums[doc], err = r.srv.sum(doc); err != nil {
			return fmt.Errorf("a fresh reader of %s: %w", doc, err)
		}
	}
	if err := r.calm(mostLeft); err != nil {
		return err
	}
	if err := r.srv.stop(); err != nil {
		return err
	}
	r.srv = nil
	return r.compare(rep, sums)
}

// compare checks the data folder and the journals of every document.
func (r *rig) compare(rep *journal.Report, sums map[string]string) error {
	out, err := r.run(r.ctx, "check", r.data)
	if err != nil || !strings.Contains(out, "No problems found.") {
		return fmt.Errorf("quire check: %v\n%s", err, out)
	}
	store, err := bolt.Open(bolt.Options{Path: filepath.Join(r.data, bolt.FileName), MustExist: true, Packers: packers(r.Kinds), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer store.Close()
	for _, doc := range slices.Sorted(maps.Keys(sums)) {
		one, err := r.document(store, doc, sums[doc])
		if err != nil {
			return fmt.Errorf("%s: %w", doc, err)
		}
		rep.Add(one)
	}
	if len(rep.Violations) > 0 {
		var text strings.Builder
		for _, v := range rep.Violations {
			fmt.Fprintln(&text, v)
		}
		return fmt.Errorf("%d promises were broken:\n%s", len(rep.Violations)+rep.More, &text)
	}
	return nil
}

// document compares the journals of one document.
func (r *rig) document(store *bolt.Store, doc, sum string) (*journal.Report, error) {
	h := journal.History{Doc: doc, Sum: sum, Closed: r.peers == 0}
	var journals []journal.Journal
	for _, p := range r.crew {
		if p.doc != doc {
			continue
		}
		h.Type = p.kind.Type
		f, err := os.Open(p.file.Name())
		if err != nil {
			return nil, err
		}
		defer f.Close()
		journals = append(journals, journal.ReadJournal(p.client, f))
	}
	var err error
	if h.Steps, err = r.steps(store, doc, h.Type); err != nil {
		return nil, err
	}
	return journal.Check(h, journals)
}

// steps reads a document's history from disk.
func (r *rig) steps(store *bolt.Store, doc string, typ ot.Type) ([]journal.Step, error) {
	info, err := store.Stat(r.ctx, doc)
	if err != nil {
		return nil, err
	}
	var steps []journal.Step
	for rev := storage.Revision(0); rev < info.Head; {
		recs, err := store.Read(r.ctx, doc, rev, info.Head)
		if err != nil {
			return nil, err
		}
		for i := range recs {
			rev++
			op, err := typ.UnmarshalOp(recs[i].Op)
			if err != nil {
				return nil, fmt.Errorf("revision %d: %w", rev, err)
			}
			steps = append(steps, journal.Step{Rev: rev, Client: recs[i].Client, Seq: recs[i].Seq, Op: typ.AppendOp(nil, op)})
		}
	}
	return steps, nil
}

func packers(kinds []Kind) map[string]bolt.Packer {
	out := map[string]bolt.Packer{}
	for _, k := range kinds {
		if p, ok := k.Type.(ot.Packer); ok {
			out[k.Type.Name()] = p
		}
	}
	return out
}

// sum opens a document afresh and returns its checksum, as the server says it.
func (s *server) sum(doc string) (string, error) {
	conn, _, err := client.Dial(s.url, client.Options{})
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	if err := conn.Send(&quirev1.ClientMessage{T: "open", Doc: &doc}); err != nil {
		return "", err
	}
	for {
		m, err := conn.Receive()
		switch {
		case err != nil:
			return "", err
		case m.T == "opened":
			return m.Sum, nil
		case m.T == "error":
			return "", &client.RefusedError{ServerMessage: *m}
		}
	}
}

// refused returns the code of a refusal, or "".
func refused(err error) string {
	var e *client.RefusedError
	if errors.As(err, &e) {
		return string(e.Code)
	}
	return ""
}
