package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"quire/cmd/quire/mirror"
)

// TestSyncTogether saves the file in every way while others edit the document, and while the sync and
// the server stop and start again. Every word that anybody writes has to be there once.
func TestSyncTogether(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	for _, c := range []struct {
		name             string
		restart, reserve int // every so many rounds
	}{{name: "both edit"}, {name: "sync restarts", restart: 4}, {name: "server restarts", reserve: 12}, {name: "both restart", restart: 5, reserve: 13}} {
		t.Run(c.name, func(t *testing.T) {
			t.Logf("seed %d", seed)
			data := t.TempDir()
			m, url, done := start(t, "--data", data)
			listen := strings.Trim(strings.TrimPrefix(url, "http://"), "/")
			p := newPlace(t, url, "notes.txt", "together")
			p.make("text", "begin\n\n\nend\n")
			p.run()
			p.same("begin\n\n\nend\n")
			random := rand.New(rand.NewPCG(seed, 1))
			var ways []func(string, string) error
			for _, save := range saves {
				ways = append(ways, save)
			}
			var words []string
			for round := range 40 {
				word := fmt.Sprintf("l%d ", round)
				words = append(words, word)
				p.saveWord(random, ways, word)
				for range random.IntN(3) {
					word := fmt.Sprintf("r%d.%d ", round, len(words))
					words = append(words, word)
					p.edit(func(s string) string { return insertWord(random, s, word) })
				}
				if c.restart > 0 && round%c.restart == 0 {
					p.halt()
					p.run()
				}
				if c.reserve > 0 && round%c.reserve == 3 {
					n := p.count()
					m.Close()
					if err := <-done; err != nil {
						t.Fatal(err)
					}
					words = append(words, "off"+word)
					p.saveWord(random, nil, "off"+word)
					p.noted("away", n)
					m, _, done = start(t, "--data", data, "--listen", listen)
				}
			}
			p.until("both to be the same", func([]mirror.Note) bool {
				content, err := os.ReadFile(p.file)
				return err == nil && string(content) == p.doc() && strings.Count(string(content), "l39 ") > 0
			})
			p.halt()
			text := p.doc()
			defer func() {
				if t.Failed() {
					t.Logf("the text: %s\nnotes: %+v", text, p.notes)
				}
			}()
			for _, w := range words {
				if strings.Count(" "+strings.ReplaceAll(text, "\n", " "), " "+w) != 1 {
					t.Errorf("%q is there %d times", w, strings.Count(text, w))
				}
			}
			m.Close()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// insertWord puts a word where a word may be.
func insertWord(random *rand.Rand, s, word string) string {
	at := random.IntN(len(s) + 1)
	for at > 0 && s[at-1] != ' ' && s[at-1] != '\n' {
		at--
	}
	return s[:at] + word + s[at:]
}

// saveWord puts a word into the file as an editor does that never writes over what it has not
// seen. Whole files can be put in place of each other at any time; to write into the file
// itself, nothing must be on its way.
func (p *place) saveWord(random *rand.Rand, ways []func(string, string) error, word string) {
	p.t.Helper()
	if ways != nil && random.IntN(2) == 0 {
		var content string
		p.until("quiet", func([]mirror.Note) bool {
			c, err := os.ReadFile(p.file)
			content = string(c)
			return err == nil && content == p.doc()
		})
		if err := ways[random.IntN(len(ways))](p.file, insertWord(random, content, word)); err != nil {
			p.t.Fatal(err)
		}
		return
	}
	temp := p.file + ".tmp~"
	content, err := os.ReadFile(p.file)
	for err == nil {
		if err = os.WriteFile(temp, []byte(insertWord(random, string(content), word)), 0o644); err != nil {
			break
		}
		if err = unix.Renameat2(unix.AT_FDCWD, temp, unix.AT_FDCWD, p.file, unix.RENAME_EXCHANGE); err != nil {
			break
		}
		var was []byte
		if was, err = os.ReadFile(temp); err == nil && string(was) == string(content) {
			err = os.Remove(temp)
			break
		}
		content = was // it had been written meanwhile: save again, on that
	}
	if err != nil {
		p.t.Fatal(err)
	}
}
