package remote

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Event is one of a document's events.
type Event struct {
	// Name is edit, create, delete or end.
	Name string
	// Rev is the revision that it led to; of an end it is 0.
	Rev int64
	// Code and Detail are why the events end.
	Code   string
	Detail string
}

// Events are a document's events as they happen. Not safe for concurrent use.
type Events struct {
	url   string
	body  io.Closer
	lines *bufio.Reader
}

// maxEvent is the largest event in bytes: what a step can be in JSON.
const maxEvent = 512 << 20

// heartbeat is how often the server says that it is there.
const heartbeat = 15 * time.Second

// Events begins to follow a document, from its head on: whatever comes after what a request that
// follows reads is told. Silence for long ends them: the server sends heartbeats.
func (c *Client) Events(ctx context.Context, id string) (*Events, error) {
	resp, err := c.open(ctx, request{
		method: http.MethodGet, path: docPath(id, "events"), least: 3 * heartbeat,
		header: map[string]string{"Accept": "text/event-stream"},
	})
	if err != nil {
		return nil, err
	}
	return &Events{c.URL, resp.Body, bufio.NewReader(resp.Body)}, nil
}

// Close ends them.
func (e *Events) Close() error { return e.body.Close() }

// Next waits for the next event. The error is an *Unreachable when the connection is
// lost, also when the server ends it in order.
func (e *Events) Next() (Event, error) {
	var ev Event
	var data []byte
	for {
		line, err := e.line()
		if err != nil {
			return Event{}, err
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "" && ev.Name != "":
			return ev, ev.end(data)
		case name == "event":
			ev.Name = value
		case name == "id":
			if ev.Rev, err = strconv.ParseInt(value, 10, 64); err != nil {
				return Event{}, fmt.Errorf("the server sent an event with the id %q", value)
			}
		case name == "data":
			data = append(data, value...)
		}
	}
}

// end takes in why the events end.
func (ev *Event) end(data []byte) error {
	if ev.Name != "end" {
		return nil
	}
	var why Problem
	if err := json.Unmarshal(data, &why); err != nil {
		return fmt.Errorf("the server sent an end that is not understood here: %w", err)
	}
	ev.Code, ev.Detail = why.Code, why.Detail
	return nil
}

// line reads one line. Data of edits is skipped over unread past what a name or an end
// can be, since only revisions matter here.
func (e *Events) line() (string, error) {
	var line []byte
	for size := 0; ; {
		part, err := e.lines.ReadSlice('\n')
		if size += len(part); size > maxEvent {
			return "", fmt.Errorf("the server sent an event larger than %d bytes", maxEvent)
		}
		if len(line) < 64<<10 {
			line = append(line, part...)
		}
		switch err {
		case nil:
			return strings.TrimRight(string(line), "\r\n"), nil
		case bufio.ErrBufferFull:
		case io.EOF:
			return "", &Unreachable{e.url, errors.New("the connection ended")}
		default:
			return "", err
		}
	}
}
