// Package formats converts documents to the forms that people keep files in, and back:
// plain text, Markdown (CommonMark with GitHub's strike-through, tables and task lists), HTML, and the types' own
// JSON. It works on documents in JSON wire form and knows no algorithm.
//
// What a format cannot say is left out: Markdown has no alignment, plain text no
// bold. HTML is sanitized on the way in and on the way out.
package formats

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// The formats by name, as in ?format=.
const (
	Text     = "text"
	Markdown = "markdown"
	HTML     = "html"
	Delta    = "delta"
	JSON     = "json"
)

// The types of documents that there is more to say about than their JSON.
const (
	richType = "delta"
	jsonType = "json0"
)

// textTypes are the types whose content is a JSON string.
var textTypes = map[string]bool{"text": true, "text0": true, "text-unicode": true}

var (
	// ErrUnsupported: documents of the type have no such form, or no document is made of it.
	ErrUnsupported = errors.New("no such format")
	// ErrMalformed: what was to be read is not of its format. The message says how.
	ErrMalformed = errors.New("malformed")
	// ErrTooLarge: converting it would take too long.
	ErrTooLarge = errors.New("too large")
)

// Of returns the names of the formats that documents of a type can be given in, the
// best first.
func Of(typ string) []string {
	switch {
	case textTypes[typ]:
		return []string{Text, JSON}
	case typ == richType:
		return []string{HTML, Markdown, Text, Delta, JSON}
	}
	return []string{JSON}
}

// ContentType returns the media type of a format.
func ContentType(format string) string {
	switch format {
	case Text:
		return "text/plain; charset=utf-8"
	case Markdown:
		return "text/markdown; charset=utf-8"
	case HTML:
		return "text/html; charset=utf-8"
	case Delta:
		return "application/vnd.quire.delta+json"
	}
	return "application/json"
}

// FormatOf returns the format of a media type without parameters, or "".
func FormatOf(mediaType string) string {
	for _, f := range []string{Text, Markdown, HTML, Delta, JSON} {
		if mt, _, _ := strings.Cut(ContentType(f), ";"); mt == mediaType {
			return f
		}
	}
	return ""
}

// Render returns a document of a type, given in JSON wire form, in a format.
// ErrUnsupported when it has no such form.
func Render(format, typ string, content []byte) ([]byte, error) {
	switch {
	case format == JSON, format == Delta && typ == richType:
		return content, nil
	case format == Text && textTypes[typ]:
		var s string
		err := json.Unmarshal(content, &s)
		return []byte(s), err
	case typ != richType:
		return nil, fmt.Errorf("%w: a document of type %s as %s", ErrUnsupported, typ, format)
	}
	lines, err := readDelta(content)
	if err != nil {
		return nil, err
	}
	switch format {
	case Text:
		return plain(lines), nil
	case HTML:
		return renderHTML(lines), nil
	case Markdown:
		return renderMarkdown(lines)
	}
	return nil, fmt.Errorf("%w: %s", ErrUnsupported, format)
}

// Parse returns the content, in JSON wire form, of a document of type typ that is given
// in a format; typ "" is the format's own: text for plain text, delta for Markdown, HTML
// and Delta. ErrMalformed when it is not of that format, ErrUnsupported when documents of the type cannot be given so.
func Parse(format, typ string, body []byte) (madeType string, content []byte, err error) {
	if !utf8.Valid(body) {
		return "", nil, fmt.Errorf("%w: not UTF-8", ErrMalformed)
	}
	if typ == "" {
		typ = map[string]string{Text: "text", JSON: jsonType}[format]
	}
	if typ == "" {
		typ = richType
	}
	switch {
	case format == JSON:
		return typ, body, nil
	case format == Text && textTypes[typ]:
		content, err = quoted(string(body))
	case typ != richType:
		err = fmt.Errorf("%w: a document of type %s from %s", ErrUnsupported, typ, format)
	case format == Delta:
		content, err = parseDelta(body)
	case format == Text:
		content, err = writeDelta(linesOf(string(body)))
	case format == HTML:
		content, err = parseHTML(body)
	case format == Markdown:
		content, err = parseMarkdown(body)
	default:
		err = fmt.Errorf("%w: %s", ErrUnsupported, format)
	}
	return typ, content, err
}

// quoted returns a string in JSON, with nothing escaped that need not be.
func quoted(s string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(s)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
