package bolt

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"

	"quire/storage"
)

// aside is a line of the file with what Repair could not bring back.
type aside struct {
	// What is "record", "snapshot", "note", "value" (of the data file) or "bytes".
	What string `json:"what"`
	// Why it was not brought back.
	Why string `json:"why"`
	// Doc is the document's id; Number is its number in the damaged file.
	Doc    string `json:"doc,omitempty"`
	Number uint64 `json:"number,omitempty"`
	// Rev is the revision that a record led to, or that a snapshot is of.
	Rev *storage.Revision `json:"rev,omitempty"`
	// Kind, Type, Author, Client, Seq and Time are a record's, Type a snapshot's too.
	Kind   string `json:"kind,omitempty"`
	Type   string `json:"type,omitempty"`
	Author string `json:"author,omitempty"`
	Client string `json:"client,omitempty"`
	Seq    uint64 `json:"seq,omitempty"`
	Time   int64  `json:"time,omitempty"`
	// Bucket, Key (hexadecimal), Offset and Size are where a value or bytes were in the damaged file.
	Bucket string `json:"bucket,omitempty"`
	Key    string `json:"key,omitempty"`
	Offset int64  `json:"offset,omitempty"`
	Size   int64  `json:"size,omitempty"`
	// Data is the operation, content, note, value or bytes, in base 64.
	Data []byte `json:"data,omitempty"`
}

// sideFile is a file of asides, which is there once it has one.
type sideFile struct {
	path string
	file *os.File
	buf  *bufio.Writer
	err  error // the first
}

func (s *sideFile) put(a aside) {
	if s.err != nil {
		return
	}
	if s.file == nil {
		if s.file, s.err = os.OpenFile(s.path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600); s.err != nil {
			return
		}
		s.buf = bufio.NewWriterSize(s.file, 64<<10)
	}
	line, err := json.Marshal(a)
	if err == nil {
		_, err = s.buf.Write(append(line, '\n'))
	}
	s.err = err
}

// close completes and syncs the file.
func (s *sideFile) close() error {
	if s.file == nil {
		return s.err
	}
	return errors.Join(s.err, s.buf.Flush(), s.file.Sync(), s.file.Close())
}

// abandon lets go of a file that may not be complete.
func (s *sideFile) abandon() {
	if s.file != nil {
		_ = s.file.Close()
	}
}

// kinds are the kinds of records as asides name them.
var kinds = [...]string{storage.Edit: "edit", storage.Create: "create", storage.Delete: "delete"}

func (a aside) record(rev storage.Revision, r *storage.Record) aside {
	a.What, a.Rev = "record", &rev
	a.Kind, a.Type, a.Author, a.Client, a.Seq, a.Time, a.Data = kinds[r.Kind], r.Type, r.Author, r.Client, r.Seq, r.Time, r.Op
	return a
}

// fragment is a value or a page of the damaged file.
func (s *sideFile) fragment(src *salvage, f fragment) {
	a := aside{What: "bytes", Why: f.why, Bucket: f.bucket, Key: hex.EncodeToString(f.key), Offset: f.off, Size: f.size}
	if f.key != nil {
		a.What = "value"
	}
	a.Data = src.read(f.off, f.size)
	s.put(a)
}
