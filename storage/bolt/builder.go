package bolt

import (
	"errors"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"
	bbolt "go.etcd.io/bbolt"

	"quire/storage"
)

// builder writes a new data file, one document after another. Nothing of it is synced
// before close. After an error it is only good for abandon.
type builder struct {
	db    *bbolt.DB
	tx    *bbolt.Tx
	state state
	blob  uint64 // the highest number given
	bytes int    // written in tx, about

	level  zstd.EncoderLevel // of snapshots
	seal   *Options          // says how records are sealed; nil when they are not
	sealed int64             // bytes of sealed segments
}

// builderBytes is how much one transaction of a builder takes in, about.
const builderBytes = 8 << 20

// newBuilder makes an empty data file at path, where there has to be none or an empty one.
func newBuilder(path string) (*builder, error) {
	if err := initialize(path, time.Second); err != nil {
		return nil, err
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, FreelistType: bbolt.FreelistMapType, NoSync: true, NoStatistics: true})
	if err != nil {
		return nil, err
	}
	db.AllocSize = db.Info().PageSize // no more than is used
	b := &builder{db: db, state: state{nextNum: 1, logFirst: 1}, level: zstd.SpeedDefault}
	if err := b.begin(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return b, nil
}

// begin begins a transaction. It fills pages to the brim, as keys come in order.
func (b *builder) begin() (err error) {
	if b.tx, err = b.db.Begin(true); err != nil {
		return err
	}
	for _, name := range buckets {
		b.tx.Bucket(name).FillPercent = 1
	}
	return nil
}

// wrote counts bytes, and commits when they are many.
func (b *builder) wrote(n int) (err error) {
	if b.bytes += n; b.bytes < builderBytes {
		return nil
	}
	b.bytes = 0
	if err := b.tx.Commit(); err != nil {
		return err
	}
	return b.begin()
}

// close completes the file and syncs it.
func (b *builder) close() error {
	err := b.state.put(b.tx)
	if err == nil {
		err = b.tx.Commit()
		b.tx = nil
	}
	if err == nil {
		err = b.db.Sync()
	}
	return errors.Join(err, b.abandon())
}

// abandon lets go of the file.
func (b *builder) abandon() error {
	if b.tx != nil {
		_ = b.tx.Rollback()
		b.tx = nil
	}
	return b.db.Close()
}

// note keeps a note of the document with a number, or of the store when it is storeNum.
func (b *builder) note(num uint64, n storage.Note) error {
	if err := put(b.tx, bucketNotes, keyNote(num, n.Key), slices.Clone(n.Value)); err != nil {
		return err
	}
	return b.wrote(len(n.Key) + len(n.Value) + 64)
}

// docBuilder writes one document: records in order, and what belongs to it, then finish.
type docBuilder struct {
	b    *builder
	id   string
	val  docValue
	recs []storage.Record // [val.folded, …), not written yet
	size int              // bytes of their operations
	seqs map[string]lastSeq
}

// document begins a document. Of val the incarnation, times, oldest and trimmed are taken;
// typ and born are what they are at the first record.
func (b *builder) document(id string, val docValue) *docBuilder {
	val.num = b.state.nextNum
	val.segs, val.folded = val.num, val.oldest
	b.state.nextNum++
	b.state.docs++
	return &docBuilder{b: b, id: id, val: val, seqs: make(map[string]lastSeq)}
}

// head returns the revision after the records so far.
func (d *docBuilder) head() storage.Revision { return d.val.folded + storage.Revision(len(d.recs)) }

// add appends records.
func (d *docBuilder) add(recs []storage.Record) error {
	if len(recs) == 0 {
		return nil
	}
	at := d.head()
	for i := range recs {
		d.size += len(recs[i].Op)
		d.noteSeq(recs[i].Client, lastSeq{recs[i].Seq, at + storage.Revision(i) + 1})
	}
	d.val.typ, d.val.born = lifeAfter(d.val.typ, d.val.born, at, recs)
	d.val.modified = recs[len(recs)-1].Time
	d.recs = append(d.recs, recs...)
	records, bytes := 8*segmentRecords, 8*segmentBytes
	if d.b.seal != nil {
		records, bytes = sealRecords, sealBytes
	}
	if len(d.recs) < records && d.size < bytes {
		return nil
	}
	return d.flush()
}

// noteSeq takes in a client's sequence number.
func (d *docBuilder) noteSeq(client string, l lastSeq) {
	if l.seq > d.seqs[client].seq {
		d.seqs[client] = l
	}
}

func (d *docBuilder) flush() error {
	if d.b.seal != nil {
		return d.flushSealed()
	}
	if err := putSegments(d.b.tx, d.val.num, d.val.folded, d.recs); err != nil {
		return err
	}
	d.val.folded = d.head()
	n := d.size + 32*len(d.recs)
	d.recs, d.size = d.recs[:0], 0
	return d.b.wrote(n)
}

// flushSealed writes the records as sealed segments, where these are smaller.
func (d *docBuilder) flushSealed() error {
	for len(d.recs) > 0 {
		n, size := 0, 0
		for n < min(len(d.recs), sealRecords) && (n == 0 || size+len(d.recs[n].Op) <= sealBytes) {
			size += len(d.recs[n].Op) + 4
			n++
		}
		recs := d.recs[:n]
		body := d.b.seal.sealBody(recs, typeOf(recs, d.val.folded, d.val.typ, d.val.born))
		var err error
		if n <= segmentRecords && (body == nil || len(appendRun(nil, recs)) <= len(body)) || body == nil {
			err = putSegments(d.b.tx, d.val.num, d.val.folded, recs)
		} else {
			d.b.sealed += int64(len(body))
			size = len(body)
			err = put(d.b.tx, bucketSegments, keySegment(d.val.num, d.val.folded), body)
		}
		if err != nil {
			return err
		}
		d.val.folded += storage.Revision(n)
		d.recs = d.recs[n:]
		if err := d.b.wrote(size); err != nil {
			return err
		}
	}
	d.recs, d.size = nil, 0
	return nil
}

// snapshot keeps a snapshot.
func (d *docBuilder) snapshot(s storage.Snapshot) error {
	kept := compress(s.Data, d.b.level)
	h := newSnapHead(s, kept)
	if len(s.Data) > 0 {
		d.b.blob++
		h.blob = d.b.blob
	}
	index := uint64(0)
	for data := range slices.Chunk(kept, blobPiece) {
		p := pieceChange{blob: h.blob, index: index, data: data}
		if err := p.put(d.b.tx); err != nil {
			return err
		}
		if err := d.b.wrote(p.size()); err != nil {
			return err
		}
		index++
	}
	return put(d.b.tx, bucketSnapshots, key2(d.val.num, s.Rev), h.append(nil))
}

// finish completes the document.
func (d *docBuilder) finish() error {
	if err := d.flush(); err != nil {
		return err
	}
	for client, l := range d.seqs {
		if err := put(d.b.tx, bucketLastSeq, keyClient(d.val.num, client), l.append(nil)); err != nil {
			return err
		}
		if err := d.b.wrote(len(client) + 64); err != nil {
			return err
		}
	}
	if err := put(d.b.tx, bucketDocs, []byte(d.id), d.val.append(nil)); err != nil {
		return err
	}
	return d.b.wrote(len(d.id) + 128)
}
