package query

import (
	"context"
	"fmt"
	"testing"

	"quire/ot"
	"quire/ot/json0"
	"quire/session"
	"quire/storage/mem"
)

// BenchmarkUpdate is one edit of one of 10,000 documents of a sorted live result, until
// each of 100 connections knows where it has moved to.
func BenchmarkUpdate(b *testing.B) {
	m := session.New(session.Options{Store: mem.New(), Types: []ot.Type{json0.Type{}}})
	defer m.Close(context.Background())
	e := New(Options{Sessions: m, Codec: codec{}})
	defer e.Close()
	ctx := context.Background()
	for i := range 10000 {
		if _, err := m.Create(ctx, fmt.Sprintf("cats/%05d", i), "json0", fmt.Appendf(nil, `{"n":%d,"name":"a cat"}`, i), session.User{}); err != nil {
			b.Fatal(err)
		}
	}
	q, refusal := Parse([]byte(`{"sort":[["n",1]]}`))
	if refusal != nil {
		b.Fatal(refusal)
	}
	news := make(chan struct{}, 100)
	var conns []*Conn
	for range 100 {
		c := e.Connect(func() { news <- struct{}{} }, All)
		defer c.Close()
		if refusal := c.Subscribe(Request{ID: "1", Collection: "cats", Query: q}); refusal != nil {
			b.Fatal(refusal)
		}
		conns = append(conns, c)
		<-news
	}
	sub, _, err := m.Open(ctx, session.OpenRequest{Convention: session.Versioned, Doc: "cats/05000", Client: "c", Notify: func() {}})
	if err != nil {
		b.Fatal(err)
	}
	defer sub.Close()
	for i := 0; b.Loop(); i++ {
		op, err := json0.Type{}.DecodeOp(fmt.Appendf(nil, `[{"oi":%d,"p":["n"]}]`, i%2*20000), ot.Limits{})
		if err != nil {
			b.Fatal(err)
		}
		if err := sub.Change(ctx, session.Change{Base: session.Head, Seq: uint64(i) + 1, Type: json0.Type{}, Op: op}); err != nil {
			b.Fatal(err)
		}
		for range conns {
			<-news
		}
		for _, c := range conns {
			if _, err := c.Take(); err != nil {
				b.Fatal(err)
			}
		}
	}
}
