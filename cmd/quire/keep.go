package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"quire/session"
)

// historyKeep is how much of every document's past is kept, as a setting: an age such as 90d or 12h, a number of
// revisions, both with a comma between, or nothing for all.
type historyKeep session.Keep

const (
	day = 24 * time.Hour
	// maxKeepDays is the longest age, in days, that can be asked for.
	maxKeepDays = 100 * 365
)

// MarshalText writes the setting as UnmarshalText reads it.
func (k historyKeep) MarshalText() ([]byte, error) {
	var parts []string
	switch {
	case k.Age > 0 && k.Age%day == 0:
		parts = append(parts, fmt.Sprintf("%dd", k.Age/day))
	case k.Age > 0:
		parts = append(parts, k.Age.String())
	}
	if k.Count > 0 {
		parts = append(parts, strconv.Itoa(k.Count))
	}
	return []byte(strings.Join(parts, ",")), nil
}

// UnmarshalText reads the setting.
func (k *historyKeep) UnmarshalText(text []byte) error {
	var out historyKeep
	for _, part := range splitList(string(text)) {
		n, err := strconv.Atoi(part)
		if err == nil {
			if out.Count != 0 || n < 1 {
				return fmt.Errorf("%q: a number of revisions is 1 or more, and given once", part)
			}
			out.Count = n
			continue
		}
		age, err := parseAge(part)
		if err != nil || out.Age != 0 || age < time.Minute {
			return fmt.Errorf("%q: it reads 90d (or 12h, 30m: a minute or more), 10000 (revisions), 90d,10000, or nothing to keep all", part)
		}
		out.Age = age
	}
	*k = out
	return nil
}

// parseAge reads a time that may be in days.
func parseAge(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 || n > maxKeepDays {
			return 0, fmt.Errorf("%q is not a number of days up to %d", s, maxKeepDays)
		}
		return time.Duration(n) * day, nil
	}
	return time.ParseDuration(s)
}
