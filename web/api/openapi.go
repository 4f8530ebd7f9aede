package api

import (
	_ "embed"

	"github.com/valyala/fasthttp"
)

// Description is the OpenAPI 3.1 document of everything under /api.
//
//go:embed openapi.json
var Description []byte

// openapi serves GET /api/openapi.json.
func (a *API) openapi(r *request) error {
	r.ctx.SetStatusCode(fasthttp.StatusOK)
	raw(r.ctx, mediaJSON, Description)
	return nil
}
