package spans

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"quire/session"
	"quire/web/trail"
)

// sink is a collector of OTLP over HTTP.
type sink struct {
	url string

	mu    sync.Mutex
	spans []*trace.Span     // guarded by mu
	about map[string]string // the resource; guarded by mu
}

func newSink(t *testing.T) *sink {
	s := &sink{about: map[string]string{}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body io.Reader = r.Body
		if r.Header.Get("Content-Encoding") == "gzip" {
			body, _ = gzip.NewReader(r.Body)
		}
		data, err := io.ReadAll(body)
		var in collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(data, &in)
		}
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("%s %s: %v", r.URL.Path, r.Header.Get("Content-Type"), err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, rs := range in.ResourceSpans {
			for _, a := range rs.Resource.Attributes {
				s.about[a.Key] = a.Value.GetStringValue()
			}
			for _, ss := range rs.ScopeSpans {
				s.spans = append(s.spans, ss.Spans...)
			}
		}
	}))
	t.Cleanup(srv.Close)
	s.url = srv.URL
	return s
}

// env sets the environment, as the libraries read it, and returns how to read it.
func env(t *testing.T, kv map[string]string) func(string) string {
	for k, v := range kv {
		t.Setenv(k, v)
	}
	return func(k string) string { return kv[k] }
}

func said(s *trace.Span, key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			return a.Value.GetStringValue()
		}
	}
	return ""
}

// TestTraces sends what a server does to a collector: a request of a caller that traces, an edit by
// HTTP below it, an edit on a connection beside it, and a backup that fails.
func TestTraces(t *testing.T) {
	s := newSink(t)
	tr, err := New("1.2.3", env(t, map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": s.url, "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test", "OTEL_SERVICE_NAME": "quire-eu",
	}), slog.Default())
	if err != nil || tr == nil {
		t.Fatal(tr, err)
	}
	var observer session.Observer
	tr.Observe(&observer)

	var ctx fasthttp.RequestCtx
	ctx.Request.Header.SetMethod("POST")
	ctx.Request.Header.Set("traceparent", "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01")
	trail.Attach(&ctx, trail.Info{}.Remote, false)
	c, end := tr.Request(trail.WithID(context.Background(), trail.Of(&ctx).ID), &ctx, "/api/docs/{id}/operations")
	trail.SetDoc(&ctx, "plan")
	start := time.Now().Add(-time.Second)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	observer.Traced(&session.Trace{Context: c, Doc: "plan", Operations: 3, Rev: 9, Received: at(0), Placed: at(1), Handed: at(5), Durable: at(20), Published: at(21)})
	observer.Loading(c, "plan")(nil)
	ctx.Response.SetStatusCode(503)
	trail.SetCode(&ctx, "busy")
	end()
	observer.Traced(&session.Trace{Context: tr.Connection(c), Doc: "chat", Operations: 1, Rev: 1, Received: at(0), Placed: at(1), Handed: at(2), Durable: at(3), Published: at(4)})
	_, done := tr.Work(context.Background(), "backup")
	done(errors.New("the disk is full"))
	if err := tr.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}

	by := map[string]*trace.Span{}
	for _, x := range s.spans {
		name := x.Name
		if name == "submit" || name == "append" {
			name += " " + said(x, "quire.doc")
			if x.Name == "append" && x.EndTimeUnixNano-x.StartTimeUnixNano == uint64(15*time.Millisecond) {
				name = "append plan"
			}
		}
		by[name] = x
	}
	if len(s.spans) != 11 {
		t.Errorf("%d spans", len(s.spans))
	}
	req, submit, app, chat, backup := by["POST /api/docs/{id}/operations"], by["submit plan"], by["append plan"], by["submit chat"], by["backup"]
	if req == nil || submit == nil || app == nil || chat == nil || backup == nil || by["load"] == nil {
		t.Fatalf("%v", by)
	}
	caller := "\x01\x23\x45\x67\x89\xab\xcd\xef"
	if string(req.TraceId) != caller+caller || string(req.ParentSpanId) != caller || req.Kind != trace.Span_SPAN_KIND_SERVER || req.Status.Code != trace.Status_STATUS_CODE_ERROR ||
		said(req, "quire.doc") != "plan" || said(req, "error.type") != "busy" || said(req, "quire.req") != trail.Of(&ctx).ID {
		t.Errorf("the request: %v", req)
	}
	if string(submit.ParentSpanId) != string(req.SpanId) || string(app.ParentSpanId) != string(submit.SpanId) || string(by["load"].ParentSpanId) != string(req.SpanId) {
		t.Errorf("what was done for the request is not below it: %v %v %v", submit, app, by["load"])
	}
	if string(chat.TraceId) == string(req.TraceId) || len(chat.ParentSpanId) != 0 || len(chat.Links) != 1 || string(chat.Links[0].SpanId) != string(req.SpanId) {
		t.Errorf("the edit on a connection: %v", chat)
	}
	if backup.Status.Code != trace.Status_STATUS_CODE_ERROR || said(backup, "error.type") != "internal" {
		t.Errorf("the backup: %v", backup)
	}
	if s.about["service.name"] != "quire-eu" || s.about["service.version"] != "1.2.3" || s.about["deployment.environment.name"] != "test" {
		t.Errorf("the resource: %v", s.about)
	}
}

// TestSampler has nothing sampled, and callers not believed.
func TestSampler(t *testing.T) {
	s := newSink(t)
	tr, err := New("1", env(t, map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": s.url + "/v1/traces", "OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0", "OTEL_PROPAGATORS": "none"}), slog.Default())
	if err != nil || tr == nil {
		t.Fatal(tr, err)
	}
	var ctx fasthttp.RequestCtx
	ctx.Request.Header.Set("traceparent", "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01")
	_, end := tr.Request(context.Background(), &ctx, "/")
	end()
	if err := tr.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if len(s.spans) != 0 {
		t.Errorf("sampled: %v", s.spans)
	}
}

// TestOff asks for no traces in every way there is, and for some that there are not; what is not traced
// costs nothing.
func TestOff(t *testing.T) {
	const end = "OTEL_EXPORTER_OTLP_ENDPOINT"
	for _, kv := range []map[string]string{
		{}, {end: "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "TRUE"}, {end: "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
	} {
		if tr, err := New("1", func(k string) string { return kv[k] }, slog.Default()); tr != nil || err != nil {
			t.Errorf("%v: %v, %v", kv, tr, err)
		}
	}
	for _, kv := range []map[string]string{
		{end: "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "zipkin"}, {end: "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
	} {
		if _, err := New("1", func(k string) string { return kv[k] }, slog.Default()); err == nil {
			t.Errorf("%v: no error", kv)
		}
	}
	var tr *Tracer
	var ctx fasthttp.RequestCtx
	c := context.Background()
	var o session.Observer
	if n := testing.AllocsPerRun(100, func() {
		in, end := tr.Request(c, &ctx, "/")
		in = tr.Connection(in)
		_, done := tr.Work(in, "x")
		done(nil)
		end()
		tr.Observe(&o)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if o.Traced != nil || o.Loading != nil {
		t.Error("sessions measure for nobody")
	}
}
