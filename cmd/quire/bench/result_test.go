package bench

import (
	"bytes"
	"testing"
)

func sample() *report {
	quire, raw := &result{target: "quire"}, &result{target: "raw, per frame"}
	quire.add("operations_per_second", "", 41234.5)
	quire.add("acknowledged_p50", "ms", 0.4567)
	raw.add("operations_per_second", "", 20617.25)
	return &report{kind: "hot", what: "Much was done.", machine: "A machine.", ratio: "operations_per_second", results: []*result{quire, raw}}
}

func TestReport(t *testing.T) {
	var out bytes.Buffer
	sample().text(&out)
	want := `Much was done.
A machine.

                                                        quire     raw, per frame
operations per second                                  41,234             20,617
acknowledged p50 (ms)                                  0.4567                  -
operations per second, quire to raw, per frame: 2.00
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	out.Reset()
	must(t, sample().lines(&out))
	want = `{"kind":"hot","what":"Much was done.","machine":"A machine.","target":"quire","figures":{"acknowledged_p50":0.4567,"operations_per_second":41234.5}}
{"kind":"hot","what":"Much was done.","machine":"A machine.","target":"raw, per frame","figures":{"operations_per_second":20617.25}}
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestShow(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 1: "1", 0.5: "0.5", 0.01234567: "0.01235", 999.94: "999.9", 1000: "1,000", 12345.6: "12,346", 1234567: "1,234,567", -1234: "-1,234", -0.25: "-0.25"} {
		if got := show(v); got != want {
			t.Errorf("%v is shown as %q, want %q", v, got, want)
		}
	}
}
