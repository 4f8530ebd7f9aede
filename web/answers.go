package web

import (
	"context"
	"time"

	"github.com/valyala/fasthttp"

	"quire/session"
	"quire/session/limits"
)

// answerWait is how long a request waits for room for its answer.
const answerWait = 10 * time.Second

// answerRoom is api.Options.Room: large answers take no more than MaxSending, and those for one address a quarter of it.
func (s *Server) answerRoom(request *fasthttp.RequestCtx, ctx context.Context, bytes int) (done func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	if done, err = s.answers.Take(ctx, limits.Network(s.remote(request)), bytes); err != nil {
		return nil, s.opt.Manager.Exceeds(limits.Sending, s.answers.Most(), session.CodeBusy, "too many large answers are on their way")
	}
	return done, nil
}
