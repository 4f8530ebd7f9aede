package main

import (
	"errors"

	"quire/web/api"
	"quire/web/formats"
)

// documentFormats is web/formats as web/api asks for it.
type documentFormats struct{}

// Render implements api.Formats.
func (documentFormats) Render(format, typ string, content []byte) ([]byte, string, error) {
	body, err := formats.Render(format, typ, content)
	if errors.Is(err, formats.ErrTooLarge) {
		err = api.ErrTooLarge
	}
	return body, formats.ContentType(format), formatError(err)
}

// Parse implements api.Formats.
func (documentFormats) Parse(contentType, typ string, body []byte) (string, []byte, error) {
	format := formats.FormatOf(contentType)
	if format == "" {
		return "", nil, api.ErrFormat
	}
	made, content, err := formats.Parse(format, typ, body)
	return made, content, formatError(err)
}

func formatError(err error) error {
	if errors.Is(err, formats.ErrUnsupported) {
		return api.ErrFormat
	}
	return err
}
