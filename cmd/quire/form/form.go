// Package form is how documents are written into files and read from them: plain text as it is,
// JSON indented, rich text as Markdown, HTML or a Delta.
package form

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// Form is a form of content in files.
type Form string

// The forms. None is chosen by the document's type.
const (
	None     Form = ""
	Text     Form = "text"
	JSON     Form = "json"
	Markdown Form = "markdown"
	HTML     Form = "html"
	Delta    Form = "delta"
)

// ErrNotText is content that cannot be a document's.
var ErrNotText = errors.New("it is not UTF-8 text")

// Of returns the form that suits a document type, and false for "", that of a document without content.
func Of(docType string) (Form, bool) {
	switch docType {
	case "":
		return None, false
	case "delta":
		return Markdown, true
	case "json0":
		return JSON, true
	}
	return Text, true
}

// Named returns the form of a name, or for "" the one that a file's name tells of: None when that could
// be anything.
func Named(name, file string) (Form, error) {
	switch f := Form(name); f {
	case Text, JSON, Markdown, HTML, Delta:
		return f, nil
	case None:
	default:
		return None, fmt.Errorf("there is no form %q; there are text, json, markdown, html and delta", name)
	}
	switch strings.ToLower(filepath.Ext(file)) {
	case ".md", ".markdown":
		return Markdown, nil
	case ".html", ".htm":
		return HTML, nil
	case ".delta":
		return Delta, nil
	case ".json":
		return JSON, nil
	}
	return None, nil
}

// Type returns the type of a new document in this form.
func (f Form) Type() string {
	switch f {
	case JSON:
		return "json0"
	case HTML, Delta:
		return "delta"
	}
	return "text" // Markdown too: it is written as text more often than not
}

// For returns the form in which content goes to a document of a type: f where the type has it,
// else the one that suits the type.
func (f Form) For(docType string) Form {
	own, _ := Of(docType)
	if docType != "delta" || f == None {
		return own
	}
	if f == JSON { // a file.json for a rich text holds a Delta
		return Delta
	}
	return f
}

// Wire returns a file's content as a request's body, and its content type. The error says what is wrong
// with the content.
func (f Form) Wire(data []byte) (body []byte, contentType string, err error) {
	if !utf8.Valid(data) {
		return nil, "", ErrNotText
	}
	switch f {
	case JSON, Delta:
		if err := checkJSON(data); err != nil {
			return nil, "", err
		}
		if f == Delta {
			return data, "application/vnd.quire.delta+json", nil
		}
		return data, "application/json", nil
	case Markdown:
		return data, "text/markdown; charset=utf-8", nil
	case HTML:
		return data, "text/html; charset=utf-8", nil
	}
	return data, "text/plain; charset=utf-8", nil
}

// Content returns a body in the wire form of its type, and false for forms that only the server can
// read.
func (f Form) Content(body []byte) (json.RawMessage, bool) {
	switch f {
	case JSON:
		return body, true
	case None, Text:
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(string(body)); err != nil {
			panic(err) // a string
		}
		return b.Bytes(), true
	}
	return nil, false
}

// Show returns content in wire form as it stands in a file; not for Markdown and HTML, which the
// server makes.
func (f Form) Show(content json.RawMessage) (string, error) {
	switch f {
	case None, Text:
		var s string
		err := json.Unmarshal(content, &s)
		return s, err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, content, "", "  "); err != nil {
		return "", err
	}
	b.WriteByte('\n')
	return b.String(), nil
}

// Same reports whether two contents of files are the same document. JSON may be written in several
// ways.
func (f Form) Same(a, b string) bool { return a == b || f.Plain(a) == f.Plain(b) }

// Plain returns content without what does not matter: the space between the parts of JSON.
func (f Form) Plain(s string) string {
	if f != JSON && f != Delta {
		return s
	}
	var b bytes.Buffer
	if json.Compact(&b, []byte(s)) != nil {
		return s
	}
	return b.String()
}

// checkJSON says where data is no JSON.
func checkJSON(data []byte) error {
	var v json.RawMessage
	err := json.Unmarshal(data, &v)
	var bad *json.SyntaxError
	if errors.As(err, &bad) {
		line := 1 + bytes.Count(data[:min(int(bad.Offset), len(data))], []byte("\n"))
		return fmt.Errorf("it is not JSON: line %d: %w", line, err)
	}
	return err
}
