package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"quire/session"
	"quire/storage"
	"quire/storage/bolt"
	"quire/web/quirev1"
	"quire/web/quirev1/client"
)

// verifyJournals compares what clients were told with what is on disk.
func verifyJournals(t *testing.T, data string, writers []*writer) {
	var out strings.Builder
	if err := check(context.Background(), []string{data}, &out); err != nil {
		t.Errorf("quire check: %v\n%s", err, &out)
	}
	store, err := bolt.Open(bolt.Options{Path: filepath.Join(data, dataFile), MustExist: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	ctx := context.Background()
	type place struct {
		doc, client string
		seq         uint64
	}
	found := map[place]session.Revision{}
	content := map[string]string{}
	for i, k := range crashTypes {
		id := crashDoc(i)
		info, err := store.Stat(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := k.typ.Create(nil)
		if err != nil {
			t.Fatal(err)
		}
		for rev := storage.Revision(0); rev < info.Head; {
			recs, err := store.Read(ctx, id, rev, info.Head)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range recs {
				op, err := k.typ.UnmarshalOp(r.Op)
				if err == nil {
					doc, err = k.typ.Apply(doc, op)
				}
				if err != nil {
					t.Fatalf("%s: record %d: %v", id, rev, err)
				}
				rev++
				k := place{id, r.Client, r.Seq}
				if found[k] != 0 {
					t.Errorf("%+v is in the store at %d and %d", k, found[k], rev)
				}
				found[k] = rev
			}
		}
		content[id] = string(k.typ.AppendDoc(nil, doc))
	}
	for _, w := range writers {
		if err := w.failure(); err != nil {
			t.Errorf("%s: %v", w.doc.Client, err)
		}
		for seq, rev := range w.journal {
			if got := found[place{w.doc.ID, w.doc.Client, seq}]; got != rev {
				t.Errorf("%s: seq %d was acknowledged at revision %d, the store has it at %d", w.doc.Client, seq, rev, got)
			}
		}
		if uint64(len(w.journal)) != w.edits {
			t.Errorf("%s made %d edits, %d were acknowledged", w.doc.Client, w.edits, len(w.journal))
		}
	}
	// Everybody, also the one that stopped listening first, holds a prefix; a fresh
	// reader holds it all. Here: each writer after it caught up.
	store.Close()
	p := launch(t, "--listen", "127.0.0.1:0", "--data", data)
	defer p.kill()
	for _, w := range writers {
		w.url = p.url
		if err := w.catchUp(); err != nil {
			t.Errorf("%s: %v", w.doc.Client, err)
		} else if got := string(w.kind.typ.AppendDoc(nil, w.doc.Local())); got != content[w.doc.ID] {
			t.Errorf("%s holds something else than the store", w.doc.Client)
		}
	}
}

// catchUp resumes and receives everything there is.
func (w *writer) catchUp() error {
	conn, _, err := client.Dial(w.url, client.Options{})
	if err != nil {
		return err
	}
	defer conn.Close()
	w.doc.Disconnected()
	open := w.doc.Open()
	if err := conn.Send(&open); err != nil {
		return err
	}
	for !w.doc.Current() {
		m, err := conn.Receive()
		if err == nil {
			err = w.doc.Receive(m)
		}
		if err != nil {
			return err
		}
	}
	doc := w.doc.ID
	if err := conn.Send(&quirev1.ClientMessage{T: "check", Doc: &doc}); err != nil {
		return err
	}
	for {
		m, err := conn.Receive()
		if err != nil {
			return err
		}
		if m.T == "check" {
			if m.Rev != w.doc.Rev() || m.Sum != w.doc.Sum() {
				return fmt.Errorf("checksum %s at %d, the server has %s at %d", w.doc.Sum(), w.doc.Rev(), m.Sum, m.Rev)
			}
			return nil
		}
	}
}
