package wire

import (
	"fmt"

	"quire/ot/jsonscan"
)

// Code is one of ShareDB's stable names of what went wrong, or CodeLimit, which is ours.
type Code string

// The codes that the packages under web/sharedb answer with.
const (
	CodeBadlyFormed       Code = "ERR_MESSAGE_BADLY_FORMED"            // a message is not one of the protocol
	CodeUnsupported       Code = "ERR_DATABASE_METHOD_NOT_IMPLEMENTED" // a query that this server does not know
	CodeTypeHasNoPresence Code = "ERR_TYPE_DOES_NOT_SUPPORT_PRESENCE"  // presence in a document of another type than rich-text
	CodeUnknown           Code = "ERR_UNKNOWN_ERROR"                   // the server failed; its log says why
	CodeLimit             Code = "ERR_LIMIT_EXCEEDED"                  // a limit would be passed; the message names it
)

// Error is a refusal as ShareDB clients are told: a code and a message for people,
// which holds nothing internal.
type Error struct {
	Code    Code
	Message string
}

// Error returns the code and the message.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// Append appends the error as the member "error" of a message has it:
// {"code":…,"message":…}.
func (e *Error) Append(dst []byte) []byte {
	dst = jsonscan.AppendString(append(dst, `{"code":`...), string(e.Code))
	dst = jsonscan.AppendString(append(dst, `,"message":`...), e.Message)
	return append(dst, '}')
}

// Errorf makes an Error.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}
