package mirror

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"quire/cmd/quire/form"
)

// state is what is remembered beside the file, in .FILE.quire, so that a restart at any
// moment goes on where it was. It is always written after the file.
type state struct {
	// Version is 1.
	Version int `json:"version"`
	// Doc and Type are the document's.
	Doc  string `json:"doc"`
	Type string `json:"type"`
	// Form is the form that the file has it in.
	Form form.Form `json:"form"`
	// Base is the revision that the file has the content of, save for changes in the file since;
	// Sum is that content's.
	Base int64  `json:"base"`
	Sum  string `json:"sum"`
	// Sending is a change of the file on its way to the server, made on Base.
	Sending *sending `json:"sending,omitempty"`
	// Writing is what is about to be written into the file.
	Writing *writing `json:"writing,omitempty"`
}

// sending is an edit whose answer is not here yet. It is sent again until there is one.
type sending struct {
	Key     string `json:"key"`
	Author  string `json:"author"`
	Content string `json:"content"`
}

// writing says what is about to be written into the file, so that after a crash it can be told what was, see recover.
type writing struct {
	// Rev and Sum are the file's base after it.
	Rev int64  `json:"rev"`
	Sum string `json:"sum"`
	// Turn counts from 1. What is written in a turn after the first has what somebody saved just before the one
	// before merged in.
	Turn int `json:"turn"`
	// Was is the content that the file is to have before, Target the digest of the one after.
	Was    string `json:"was"`
	Target string `json:"target"`
}

// sum is a digest of content.
func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

// sumOf is the digest of what matters of content.
func (s *state) sumOf(content string) string { return sum(s.Form.Plain(content)) }

// begun reports whether there is a base.
func (s *state) begun() bool { return s.Version != 0 }

// statePath is where the state of a file is.
func statePath(file string) string {
	return filepath.Join(filepath.Dir(file), "."+filepath.Base(file)+".quire")
}

// load reads the state; it is not begun when there is none.
func (s *state) load(path string) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(data, s)
	}
	if err == nil && (s.Version != 1 || s.Doc == "" || s.Type == "" || s.Sum == "" || s.Base < 0) {
		err = errors.New("it is not of this version of quire")
	}
	if err != nil {
		return fmt.Errorf("what %s remembers cannot be read: %w; remove it to begin anew", path, err)
	}
	return nil
}

// save writes the state. It is durable on return.
func (s *state) save(path string) error {
	data, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings and numbers
	}
	if err := writeSynced(path+".new", append(data, '\n'), 0o600, nil); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncFolder(path)
}
