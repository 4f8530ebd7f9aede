package soak

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"quire/storage/bolt"
)

func damageScenarios() []*scenario {
	return []*scenario{
		{name: "truncated", fault: "data file cut short", how: "at a random length, while the server is down", short: 3, long: 100, round: 100,
			run: func(r *rig, n int) error { return damage(r, n, cut) }},
		{name: "corrupt", fault: "data file corrupt", how: "a page of zeros, a page of noise or a flipped bit at a random place, while the server is down", short: 5, long: 300, round: 100,
			run: func(r *rig, n int) error { return damage(r, n, corrupt) }},
	}
}

// damage damages the data file again and again. The server has to refuse to start and say why, or to
// refuse the documents that it cannot read, and give the others; never to give a document that is empty or
// wrong, never to change the file it refuses.
func damage(r *rig, n int, how func(r *rig, data []byte) []byte) error {
	if err := r.begin(r.people(), crewPerDoc); err != nil {
		return err
	}
	if err := r.progress(2000); err != nil { // for there to be something to damage
		return err
	}
	if err := r.settle(); err != nil {
		return err
	}
	sums := map[string]string{}
	for doc := range *r.finals.Load() {
		var err error
		if sums[doc], err = r.srv.sum(doc); err != nil {
			return err
		}
	}
	if err := r.srv.stop(); err != nil {
		return err
	}
	r.srv = nil
	file := filepath.Join(r.data, bolt.FileName)
	whole, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var d damages
	for range n {
		if err := os.WriteFile(file, how(r, bytes.Clone(whole)), 0o600); err != nil {
			return err
		}
		if err := r.damaged(file, sums, &d); err != nil {
			return err
		}
	}
	r.saw.count("starts refused", d.refused)
	r.saw.count("documents refused", d.unreadable)
	r.saw.count("documents given as they were", d.read)
	if err := os.WriteFile(file, whole, 0o600); err != nil {
		return err
	}
	return r.start()
}

// damages counts what became of damaged files: starts and documents.
type damages struct{ refused, unreadable, read int }

// damaged starts the server on a damaged file.
func (r *rig) damaged(file string, sums map[string]string, d *damages) error {
	before, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	s, err := r.launch(false)
	var no *notStarted
	if errors.As(err, &no) {
		if after, err := os.ReadFile(file); err != nil || !bytes.Equal(before, after) {
			return fmt.Errorf("a file that was refused was changed: %v", err)
		}
		if !strings.Contains(no.log, "the data cannot be opened") || strings.Contains(no.log, "goroutine ") {
			return fmt.Errorf("a refusal without a reason: %w", err)
		}
		d.refused++
		return nil
	} else if err != nil {
		return err
	}
	defer s.kill()
	for doc, want := range sums {
		sum, err := s.sum(doc)
		switch {
		case refused(err) == "unavailable":
			d.unreadable++
		case err != nil:
			return fmt.Errorf("on a damaged file %s: %w; the server said:\n%s", doc, err, s.log)
		case sum != want:
			return fmt.Errorf("on a damaged file %s was given with the checksum %s, it had %s", doc, sum, want)
		default:
			d.read++
		}
	}
	return s.log.crashed()
}

// cut leaves any part of the file, more often a small one: the end is not in use.
func cut(r *rig, data []byte) []byte { return data[:r.rng.IntN(len(data)>>r.rng.IntN(8))] }

func corrupt(r *rig, data []byte) []byte {
	page := os.Getpagesize()
	at := r.rng.IntN(len(data)/page>>r.rng.IntN(4)) * page
	switch r.rng.IntN(3) {
	case 0:
		clear(data[at : at+page])
	case 1:
		for i := range page {
			data[at+i] = byte(r.rng.Uint32())
		}
	default:
		data[at+r.rng.IntN(page)] ^= 1 << r.rng.IntN(8)
	}
	return data
}
