package main

import (
	"strings"
	"testing"
	"time"

	"quire/session"
)

func TestHistoryKeep(t *testing.T) {
	for text, want := range map[string]session.Keep{
		"":             {},
		"90d":          {Age: 90 * 24 * time.Hour},
		"12h":          {Age: 12 * time.Hour},
		"1h30m":        {Age: 90 * time.Minute},
		"10000":        {Count: 10_000},
		"90d,10000":    {Age: 90 * 24 * time.Hour, Count: 10_000},
		" 10000 , 90d": {Age: 90 * 24 * time.Hour, Count: 10_000},
	} {
		var k historyKeep
		if err := k.UnmarshalText([]byte(text)); err != nil || session.Keep(k) != want {
			t.Errorf("%q: %+v, %v", text, k, err)
		}
		var again historyKeep
		if out, err := k.MarshalText(); err != nil || again.UnmarshalText(out) != nil || again != k {
			t.Errorf("%q is written as %q, %v", text, out, err)
		}
	}
	for _, text := range []string{"x", "0", "-1", "0d", "-1d", "1s", "1,2", "1d,2d", "d", "1e9d", "99999999999999999999", "36501d", "1 d"} {
		var k historyKeep
		if err := k.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), text[strings.LastIndex(text, ",")+1:]) || k != (historyKeep{}) {
			t.Errorf("%q: %+v, %v", text, k, err)
		}
	}
	_, err := configure([]string{"--history-keep", "ever"}, nil, nil)
	if err == nil || !strings.Contains(err.Error(), "history-keep") {
		t.Errorf("a wrong setting: %v", err)
	}
}
