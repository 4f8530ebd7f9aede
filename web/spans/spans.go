// Package spans sends traces of what the server does to an OpenTelemetry collector, when
// the standard environment variables ask for it
// (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).
// Otherwise there is no Tracer, and a nil one costs nothing.
package spans

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"quire/session"
	"quire/web/trail"
)

// Tracer makes spans. A nil *Tracer makes none. Safe for concurrent use.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	callers  bool // what callers say of their traces is taken up
}

// New makes the Tracer that the environment asks for, nil when it asks for none.
// getenv reads the variables that are about whether and how; the rest the
// OpenTelemetry libraries read themselves. Close it with Shutdown.
func New(version string, getenv func(string) string, log *slog.Logger) (*Tracer, error) {
	first := func(names ...string) string {
		for _, name := range names {
			if v := getenv(name); v != "" {
				return v
			}
		}
		return ""
	}
	endpoint := first("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
	exporter := getenv("OTEL_TRACES_EXPORTER")
	switch protocol := first("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"); {
	case strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true"), endpoint == "", exporter == "none":
		return nil, nil
	case exporter != "" && exporter != "otlp":
		return nil, fmt.Errorf("OTEL_TRACES_EXPORTER is %.40q; it has to be otlp or none", exporter)
	case protocol != "" && protocol != "http/protobuf":
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is %.40q; it has to be http/protobuf", protocol)
	}
	c := context.Background()
	out, err := otlptracehttp.New(c)
	if err != nil {
		return nil, fmt.Errorf("traces cannot be sent: %w", err)
	}
	// What the environment says goes before what is the default here.
	own := resource.NewSchemaless(attribute.String("service.name", "quire"), attribute.String("service.version", version))
	given, err := resource.New(c, resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	about, err := resource.Merge(own, given)
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	otel.SetErrorHandler(&complaints{log: log})
	p := sdk.NewTracerProvider(sdk.WithBatcher(out), sdk.WithResource(about)) // the sampler is the environment's
	return &Tracer{provider: p, tracer: p.Tracer("quire"), callers: getenv("OTEL_PROPAGATORS") != "none"}, nil
}

// complaints logs what the libraries cannot do, now and then: without a collector each
// batch fails.
type complaints struct {
	log *slog.Logger

	mu   sync.Mutex
	last time.Time // guarded by mu
}

// complainEvery is the time between two complaints.
const complainEvery = time.Minute

// Handle implements otel.ErrorHandler.
func (h *complaints) Handle(err error) {
	h.mu.Lock()
	now := time.Now()
	silent := now.Sub(h.last) < complainEvery
	if !silent {
		h.last = now
	}
	h.mu.Unlock()
	if !silent {
		h.log.Warn("traces are lost", "err", err)
	}
}

// Shutdown sends what waits, as far as ctx allows.
func (t *Tracer) Shutdown(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// Request begins the span of an HTTP request to a route and returns c with it; end is
// called when it was answered. A caller's traceparent makes it part of the caller's trace.
func (t *Tracer) Request(c context.Context, ctx *fasthttp.RequestCtx, route string) (_ context.Context, end func()) {
	if t == nil {
		return c, func() {}
	}
	if t.callers {
		c = propagation.TraceContext{}.Extract(c, carrier{ctx})
	}
	if route == "" {
		route = "other"
	}
	method := string(ctx.Method())
	c, span := t.tracer.Start(c, method+" "+route, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attribute.String("http.request.method", method), attribute.String("http.route", route), attribute.String("quire.req", trail.Of(ctx).ID)))
	return c, func() {
		status := ctx.Response.StatusCode()
		span.SetAttributes(attribute.Int("http.response.status_code", status))
		if doc := trail.Doc(ctx); doc != "" {
			span.SetAttributes(attribute.String("quire.doc", doc))
		}
		if code := trail.Code(ctx); code != "" {
			span.SetAttributes(attribute.String("error.type", code))
		}
		if status >= 500 {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

// carrier reads a caller's trace from a request.
type carrier struct{ ctx *fasthttp.RequestCtx }

// Get implements propagation.TextMapCarrier.
func (c carrier) Get(key string) string { return string(c.ctx.Request.Header.Peek(key)) }

// Set implements propagation.TextMapCarrier; nothing is sent this way.
func (carrier) Set(string, string) {}

// Keys implements propagation.TextMapCarrier.
func (carrier) Keys() []string { return nil }

// linkKey is where the context of a connection keeps the span that it began with.
type linkKey struct{}

// Connection returns the context of a connection that began with the request of c. What is
// done on it for hours belongs to no one trace: each submission is a trace of its own with
// a link to that request.
func (t *Tracer) Connection(c context.Context) context.Context {
	if t == nil {
		return c
	}
	sc := trace.SpanContextFromContext(c)
	return context.WithValue(trace.ContextWithSpanContext(c, trace.SpanContext{}), linkKey{}, sc)
}

// start begins a span, below that of c or linked to that of a connection's.
func (t *Tracer) start(c context.Context, name string, at time.Time, attrs ...attribute.KeyValue) (context.Context, trace.Span) {
	opts := []trace.SpanStartOption{trace.WithTimestamp(at), trace.WithAttributes(attrs...)}
	if sc, ok := c.Value(linkKey{}).(trace.SpanContext); ok && sc.IsValid() && !trace.SpanContextFromContext(c).IsValid() {
		opts = append(opts, trace.WithLinks(trace.Link{SpanContext: sc}))
	}
	if id := trail.IDOf(c); id != "" {
		opts = append(opts, trace.WithAttributes(attribute.String("quire.req", id)))
	}
	return t.tracer.Start(c, name, opts...)
}

// Work begins the span of something that takes long, such as a backup; done is called
// with how it ended.
func (t *Tracer) Work(c context.Context, name string) (_ context.Context, done func(err error)) {
	if t == nil {
		return c, func(error) {}
	}
	c, span := t.start(c, name, time.Now())
	return c, func(err error) { finish(span, err) }
}

func finish(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, "")
		span.SetAttributes(attribute.String("error.type", string(session.AsError(err).Code)))
	}
	span.End()
}

// Observe has what sessions do made into spans: each submission, from its receipt to its
// publication, and each reading of a document.
func (t *Tracer) Observe(o *session.Observer) {
	if t == nil {
		return
	}
	o.Traced = t.submission
	o.Loading = func(c context.Context, doc string) func(err error) {
		_, span := t.start(c, "load", time.Now(), attribute.String("quire.doc", doc))
		return func(err error) { finish(span, err) }
	}
}

// submission makes the spans of one submission after the fact, so that it waits for none
// of it.
func (t *Tracer) submission(s *session.Trace) {
	c, span := t.start(s.Context, "submit", s.Received,
		attribute.String("quire.doc", s.Doc), attribute.Int("quire.operations", s.Operations), attribute.Int64("quire.rev", int64(s.Rev)))
	if span.IsRecording() {
		for _, part := range []struct {
			name     string
			from, to time.Time
		}{{"stage", s.Received, s.Placed}, {"append", s.Handed, s.Durable}, {"publish", s.Durable, s.Published}} {
			_, x := t.tracer.Start(c, part.name, trace.WithTimestamp(part.from))
			x.End(trace.WithTimestamp(part.to))
		}
	}
	span.End(trace.WithTimestamp(s.Published))
}
