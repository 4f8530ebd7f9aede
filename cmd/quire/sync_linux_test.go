package main

import (
	"math/rand/v2"
	"os"
	"os/exec"
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
			listen := freeAddr(t) // nobody else is given it while the server is away
			m, url, done := start(t, "--data", data, "--listen", listen)
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
				next := func() string {
					words = append(words, makeWord(len(words)))
					return words[len(words)-1]
				}
				p.saveWord(random, ways, next())
				for range random.IntN(3) {
					word := next()
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
					p.saveWord(random, nil, next())
					p.noted("away", n)
					m, _, done = start(t, "--data", data, "--listen", listen)
				}
			}
			p.until("both to be the same", func([]mirror.Note) bool {
				content, err := os.ReadFile(p.file)
				return err == nil && string(content) == p.doc()
			})
			p.halt()
			text := p.doc()
			defer func() {
				if t.Failed() {
					t.Logf("the text: %s\nnotes: %+v", text, p.notes)
				}
			}()
			for _, w := range append(words, p.replacements...) {
				if n := strings.Count(text, w); !p.right(w, n) {
					t.Errorf("%q is there %d times", w, n)
				}
			}
			m.Close()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// makeWord returns word n: three characters that are in no other, so that there is one way only in which
// two texts with words can differ.
func makeWord(n int) string {
	first := rune(0x4E00 + 3*n)
	return string([]rune{first, first + 1, first + 2})
}

// insertWord puts a word where a word may be: not inside another, and one that ends a line on a line of
// its own.
func insertWord(random *rand.Rand, s, word string) string {
	text := []rune(s)
	at := random.IntN(len(text) + 1)
	for at > 0 && (text[at-1] >= 0x4E00 && (text[at-1]-0x4E00)%3 != 2 || strings.HasSuffix(word, "\n") && text[at-1] != '\n') {
		at--
	}
	return string(text[:at]) + word + string(text[at:])
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
	there, err := os.ReadFile(p.file)
	expected := string(there)
	content := insertWord(random, expected, word)
	for err == nil {
		if err = os.WriteFile(temp, []byte(content), 0o644); err != nil {
			break
		}
		if err = unix.Renameat2(unix.AT_FDCWD, temp, unix.AT_FDCWD, p.file, unix.RENAME_EXCHANGE); err != nil {
			break
		}
		if there, err = os.ReadFile(temp); err == nil && string(there) == expected {
			err = os.Remove(temp)
			break
		}
		// It had been written meanwhile: save again, on that, with a word of its own, so that the two saves can be told apart.
		expected, content = content, string(there)
		if !strings.Contains(content, word) {
			p.replaced[word] = true
			word = makeWord(firstReplacement+len(p.replaced)) + word[len(strings.TrimSpace(word)):]
			p.replacements = append(p.replacements, word)
			content = insertWord(random, content, word)
		}
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// firstReplacement is the number of the first word that the editor saves in place of another.
const firstReplacement = 5000

// right reports whether a word may be there so many times: once, or not at all when the editor saved another in its place.
func (p *place) right(word string, n int) bool { return n == 1 || n == 0 && p.replaced[word] }

// killWhileSyncing starts quire sync and kills it, at any moment, while words are put into the file and the
// document. It returns the words: lines, since what two people did to hundreds of characters of one line cannot
// always be told apart.
func killWhileSyncing(t *testing.T, p *place, args []string) (words []string) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 2))
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for range 25 {
		cmd := exec.Command(exe, args...)
		cmd.Env = append(os.Environ(), asServer+"=1")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for range 4 {
			words = append(words, makeWord(len(words))+"\n", makeWord(len(words)+1)+"\n")
			p.saveWord(random, nil, words[len(words)-2])
			p.edit(func(s string) string { return insertWord(random, s, words[len(words)-1]) })
			time.Sleep(time.Duration(random.IntN(80)) * time.Millisecond) // a kill may come at any moment
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
	}
	return words
}
