package query

import (
	"strconv"
	"sync"

	"quire/ot"
	"quire/ot/jsonscan"
	"quire/ot/jsonvalue"
	"quire/session"
)

// Codec shows documents as ShareDB does. Its methods are safe for concurrent use.
type Codec interface {
	// URI returns the type that documents of a session's type are shown as, "" for the
	// default type json0; false when ShareDB clients are not shown such documents.
	URI(typ ot.Type) (uri string, shown bool)
	// AppendData appends a document's content as the "data" of a message, as JSON.
	AppendData(dst []byte, typ ot.Type, doc ot.Doc) []byte
	// Object returns the content of a json0 document that is an object; nil for
	// everything else. It is quick.
	Object(typ ot.Type, doc ot.Doc) *jsonvalue.Object
}

// Snapshot is a document of a result. It is immutable and shared by all results that
// the document is in.
type Snapshot struct {
	// ID is the document's id in its collection.
	ID string
	// Version is that of the ShareDB protocol: the session's revision and one.
	Version int64

	uri    string // "" for json0
	typ    ot.Type
	doc    ot.Doc
	object *jsonvalue.Object // nil for what has no fields
	codec  Codec
	// life is the document's incarnation, and born the revision that the newest creation
	// led to, as they were before the snapshot was read; 0 when that is not known.
	life uint64
	born session.Revision

	once sync.Once
	json []byte
}

// snapshot returns a view as part of a result; nil when it has no content or is not
// shown.
func snapshot(codec Codec, id string, v session.View) *Snapshot {
	if v.Type == nil {
		return nil
	}
	uri, shown := codec.URI(v.Type)
	if !shown {
		return nil
	}
	return &Snapshot{ID: id, Version: int64(v.Rev) + 1, uri: uri, typ: v.Type, doc: v.Doc, object: codec.Object(v.Type, v.Doc), codec: codec}
}

// size returns about how much memory the snapshot holds, in bytes.
func (s *Snapshot) size() int { return 128 + len(s.ID) + s.typ.Size(s.doc) }

// Size returns about how many bytes snapshots hold.
func Size(result []*Snapshot) (bytes int) {
	for _, s := range result {
		bytes += s.size()
	}
	return bytes
}

// JSON returns the snapshot as results and diffs have it,
// {"v":1,"data":{…},"type":"…","d":"…"}, where json0 has no type. It is made once, and
// must not be changed.
func (s *Snapshot) JSON() []byte {
	s.once.Do(func() {
		dst := strconv.AppendInt([]byte(`{"v":`), s.Version, 10)
		dst = s.codec.AppendData(append(dst, `,"data":`...), s.typ, s.doc)
		if s.uri != "" {
			dst = jsonscan.AppendString(append(dst, `,"type":`...), s.uri)
		}
		s.json = append(jsonscan.AppendString(append(dst, `,"d":`...), s.ID), '}')
	})
	return s.json
}

// Append appends the snapshots as the "data" of a "qf" or "qs" reply: a JSON list.
func Append(dst []byte, result []*Snapshot) []byte {
	dst = append(dst, '[')
	for i, s := range result {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, s.JSON()...)
	}
	return append(dst, ']')
}
