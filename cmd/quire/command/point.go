package command

import (
	"strconv"
	"strings"
	"time"

	"quire/cmd/quire/remote"
)

// timeForms are how a time may be written, in the local zone unless it says another.
var timeForms = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02",
}

// parseTime reads a time: one of timeForms, a time of day (today), or a duration: so long ago.
func parseTime(s string, now time.Time) (time.Time, bool) {
	for _, form := range timeForms {
		if t, err := time.ParseInLocation(form, s, time.Local); err == nil {
			return t, true
		}
	}
	for _, form := range []string{"15:04:05", "15:04"} {
		if t, err := time.ParseInLocation(form, s, time.Local); err == nil {
			y, m, d := now.Local().Date()
			return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), 0, time.Local), true
		}
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n < 1_000_000 {
			return now.AddDate(0, 0, -n), true
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), true
	}
	return time.Time{}, false
}

// ParseTime reads a time as the command line takes it: RFC 3339 or a part of it, a time of day, or
// how long ago.
func ParseTime(s string) (time.Time, bool) { return parseTime(s, time.Now()) }

// parsePoint reads what is after the @: a revision, a time or a label; nothing, or head, is the head. A
// label that reads like one of the others is written label:NAME.
func parsePoint(s string) remote.Point {
	if name, ok := strings.CutPrefix(s, "label:"); ok {
		return remote.Point{Label: name}
	}
	if s == "" || s == "head" {
		return remote.Point{}
	}
	if rev, err := strconv.ParseInt(s, 10, 64); err == nil {
		return remote.AtRev(rev)
	}
	if t, ok := ParseTime(s); ok {
		return remote.Point{At: t}
	}
	return remote.Point{Label: s}
}

// splitPoint reads DOC or DOC@POINT, at the last @.
func splitPoint(s string) (doc string, at remote.Point, given bool) {
	i := strings.LastIndexByte(s, '@')
	if i < 0 {
		return s, remote.Point{}, false
	}
	return s[:i], parsePoint(s[i+1:]), true
}

// document reads the argument that names a document, where no point is expected. An id with an @
// in it is written with one more at its end wherever points are; here that is allowed too.
func document(s string) string {
	if id, ok := strings.CutSuffix(s, "@"); ok {
		return id
	}
	return s
}
