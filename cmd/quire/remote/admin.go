package remote

import (
	"context"
	"net/url"
	"strconv"
)

// Status is what the server as a whole is doing.
type Status struct {
	Version string  `json:"version"`
	Started string  `json:"started"`
	Uptime  float64 `json:"uptime_seconds"`
	Ready   bool    `json:"ready"`
	// Why says why it is not ready.
	Why    string `json:"why,omitempty"`
	Memory Memory `json:"memory"`
	Disk   *Disk  `json:"disk,omitempty"`
	// Connections are WebSockets, Streams HTTP answers without a fixed length.
	Connections int `json:"connections"`
	Streams     int `json:"streams"`
	// Sessions are documents in memory, Places on how many connections they are open.
	Sessions int `json:"sessions"`
	Places   int `json:"places"`
	// Unsaved is how many documents have edits that are not on disk.
	Unsaved int `json:"unsaved_documents"`
	// Failing are documents that the store refuses to write, FailingCount how many there
	// are: the list has the first of them.
	Failing      []Session         `json:"failing"`
	FailingCount int               `json:"failing_documents"`
	Rate         float64           `json:"operations_per_second"`
	Latency      Latencies         `json:"latency"`
	Limits       map[string]string `json:"limits"`
}

// Memory is in bytes.
type Memory struct {
	// Heap is what objects take, System what the process has from the system, Sessions about what
	// documents in memory need, Limit what GOMEMLIMIT allows; 0 without a limit.
	Heap     uint64 `json:"heap_bytes"`
	System   uint64 `json:"system_bytes"`
	Sessions int    `json:"sessions_bytes"`
	Limit    int64  `json:"limit_bytes"`
	// Goroutines are a number.
	Goroutines int `json:"goroutines"`
}

// Disk is what the data needs and has, in bytes.
type Disk struct {
	// File is the size of the data file, Free what its file system has left for it, Total
	// how large that is.
	File  int64 `json:"file_bytes"`
	Free  int64 `json:"free_bytes"`
	Total int64 `json:"total_bytes"`
}

// Latency is how long something took lately.
type Latency struct {
	// Over is the span that is looked at, in seconds.
	Over float64 `json:"over_seconds"`
	// Count is how often it happened.
	Count uint64 `json:"count"`
	// P50 and P99 are how long it took at most, in milliseconds, in so many of 100 cases,
	// estimated from a histogram; null when it did not happen.
	P50 *float64 `json:"p50_ms"`
	P99 *float64 `json:"p99_ms"`
}

// Latencies are those of edits.
type Latencies struct {
	// Acknowledge is from the receipt of an edit until its author is told that it is safe,
	// Deliver until it is handed to a reader's connection, Append the part of the disk.
	Acknowledge Latency `json:"acknowledge"`
	Deliver     Latency `json:"deliver"`
	Append      Latency `json:"append"`
}

// Session is a document in memory.
type Session struct {
	Doc     string  `json:"doc"`
	Type    string  `json:"type"`
	Head    int64   `json:"head"`
	Oldest  int64   `json:"oldest"`
	Size    int     `json:"size_bytes"`
	Memory  int     `json:"memory_bytes"`
	Readers int     `json:"readers"` // on how many connections it is open without an edit
	Writers int     `json:"writers"` // and with one
	Rate    float64 `json:"operations_per_second"`
	Unsaved int64   `json:"unsaved_operations"`
	Edited  string  `json:"edited"`
	// Failures is how many writes failed in a row, Why the reason of the last one.
	Failures int    `json:"failures,omitempty"`
	Why      string `json:"why,omitempty"`
}

// Sessions answers what documents in memory are doing: the first of them in an order, and
// how many there are.
type Sessions struct {
	Sessions []Session `json:"sessions"`
	Total    int       `json:"total"`
}

// Connection is a WebSocket.
type Connection struct {
	// ID is the id of the request that it began with.
	ID       string `json:"id"`
	Address  string `json:"address"`
	Protocol string `json:"protocol"`
	Author   string `json:"author"`
	// Name is what the author is called, where that is something else.
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	Since     string `json:"since"`
	Sent      int64  `json:"sent_bytes"`
	Received  int64  `json:"received_bytes"`
	Messages  int64  `json:"received_messages"`
	// Docs are documents that are open on it, the first of them; DocCount is how many.
	Docs     []string `json:"docs"`
	DocCount int      `json:"doc_count"`
}

// Connections answers who is connected: the first in an order, and how many there are.
type Connections struct {
	Connections []Connection `json:"connections"`
	Total       int          `json:"total"`
}

// adminGet asks the operators' interface.
func (c *Client) adminGet(ctx context.Context, path string, query url.Values, out any) error {
	return c.do(ctx, request{method: "GET", path: "/api/admin/" + path, query: query}, out)
}

// Status returns what the server as a whole is doing.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	return s, c.adminGet(ctx, "status", nil, &s)
}

// Sessions returns the first documents in memory by an order: rate, memory, readers or doc.
func (c *Client) Sessions(ctx context.Context, by string, limit int) (s Sessions, err error) {
	return s, c.adminGet(ctx, "sessions", url.Values{"by": {by}, "limit": {strconv.Itoa(limit)}}, &s)
}

// Connections returns the first connections by an order: since, sent or received.
func (c *Client) Connections(ctx context.Context, by string, limit int) (s Connections, err error) {
	return s, c.adminGet(ctx, "connections", url.Values{"by": {by}, "limit": {strconv.Itoa(limit)}}, &s)
}
