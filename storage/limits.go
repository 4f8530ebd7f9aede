package storage

import "fmt"

// MaxAppend is the largest sum of operation bytes in one append. With MaxRecord
// it bounds what a driver has to hold in memory to write one call as a whole.
const MaxAppend = 256 << 20

// CheckType returns ErrInvalid when typ cannot name a document type: it is empty
// or longer than MaxType.
func CheckType(typ string) error {
	if typ == "" || len(typ) > MaxType {
		return fmt.Errorf("%w: type name of %d bytes (1 to %d)", ErrInvalid, len(typ), MaxType)
	}
	return nil
}

// CheckCreate returns ErrInvalid when first cannot be a document's record -1: it is
// not a Create or breaks a limit (see CheckRecord).
func CheckCreate(first *Record) error {
	if first.Kind != Create {
		return fmt.Errorf("%w: a document begins with a record of kind %d", ErrInvalid, first.Kind)
	}
	return CheckRecord(first)
}

// CheckAppend returns ErrInvalid when recs cannot be one append: there are none,
// one of them breaks a limit (see CheckRecord), or together they pass MaxAppend.
func CheckAppend(recs []Record) error {
	if len(recs) == 0 {
		return fmt.Errorf("%w: append of no records", ErrInvalid)
	}
	total := 0
	for i := range recs {
		if err := CheckRecord(&recs[i]); err != nil {
			return err
		}
		total += len(recs[i].Op)
	}
	if total > MaxAppend {
		return fmt.Errorf("%w: append of %d bytes (at most %d)", ErrInvalid, total, MaxAppend)
	}
	return nil
}

// CheckRange returns ErrInvalid when [from, to) is not a range of records to
// read from a document with the given head. The lowest is [-1, 0).
func CheckRange(from, to, head Revision) error {
	if from < -1 || from >= to || to > head {
		return fmt.Errorf("%w: records [%d, %d) of a document at revision %d", ErrInvalid, from, to, head)
	}
	return nil
}

// CheckSnapshot returns ErrInvalid when s cannot be a snapshot of a document
// with the given head: its revision is not in [0, head], its type's name or its
// content is too long, or it has content but no type.
func CheckSnapshot(s Snapshot, head Revision) error {
	switch {
	case s.Rev < 0 || s.Rev > head:
		return fmt.Errorf("%w: snapshot at revision %d of a document at revision %d", ErrInvalid, s.Rev, head)
	case len(s.Type) > MaxType:
		return fmt.Errorf("%w: type name of %d bytes (at most %d)", ErrInvalid, len(s.Type), MaxType)
	case s.Type == "" && len(s.Data) > 0:
		return fmt.Errorf("%w: snapshot of %d bytes without a type", ErrInvalid, len(s.Data))
	case len(s.Data) > MaxSnapshot:
		return fmt.Errorf("%w: snapshot of %d bytes (at most %d)", ErrInvalid, len(s.Data), MaxSnapshot)
	}
	return nil
}

// CheckTrim returns ErrInvalid when the records below oldest cannot be dropped from a
// document: it is not in [0, head], or some above were dropped before.
func CheckTrim(oldest Revision, info Info) error {
	if oldest < max(0, info.Oldest) || oldest > info.Head {
		return fmt.Errorf("%w: trimming to revision %d of a document with revisions %d to %d", ErrInvalid, oldest, info.Oldest, info.Head)
	}
	return nil
}

// CheckRewrite returns ErrInvalid when a record cannot take another's place: its kind,
// type, client, sequence number or time differs, or it breaks a limit (see CheckRecord).
func CheckRewrite(old, r *Record) error {
	if r.Kind != old.Kind || r.Type != old.Type || r.Client != old.Client || r.Seq != old.Seq || r.Time != old.Time {
		return fmt.Errorf("%w: a rewritten record differs in more than its operation and author", ErrInvalid)
	}
	return CheckRecord(r)
}

// CheckRewriteSnapshot returns ErrInvalid when a snapshot cannot take another's place: its
// revision or type differs, or it breaks a limit (see CheckSnapshot).
func CheckRewriteSnapshot(old, s Snapshot) error {
	if s.Rev != old.Rev || s.Type != old.Type {
		return fmt.Errorf("%w: a rewritten snapshot differs in more than its content", ErrInvalid)
	}
	return CheckSnapshot(s, s.Rev)
}

// CheckNotes returns ErrInvalid when notes cannot be one SetNotes: there are none, a key
// is not 1 to MaxNoteKey bytes, a value is longer than MaxNote, or together they pass
// MaxAppend.
func CheckNotes(notes []Note) error {
	if len(notes) == 0 {
		return fmt.Errorf("%w: no notes", ErrInvalid)
	}
	total := 0
	for i := range notes {
		key, size := len(notes[i].Key), len(notes[i].Value)
		switch {
		case key < 1 || key > MaxNoteKey:
			return fmt.Errorf("%w: key of a note of %d bytes (1 to %d)", ErrInvalid, key, MaxNoteKey)
		case size > MaxNote:
			return fmt.Errorf("%w: note of %d bytes (at most %d)", ErrInvalid, size, MaxNote)
		}
		total += key + size
	}
	if total > MaxAppend {
		return fmt.Errorf("%w: notes of %d bytes (at most %d)", ErrInvalid, total, MaxAppend)
	}
	return nil
}

// CheckList returns ErrInvalid when limit is less than 1.
func CheckList(limit int) error {
	if limit < 1 {
		return fmt.Errorf("%w: list of at most %d", ErrInvalid, limit)
	}
	return nil
}

// MaxGap is how many records are between two of a document's snapshots at most, if
// snapshots were put often enough: what has to be replayed to see any revision.
const MaxGap = 100_000

// Thin says which of a document's snapshots may go. revs are the revisions that
// have one, ascending; put is the one just stored, which stays, as do the newest
// two. An older one goes when the gap that it leaves is at most MaxGap and at most half as
// wide as the newest snapshot is away from it. So there are about as many as doublings of
// the history, and one more for each MaxGap, and to see the document as it was a revisions
// ago, at most about a/2 records and MaxGap have to be replayed. Which ones go depends on
// nothing but the arguments; all drivers thin alike.
func Thin(revs []Revision, put Revision) (drop []Revision) {
	if len(revs) < 3 {
		return nil
	}
	newest := revs[len(revs)-1]
	newer := revs[len(revs)-2]
	for i := len(revs) - 3; i >= 0; i-- {
		older := Revision(0)
		if i > 0 {
			older = revs[i-1]
		}
		if revs[i] != put && newer-older <= min((newest-revs[i])/2, MaxGap) {
			drop = append(drop, revs[i])
		} else {
			newer = revs[i]
		}
	}
	return drop
}

// Space returns which of a document's snapshots, at revs, ascending, have to stay for good: those up
// to oldest, the newest, and between them one about every MaxGap records.
func Space(revs []Revision, oldest Revision) (keep []Revision) {
	for i, rev := range revs {
		last := max(oldest, 0)
		if len(keep) > 0 {
			last = max(last, keep[len(keep)-1])
		}
		if i == len(revs)-1 || rev <= oldest || revs[i+1]-last > MaxGap {
			keep = append(keep, rev)
		}
	}
	return keep
}
