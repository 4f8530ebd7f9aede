package soak

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// sight is what clients saw of the faults.
type sight struct {
	cuts    atomic.Int64 // connections that ended
	unsaved atomic.Int64 // "not saved" shown

	mu      sync.Mutex
	refusal map[string]int
	tally   map[string]int // of what a scenario counts
	slowest time.Duration  // the longest time between two acknowledgements of a client
}

func (s *sight) status(saved bool) {
	if !saved {
		s.unsaved.Add(1)
	}
}

func (s *sight) refused(code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refusal == nil {
		s.refusal = map[string]int{}
	}
	s.refusal[code]++
}

// count adds to what a scenario counts.
func (s *sight) count(what string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tally == nil {
		s.tally = map[string]int{}
	}
	s.tally[what] += n
}

func (s *sight) waited(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slowest = max(s.slowest, d)
}

// add adds what was seen in another round.
func (s *sight) add(o *sight) {
	s.cuts.Add(o.cuts.Load())
	s.unsaved.Add(o.unsaved.Load())
	o.mu.Lock()
	defer o.mu.Unlock()
	for code, n := range o.refusal {
		for range n {
			s.refused(code)
		}
	}
	for what, n := range o.tally {
		s.count(what, n)
	}
	s.waited(o.slowest)
}

// String says it in a few words.
func (s *sight) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	parts := []string{fmt.Sprintf("%d reconnections", s.cuts.Load())}
	if n := s.unsaved.Load(); n > 0 {
		parts = append(parts, fmt.Sprintf("“not saved” %d times", n))
	}
	var codes []string
	for code, n := range s.refusal {
		codes = append(codes, fmt.Sprintf("%s %d times", code, n))
	}
	for what, n := range s.tally {
		codes = append(codes, fmt.Sprintf("%s: %d", what, n))
	}
	slices.Sort(codes)
	parts = append(parts, codes...)
	return strings.Join(append(parts, fmt.Sprintf("longest wait for an acknowledgement %.1f s", s.slowest.Seconds())), ", ")
}
