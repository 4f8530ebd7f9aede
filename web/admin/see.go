package admin

import (
	"cmp"
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"quire/session"
	"quire/web/metrics"
	"quire/web/ws"
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
	Latency      metrics.Latencies `json:"latency"`
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

// Session is a document in memory.
type Session struct {
	Doc     string           `json:"doc"`
	Type    string           `json:"type"`
	Head    session.Revision `json:"head"`
	Oldest  session.Revision `json:"oldest"`
	Size    int              `json:"size_bytes"`
	Memory  int              `json:"memory_bytes"`
	Readers int              `json:"readers"` // on how many connections it is open without an edit
	Writers int              `json:"writers"` // and with one
	Rate    float64          `json:"operations_per_second"`
	Unsaved int64            `json:"unsaved_operations"`
	Edited  string           `json:"edited"`
	// Failures is how many writes failed in a row, Why the reason of the last one.
	Failures int    `json:"failures,omitempty"`
	Why      string `json:"why,omitempty"`
}

func sessionOf(a *session.Activity) Session {
	return Session{
		Doc: a.Doc, Type: a.Type, Head: a.Head, Oldest: a.Oldest, Size: a.Size, Memory: a.Memory,
		Readers: a.Places - a.Writers, Writers: a.Writers, Rate: round(a.Rate), Unsaved: int64(a.UnsavedOps), Edited: stamp(a.Edited),
		Failures: a.Failures, Why: a.Failure,
	}
}

func round(rate float64) float64 { return math.Round(rate*100) / 100 }

// maxFailing is how many failing documents the status lists.
const maxFailing = 20

func (a *API) status(*call) (int, any, error) {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	s := Status{
		Version: a.opt.Version, Started: stamp(a.started), Uptime: math.Round(time.Since(a.started).Seconds()), Ready: true,
		Memory:      Memory{Heap: mem.HeapAlloc, System: mem.Sys - mem.HeapReleased, Goroutines: runtime.NumGoroutine()},
		Connections: len(a.opt.Sockets.Statuses()), Streams: a.opt.Streams(), Failing: []Session{}, Latency: a.opt.Latency(), Limits: a.opt.Limits,
	}
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		s.Memory.Limit = limit
	}
	if err := a.opt.Ready(); err != nil {
		s.Ready, s.Why = false, err.Error()
	}
	if a.opt.Disk != nil {
		if d, err := a.opt.Disk(); err != nil {
			a.opt.Logger.Warn("cannot tell how much disk there is", "err", err)
		} else {
			s.Disk = &d
		}
	}
	for _, x := range a.opt.Manager.Activities() {
		s.Sessions++
		s.Places += x.Places
		s.Memory.Sessions += x.Memory
		s.Rate += x.Rate
		if x.UnsavedOps > 0 {
			s.Unsaved++
		}
		if x.Failures > 0 {
			if s.FailingCount++; len(s.Failing) < maxFailing {
				s.Failing = append(s.Failing, sessionOf(&x))
			}
		}
	}
	s.Rate = round(s.Rate)
	return fasthttp.StatusOK, s, nil
}

// Most and default entries in a list.
const (
	someEntries = 100
	maxEntries  = 1000
)

// Sessions answers what documents in memory are doing: the first of them in an order, and
// how many there are.
type Sessions struct {
	Sessions []Session `json:"sessions"`
	Total    int       `json:"total"`
}

func (a *API) sessions(c *call) (int, any, error) {
	by, err := c.by("rate", "memory", "readers", "doc")
	if err != nil {
		return 0, nil, err
	}
	limit, err := c.limit(someEntries, maxEntries)
	if err != nil {
		return 0, nil, err
	}
	all := a.opt.Manager.Activities()
	slices.SortFunc(all, func(x, y session.Activity) int {
		order := 0
		switch by {
		case "rate":
			order = cmp.Or(cmp.Compare(round(y.Rate), round(x.Rate)), cmp.Compare(y.Places, x.Places))
		case "memory":
			order = cmp.Compare(y.Memory, x.Memory)
		case "readers":
			order = cmp.Compare(y.Places, x.Places)
		}
		return cmp.Or(order, strings.Compare(x.Doc, y.Doc))
	})
	out := Sessions{Sessions: []Session{}, Total: len(all)}
	for i := range all[:min(limit, len(all))] {
		out.Sessions = append(out.Sessions, sessionOf(&all[i]))
	}
	return fasthttp.StatusOK, out, nil
}

// Connection is a WebSocket.
type Connection struct {
	// ID is the id of the request that it began with.
	ID       string `json:"id"`
	Address  string `json:"address"`
	Protocol string `json:"protocol"`
	Author   string `json:"author"`
	// Name is what the author is called, where that is something else.
	Name      string `json:"name,omitempty"`
	Namespace string `json:"namespace"`
	Since     string `json:"since"`
	Sent      int64  `json:"sent_bytes"`
	Received  int64  `json:"received_bytes"`
	Messages  int64  `json:"received_messages"`
	// Docs are documents that are open on it, the first of them; DocCount is how many.
	Docs     []string `json:"docs"`
	DocCount int      `json:"doc_count"`
}

// maxDocs is how many documents of a connection are listed.
const maxDocs = 20

func connectionOf(st *ws.Status) Connection {
	k := Connection{
		ID: st.ID, Address: st.Remote.String(), Since: stamp(st.Since), Sent: st.Sent, Received: st.Received, Messages: st.Messages, Docs: []string{},
	}
	if p, ok := st.Handler.(Peer); ok {
		who := p.Who()
		k.Protocol, k.Author, k.Namespace = p.Protocol(), who.Author, who.Namespace
		if name := p.Name(); name != who.Author {
			k.Name = name
		}
		docs := p.Documents()
		k.Docs, k.DocCount = append(k.Docs, docs[:min(maxDocs, len(docs))]...), len(docs)
	}
	return k
}

// Connections answers who is connected: the first in an order, and how many there are.
type Connections struct {
	Connections []Connection `json:"connections"`
	Total       int          `json:"total"`
}

func (a *API) connections(c *call) (int, any, error) {
	by, err := c.by("since", "sent", "received")
	if err != nil {
		return 0, nil, err
	}
	limit, err := c.limit(someEntries, maxEntries)
	if err != nil {
		return 0, nil, err
	}
	doc, author := string(c.ctx.QueryArgs().Peek("doc")), string(c.ctx.QueryArgs().Peek("author"))
	all := slices.DeleteFunc(a.opt.Sockets.Statuses(), func(st ws.Status) bool {
		p, ok := st.Handler.(Peer)
		return author != "" && (!ok || p.Who().Author != author) || doc != "" && (!ok || !slices.Contains(p.Documents(), doc))
	})
	slices.SortFunc(all, func(x, y ws.Status) int {
		order := 0
		switch by {
		case "since":
			order = x.Since.Compare(y.Since)
		case "sent":
			order = cmp.Compare(y.Sent, x.Sent)
		case "received":
			order = cmp.Compare(y.Received, x.Received)
		}
		return cmp.Or(order, strings.Compare(x.ID, y.ID))
	})
	out := Connections{Connections: []Connection{}, Total: len(all)}
	for i := range all[:min(limit, len(all))] {
		out.Connections = append(out.Connections, connectionOf(&all[i]))
	}
	return fasthttp.StatusOK, out, nil
}

// Doc is a document, in memory or not.
type Doc struct {
	ID       string           `json:"id"`
	Type     string           `json:"type"`
	Head     session.Revision `json:"head"`
	Oldest   session.Revision `json:"oldest"`
	Created  string           `json:"created"`
	Modified string           `json:"modified"`
	// Session is what it is doing in memory; null when it is not there.
	Session *Session `json:"session"`
}

// Docs are documents in byte order of their ids; Next is what to give as after for more.
type Docs struct {
	Docs []Doc  `json:"docs"`
	Next string `json:"next,omitempty"`
}

func (a *API) docs(c *call) (int, any, error) {
	limit, err := c.limit(someEntries, maxEntries)
	if err != nil {
		return 0, nil, err
	}
	args := c.ctx.QueryArgs()
	infos, err := a.opt.Manager.List(c.c, string(args.Peek("prefix")), string(args.Peek("after")), limit)
	if err != nil {
		return 0, nil, err
	}
	loaded := map[string]*session.Activity{}
	all := a.opt.Manager.Activities()
	for i := range all {
		loaded[all[i].Doc] = &all[i]
	}
	out := Docs{Docs: []Doc{}}
	for _, info := range infos {
		d := Doc{
			ID: info.ID, Type: info.Type, Head: info.Head, Oldest: info.Oldest,
			Created: stamp(time.UnixMilli(info.Created)), Modified: stamp(time.UnixMilli(info.Modified)),
		}
		if x := loaded[info.ID]; x != nil {
			s := sessionOf(x)
			d.Session = &s
		}
		out.Docs = append(out.Docs, d)
	}
	if len(infos) == limit {
		out.Next = infos[limit-1].ID
	}
	return fasthttp.StatusOK, out, nil
}
