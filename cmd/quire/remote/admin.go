package remote

import (
	"context"
	"net/url"
	"strconv"

	"quire/web/admin"
)

// adminGet asks the operators' interface.
func (c *Client) adminGet(ctx context.Context, path string, query url.Values, out any) error {
	return c.do(ctx, request{method: "GET", path: admin.Prefix + "/" + path, query: query}, out)
}

// Status returns what the server as a whole is doing.
func (c *Client) Status(ctx context.Context) (s admin.Status, err error) {
	return s, c.adminGet(ctx, "status", nil, &s)
}

// Sessions returns the first documents in memory by an order: rate, memory, readers or doc.
func (c *Client) Sessions(ctx context.Context, by string, limit int) (s admin.Sessions, err error) {
	return s, c.adminGet(ctx, "sessions", url.Values{"by": {by}, "limit": {strconv.Itoa(limit)}}, &s)
}

// Connections returns the first connections by an order: since, sent or received.
func (c *Client) Connections(ctx context.Context, by string, limit int) (s admin.Connections, err error) {
	return s, c.adminGet(ctx, "connections", url.Values{"by": {by}, "limit": {strconv.Itoa(limit)}}, &s)
}
