package api

import "errors"

// ErrFormat: there is no such format for a document of that type.
var ErrFormat = errors.New("api: no such format")

// ErrTooLarge: the document has that form, but making it would take too long.
var ErrTooLarge = errors.New("api: too large for that format")

// Formats are the forms that documents can be read and written in besides plain text of
// text documents and the JSON of every type. Safe for concurrent use.
//
// Formats are named "text", "markdown", "html" and "delta"; content is in the JSON wire
// form of the type typ.
type Formats interface {
	// Render returns a document in a format, and its media type with parameters.
	// ErrFormat when the type has no such form, ErrTooLarge.
	Render(format, typ string, content []byte) (body []byte, contentType string, err error)
	// Parse reads a document of type typ in the form of a media type (without parameters);
	// where typ is empty it says what type the form is of. body is valid UTF-8. ErrFormat when
	// documents of the type have no such form; any other error says, for people, what is wrong
	// with body.
	Parse(contentType, typ string, body []byte) (made string, content []byte, err error)
}

// noFormats is what there is without any.
type noFormats struct{}

func (noFormats) Render(string, string, []byte) ([]byte, string, error) { return nil, "", ErrFormat }
func (noFormats) Parse(string, string, []byte) (string, []byte, error)  { return "", nil, ErrFormat }
