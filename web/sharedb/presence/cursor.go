package presence

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"unicode"

	"quire/ot/jsonscan"
	"quire/ot/jsonvalue"
	"quire/session"
)

// RichText is the URI of the one type whose documents have presence.
const RichText = "http://sharejs.org/types/rich-text/v1"

// FromPresence reads the value that a ShareDB client publishes in a rich-text document,
//
//	{"index":3,"length":5,"name":"Ada","color":"#c2410c"}
//
// as what session.Subscription.SetPresence takes: a cursor with that one selection, and
// the person when there is a name or a color that a session accepts. Other members are
// ignored, control characters in the name left out, and a name longer than maxName bytes
// is cut. null is a cursor without selections. It returns false for any other value,
// which means nothing to other protocols.
func FromPresence(value []byte, maxName int) (cursor []byte, user *session.User, ok bool) {
	v, err := jsonvalue.Parse(value, 0)
	if len(bytes.TrimSpace(value)) == 0 || err == nil && v == nil {
		return []byte("[]"), nil, true
	}
	o, isObject := v.(*jsonvalue.Object)
	if err != nil || !isObject {
		return nil, nil, false
	}
	index, ok1 := count(o, "index")
	length, ok2 := count(o, "length")
	if !ok1 || !ok2 {
		return nil, nil, false
	}
	cursor = strconv.AppendInt([]byte("[["), index, 10)
	cursor = strconv.AppendInt(append(cursor, ','), index+length, 10)
	u := session.User{Name: name(o, maxName), Color: color(o)}
	if u != (session.User{}) {
		user = &u
	}
	return append(cursor, "]]"...), user, true
}

// count reads a member that counts UTF-16 units.
func count(o *jsonvalue.Object, key string) (int64, bool) {
	v, _ := o.Get(key)
	f, ok := v.(float64)
	return int64(f), ok && f >= 0 && f <= math.MaxInt32 && f == math.Trunc(f)
}

func name(o *jsonvalue.Object, maxName int) string {
	v, _ := o.Get("name")
	s, _ := v.(string)
	var b strings.Builder
	for _, r := range s {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			continue
		}
		if b.Len()+len(string(r)) > maxName {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

func color(o *jsonvalue.Object) string {
	v, _ := o.Get("color")
	s, _ := v.(string)
	if len(s) != 7 || s[0] != '#' || strings.Trim(s[1:], "0123456789abcdefABCDEF") != "" {
		return ""
	}
	return s
}

// appendValue appends the value under which ShareDB clients see a person: the main
// selection of a cursor in JSON wire form, its start first, and who they are as far as
// that is known. It returns nil when there is no selection.
func appendValue(dst, cursor []byte, user session.User) []byte {
	in := jsonscan.New(cursor)
	var ends []int
	if in.Array(func() error {
		return in.Array(func() error {
			n, err := in.Int(math.MaxInt32)
			ends = append(ends, n)
			return err
		})
	}) != nil || len(ends) < 2 {
		return nil
	}
	start, end := min(ends[0], ends[1]), max(ends[0], ends[1])
	dst = strconv.AppendInt(append(dst, `{"index":`...), int64(start), 10)
	dst = strconv.AppendInt(append(dst, `,"length":`...), int64(end-start), 10)
	if user.Name != "" {
		dst = jsonscan.AppendString(append(dst, `,"name":`...), user.Name)
	}
	if user.Color != "" {
		dst = jsonscan.AppendString(append(dst, `,"color":`...), user.Color)
	}
	return append(dst, '}')
}

// Signed returns a value that FromPresence reads with a person's name in the place of the one
// that it has, if any; any other value as it is.
func Signed(value []byte, name string) []byte {
	v, err := jsonvalue.Parse(value, 0)
	o, ok := v.(*jsonvalue.Object)
	if err != nil || !ok {
		return value
	}
	if _, named := o.Get("name"); !named {
		return value
	}
	members := make([]jsonvalue.Member, o.Len())
	for i := range members {
		if members[i] = o.Member(i); members[i].Name == "name" {
			members[i].Value = name
		}
	}
	return jsonvalue.Append(nil, jsonvalue.NewObject(members))
}
