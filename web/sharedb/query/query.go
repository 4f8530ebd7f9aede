package query

import (
	"fmt"
	"slices"
	"strings"

	"quire/ot/jsonscan"
	"quire/ot/jsonvalue"
	"quire/web/sharedb/wire"
)

// supported is what a refusal tells the client.
const supported = `supported are {} for the whole collection, {"filter":{field:value}} with strings, numbers, booleans and null, and {"sort":[[field,1|-1]]}, on top-level fields of json0 documents`

// maxTerms bounds the fields of a filter and of a sort, each; maxQuery the bytes of a query, which
// lasts as long as its subscription.
const (
	maxTerms = 32
	maxQuery = 16 << 10
)

// Query is what is asked of a collection. It is immutable.
//
// A document that has content is in the result when it has each field of the filter with
// an equal value: of the same JSON type, as JavaScript's === compares them. So a field
// that is missing is not null. Only json0 documents whose content is an object have
// fields; a filter without fields lets everything in.
//
// A result is in the order of the sort's fields, each ascending (1) or descending (-1),
// and documents equal in these are in the byte order of their ids; without a sort all
// are. The values of a field stand in this order: missing, null, false, true, numbers,
// strings by their UTF-16 code units as JavaScript compares them, lists, objects; two
// lists or two objects count as equal.
type Query struct {
	filter []jsonvalue.Member // by name
	sort   []term
	key    string
}

type term struct {
	field string
	down  bool
}

// Parse reads the "q" of a message: JSON, where nothing at all and null are the query for
// the whole collection. Absent and null members count the same. It fails with
// CodeUnsupported for anything that Query does not say, CodeLimit past 16 KiB.
func Parse(data []byte) (*Query, *wire.Error) {
	q := &Query{}
	if len(data) > maxQuery {
		return nil, wire.Errorf(wire.CodeLimit, "A query of %d bytes, limit %d", len(data), maxQuery)
	}
	if in := jsonscan.New(data); in.Peek() == 0 {
		data = []byte("null")
	}
	v, err := jsonvalue.Parse(data, 8)
	if err != nil {
		return nil, unsupported("the query is not plain JSON")
	}
	if v != nil {
		o, ok := v.(*jsonvalue.Object)
		if !ok {
			return nil, unsupported("the query is not an object")
		}
		for i := range o.Len() {
			m := o.Member(i)
			var err *wire.Error
			switch m.Name {
			case "filter":
				err = q.readFilter(m.Value)
			case "sort":
				err = q.readSort(m.Value)
			default:
				err = unsupported("the query has the member %q", m.Name)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	q.key = q.canonical()
	return q, nil
}

func unsupported(format string, args ...any) *wire.Error {
	return wire.Errorf(wire.CodeUnsupported, "Unsupported query: %s; %s", fmt.Sprintf(format, args...), supported)
}

func checkField(name string) *wire.Error {
	if name == "" || len(name) > 256 || strings.Contains(name, ".") || strings.HasPrefix(name, "$") {
		return unsupported("%.256q is not the name of a top-level field", name)
	}
	return nil
}

func (q *Query) readFilter(v jsonvalue.Value) *wire.Error {
	o, ok := v.(*jsonvalue.Object)
	if !ok && v != nil {
		return unsupported("the filter is not an object")
	}
	for i := 0; o != nil && i < o.Len(); i++ {
		m := o.Member(i)
		if err := checkField(m.Name); err != nil {
			return err
		}
		switch m.Value.(type) {
		case *jsonvalue.Object, *jsonvalue.List:
			return unsupported("the filter compares %q with an object or a list", m.Name)
		}
		q.filter = append(q.filter, m)
	}
	if len(q.filter) > maxTerms {
		return unsupported("the filter has %d fields, limit %d", len(q.filter), maxTerms)
	}
	return nil
}

func (q *Query) readSort(v jsonvalue.Value) *wire.Error {
	l, ok := v.(*jsonvalue.List)
	if !ok && v != nil {
		return unsupported("the sort is not a list")
	}
	for i := 0; l != nil && i < l.Len(); i++ {
		pair, ok := l.At(i).(*jsonvalue.List)
		if !ok || pair.Len() != 2 || pair.At(1) != 1.0 && pair.At(1) != -1.0 {
			return unsupported("the sort is not of pairs of a field and 1 or -1")
		}
		field, ok := pair.At(0).(string)
		if !ok {
			return unsupported("the sort has a field that is not a string")
		}
		if err := checkField(field); err != nil {
			return err
		}
		if !slices.ContainsFunc(q.sort, func(t term) bool { return t.field == field }) { // a second time it decides nothing
			q.sort = append(q.sort, term{field, pair.At(1) == -1.0})
		}
	}
	if len(q.sort) > maxTerms {
		return unsupported("the sort has %d fields, limit %d", len(q.sort), maxTerms)
	}
	return nil
}

// canonical returns the query as JSON that all queries of the same meaning share.
func (q *Query) canonical() string {
	members := []jsonvalue.Member{}
	if len(q.filter) > 0 {
		members = append(members, jsonvalue.Member{Name: "filter", Value: jsonvalue.NewObject(slices.Clone(q.filter))})
	}
	if len(q.sort) > 0 {
		terms := make([]jsonvalue.Value, len(q.sort))
		for i, t := range q.sort {
			direction := 1.0
			if t.down {
				direction = -1
			}
			terms[i] = jsonvalue.NewList([]jsonvalue.Value{t.field, direction})
		}
		members = append(members, jsonvalue.Member{Name: "sort", Value: jsonvalue.NewList(terms)})
	}
	return string(jsonvalue.Append(nil, jsonvalue.NewObject(members)))
}

// String returns the query as canonical JSON: the same for queries of the same meaning.
func (q *Query) String() string { return q.key }

// matches reports whether a document that has content is in the result.
func (q *Query) matches(s *Snapshot) bool {
	for _, m := range q.filter {
		v, ok := s.object.Get(m.Name)
		if !ok || !jsonvalue.Equal(v, m.Value) {
			return false
		}
	}
	return true
}

// compare orders two documents of a result; 0 means that they are one document.
func (q *Query) compare(a, b *Snapshot) int {
	for _, t := range q.sort {
		if c := compareFields(a, b, t.field); c != 0 {
			if t.down {
				return -c
			}
			return c
		}
	}
	return strings.Compare(a.ID, b.ID)
}

func compareFields(a, b *Snapshot, field string) int {
	v, there := a.object.Get(field)
	w, thereToo := b.object.Get(field)
	if r := rank(v, there) - rank(w, thereToo); r != 0 {
		return r
	}
	switch v := v.(type) {
	case float64:
		w := w.(float64)
		switch {
		case v < w:
			return -1
		case v > w:
			return 1
		}
	case string:
		return jsonvalue.CompareNames(v, w.(string))
	}
	return 0
}

// rank is where the values of a kind stand among the others.
func rank(v jsonvalue.Value, there bool) int {
	switch v := v.(type) {
	case nil:
		if !there {
			return 0
		}
		return 1
	case bool:
		if !v {
			return 2
		}
		return 3
	case float64:
		return 4
	case string:
		return 5
	case *jsonvalue.List:
		return 6
	}
	return 7
}
