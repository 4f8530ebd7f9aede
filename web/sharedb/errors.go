package sharedb

import (
	"errors"
	"strings"

	"quire/ot"
	"quire/session"
	"quire/web/sharedb/wire"
	"quire/web/ws"
)

// The codes that this package sends besides those of package wire.
const (
	codeClientID    wire.Code = "ERR_CLIENT_ID_BADLY_FORMED"
	codeOp          wire.Code = "ERR_OT_OP_BADLY_FORMED"
	codeNotApplied  wire.Code = "ERR_OT_OP_NOT_APPLIED"
	codeType        wire.Code = "ERR_DOC_TYPE_NOT_RECOGNIZED"
	codeExists      wire.Code = "ERR_DOC_ALREADY_CREATED"
	codeDeleted     wire.Code = "ERR_DOC_WAS_DELETED"
	codeMissing     wire.Code = "ERR_DOC_DOES_NOT_EXIST"
	codeNewer       wire.Code = "ERR_OP_VERSION_NEWER_THAN_CURRENT_SNAPSHOT"
	codeGone        wire.Code = "ERR_SUBMIT_TRANSFORM_OPS_NOT_FOUND"
	codeSeqOverflow wire.Code = "ERR_CONNECTION_SEQ_INTEGER_OVERFLOW"
	codeNotMoved    wire.Code = "ERR_PRESENCE_TRANSFORM_FAILED"
	// Of Quire; ShareDB leaves rights to the application.
	codeForbidden       wire.Code = "forbidden"
	codeUnauthenticated wire.Code = "unauthenticated"
)

// malformed is an error of the form of a message.
func malformed(message string) *wire.Error {
	return &wire.Error{Code: wire.CodeBadlyFormed, Message: message}
}

// refusal says what a client is told about a session's error.
type refusal struct {
	code wire.Code
	// message is what ShareDB's own server says; empty to pass the session's on.
	message string
	// again: the same request may succeed a moment later. A client that is told of an
	// error of its operation takes the operation back and, with most types, whatever
	// was made after it, too (client/doc.js, _rollback); and one that is told that it
	// cannot read gives up. When the connection is lost instead it keeps everything,
	// connects again and sends the operation once more, under its src and seq. So the
	// connection is closed, with code 1013.
	again bool
}

// refusals are the codes of sessions that Manager and Subscription return to this
// protocol; any other is told as ERR_UNKNOWN_ERROR.
var refusals = map[session.Code]refusal{
	session.CodeNotFound: {code: codeMissing, message: "Document does not exist"},
	session.CodeExists:   {code: codeExists, message: "Document was created remotely"},
	session.CodeDeleted:  {code: codeDeleted, message: "Document was deleted"},
	session.CodeFuture:   {code: codeNewer, message: "Invalid op submitted. Op version newer than current snapshot"},
	session.CodeGone:     {code: codeGone},
	session.CodeBadOp:    {code: codeNotApplied},
	session.CodeTooLarge: {code: codeNotApplied},
	session.CodeSeq:      {code: codeOp},
	session.CodeBadID:    {code: wire.CodeBadlyFormed, message: "Invalid id"},
	session.CodeBadType:  {code: codeType, message: "Unknown type"},
	// The base is so old, or the operation so large, that transforming would take too
	// long. The missing operations are on their way to the client, which transforms on
	// its own side, and when it sends the operation again it is on a newer base.
	session.CodeStale: {code: wire.CodeUnknown, again: true},
	// A moment that passes: the disk is behind, or the server stops; or the client is too fast, which
	// it is told by being held up before it comes to this.
	session.CodeBusy: {code: wire.CodeUnknown, again: true},
	session.CodeRate: {code: wire.CodeLimit, again: true},
	// Its namespace has no room for another document.
	session.CodeTooMany: {code: wire.CodeLimit},
	// The disk cannot be read. That may last; but an operation must not be lost for it.
	session.CodeUnavailable: {code: wire.CodeUnknown, again: true},
	// Part of it was committed by another connection of the client.
	session.CodeInFlight: {code: wire.CodeUnknown, again: true},
	session.CodeInternal: {code: wire.CodeUnknown, again: true},
	// The document has another id, which is not for everybody to know.
	session.CodeMoved:           {code: wire.CodeUnknown, message: "The document was renamed", again: true},
	session.CodeForbidden:       {code: codeForbidden},
	session.CodeUnauthenticated: {code: codeUnauthenticated},
}

// told returns what a client is told about an error of a session, and whether it should
// rather be made to try again.
func told(err error) (*wire.Error, bool) {
	e := session.AsError(err)
	r, ok := refusals[e.Code]
	if !ok {
		r.code = wire.CodeUnknown
	}
	if r.message == "" {
		r.message = plain(e.Message)
	}
	return &wire.Error{Code: r.code, Message: r.message}, r.again
}

// unreadable returns what a client is told that asked to read, or why its connection is closed
// instead. A document that cannot be read may stay so, and must not keep the connection from being
// of use for others.
func unreadable(err error) (*wire.Error, *ws.CloseError) {
	if e, ok := err.(*wire.Error); ok {
		return e, nil
	}
	e, _ := told(err)
	switch why := session.AsError(err); why.Code {
	case session.CodeBusy, session.CodeRate:
		return e, tryAgain(e)
	case session.CodeUnauthenticated:
		return e, unauthenticated(why)
	}
	return e, nil
}

// badOp returns what a client is told about an operation or a content that cannot be
// read.
func badOp(err error) *wire.Error {
	code := codeOp
	if errors.Is(err, ot.ErrMismatch) {
		code = codeNotApplied
	}
	return &wire.Error{Code: code, Message: plain(err.Error())}
}

// plain returns a message without what packages ot and session say before the types'
// own words.
func plain(message string) string {
	for _, sentinel := range []error{ot.ErrMismatch, ot.ErrSyntax} {
		if _, after, ok := strings.Cut(message, sentinel.Error()+": "); ok {
			return after
		}
	}
	return message
}
