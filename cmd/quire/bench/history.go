package bench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"time"

	"quire/ot"
	"quire/ot/text"
	"quire/session"
	"quire/storage/bolt"
)

func historyFlags(fs *flag.FlagSet, o *options) {
	traceFlag(fs, o)
	fs.IntVar(&o.revisions, "revisions", 260_000, "`number` of revisions the document has when no trace is given")
	fs.IntVar(&o.reads, "reads", 500, "`number` of old revisions that are read")
}

// history writes a document with a long past through the server, compacts the data file
// and reads old revisions from it.
func history(ctx context.Context, b *bench) (*report, error) {
	if b.url != "" {
		return nil, UsageError("this benchmark looks into the data file, so it starts a server of its own")
	}
	tr, err := b.session(b.revisions)
	if err != nil {
		return nil, err
	}
	ops, err := wire(tr)
	if err != nil {
		return nil, err
	}
	doc := newDoc()
	results, err := b.each(ctx, func(t *target) (*result, error) {
		if err := fill(ctx, t, doc, true, ops, b.progress("writing", len(ops))); err != nil {
			return nil, err
		}
		t.stop()
		p := &past{bench: b, doc: doc, head: session.Revision(len(ops)), end: tr.End, res: &result{}}
		return p.res, p.measure(ctx)
	})
	if err != nil {
		return nil, err
	}
	return &report{
		what: fmt.Sprintf("A document of %d revisions was written; the server was stopped and the data file compacted. Then %d random revisions were read in the file, %d of them each after opening it afresh (cold).",
			len(ops), b.reads, min(b.reads, b.times)),
		results: results,
	}, nil
}

// past measures a document's past in a data file that no server has open.
type past struct {
	*bench
	doc  string
	head session.Revision
	end  string
	res  *result
}

func (p *past) options() bolt.Options {
	t := text.Type{}
	return bolt.Options{
		Path: filepath.Join(p.folder, bolt.FileName), MustExist: true, Logger: slog.New(slog.DiscardHandler),
		Packers: map[string]bolt.Packer{t.Name(): t},
	}
}

func (p *past) measure(ctx context.Context) error {
	start := time.Now()
	sum, err := bolt.Compact(ctx, p.options(), nil)
	if err != nil {
		return err
	}
	p.res.add("revisions", "", float64(p.head))
	p.res.add("document", "bytes", float64(len(p.end)))
	p.res.add("data_file_as_written", "bytes", float64(sum.Before))
	p.res.add("data_file_compacted", "bytes", float64(sum.After))
	p.res.add("of_it_sealed_history", "bytes", float64(sum.Sealed))
	p.res.add("compacted_in", "s", time.Since(start).Seconds())
	random := rand.New(rand.NewPCG(1, 1))
	cold, warm, times := new(histogram), new(histogram), new(histogram)
	for range min(p.reads, p.times) {
		err = errors.Join(err, p.open(func(s *bolt.Store, m *session.Manager) error { return p.read(ctx, s, m, random, cold, nil) }))
	}
	err = errors.Join(err, p.open(func(s *bolt.Store, m *session.Manager) error {
		for range p.reads {
			if err := p.read(ctx, s, m, random, warm, times); err != nil {
				return err
			}
		}
		v, err := m.View(ctx, p.doc, p.head)
		if err == nil && string((text.Type{}).MarshalDoc(nil, v.Doc)) != p.end {
			err = errors.New("the newest revision is not what was written")
		}
		return err
	}))
	p.res.latency("old_revision_read_cold", cold)
	p.res.latency("old_revision_read_warm", warm)
	p.res.latency("revision_found_by_time", times)
	return err
}

// open opens the data file and calls fn.
func (p *past) open(fn func(*bolt.Store, *session.Manager) error) error {
	s, err := bolt.Open(p.options())
	if err != nil {
		return err
	}
	m := session.New(session.Options{Store: s, Types: []ot.Type{text.Type{}}})
	return errors.Join(fn(s, m), m.Close(context.Background()), s.Close())
}

// read reads one random revision, and, if times is not nil, looks for it by its time.
func (p *past) read(ctx context.Context, s *bolt.Store, m *session.Manager, random *rand.Rand, views, times *histogram) error {
	rev := session.Revision(random.Int64N(int64(p.head)))
	start := time.Now()
	v, err := m.View(ctx, p.doc, rev)
	views.record(time.Since(start))
	if err == nil && v.Rev != rev {
		err = fmt.Errorf("revision %d read as %d", rev, v.Rev)
	}
	if err != nil || times == nil {
		return err
	}
	recs, err := s.Read(ctx, p.doc, rev, rev+1)
	if err != nil {
		return err
	}
	start = time.Now()
	at, err := s.At(ctx, p.doc, recs[0].Time)
	times.record(time.Since(start))
	if err == nil && at <= rev {
		err = fmt.Errorf("revision %d found as %d", rev+1, at)
	}
	return err
}
