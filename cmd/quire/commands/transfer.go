package commands

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"quire/cmd/quire/form"
	"quire/cmd/quire/remote"
)

// bundleType is the content type of a document with its whole history.
const bundleType = "application/vnd.quire.bundle"

// export writes a document into a file.
func (p *Program) export() *builder {
	b := p.new("export DOC[@POINT] FILE|-", "write a document into a file; with all its history as a bundle", "quire export notes notes.quire\nquire export notes notes.txt\nquire export notes - --format markdown", cobra.ExactArgs(2))
	format := formatFlag(b, "bundle")
	return b.does("pf", func(c *call) error {
		id, at, _ := splitPoint(c.args[0])
		name := c.args[1]
		kind, err := exportKind(*format, name)
		if err != nil {
			return err
		}
		var bytes int64
		switch kind {
		case "bundle":
			bytes, err = c.exportBundle(id, at, name)
		default:
			var content string
			if content, _, err = read(c, id, at, kind); err == nil {
				bytes, err = c.write(name, strings.NewReader(content))
			}
		}
		if err != nil || name == "-" {
			return err
		}
		return c.done(map[string]any{"id": id, "file": name, "format": kind, "bytes": bytes}, "Wrote %s (%s).", name, size(bytes))
	})
}

// exportKind is the form that is meant: the one named, or what the file's name tells of.
func exportKind(format, name string) (string, error) {
	if format == "bundle" {
		return format, nil
	}
	f, err := form.Named(format, name)
	if err != nil {
		return "", &Error{Usage, err}
	}
	switch ext := strings.ToLower(filepath.Ext(name)); {
	case f != form.None:
		return string(f), nil
	case ext == ".txt":
		return "text", nil
	case isBundle(name):
		return "bundle", nil
	}
	return "", Errorf(Usage, "what is wanted in %s? Say --format bundle (everything, with the history), text, markdown, html, delta or json", name)
}

func isBundle(name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, ".gz"))
	return strings.HasSuffix(name, ".quire") || strings.HasSuffix(name, ".bundle")
}

// exportBundle writes a bundle, compressed when the name ends in .gz.
func (c *call) exportBundle(id string, at remote.Point, name string) (int64, error) {
	body, _, err := c.Raw(c.ctx, id, at, "bundle")
	if err != nil {
		return 0, err
	}
	defer body.Close()
	if !strings.HasSuffix(strings.ToLower(name), ".gz") {
		return c.write(name, body)
	}
	r, w := io.Pipe()
	defer r.Close()
	go func() {
		z := gzip.NewWriter(w)
		_, err := io.Copy(z, body)
		if err == nil {
			err = z.Close()
		}
		w.CloseWithError(err)
	}()
	return c.write(name, r)
}

// write puts what r gives into a file, which is there only when it is whole; "-" is out.
func (c *call) write(name string, r io.Reader) (int64, error) {
	if name == "-" {
		return io.Copy(c.out, r)
	}
	return WriteFile(name, 0o644, func(f *os.File) error {
		_, err := io.Copy(f, &counted{Reader: r, c: c, size: -1})
		c.progressed()
		return err
	})
}

// counted tells people how much was read.
type counted struct {
	io.Reader
	c    *call
	size int64 // of all; -1: not known
	n    int64
	told int64
}

func (r *counted) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if r.n += int64(n); r.n-r.told >= 1<<20 {
		r.told = r.n
		if r.size > 0 {
			r.c.progress("%s of %s", size(r.n), size(r.size))
		} else {
			r.c.progress("%s", size(r.n))
		}
	}
	return n, err
}

// WriteFile makes a file of what fill writes, with the permissions of mode before the umask: a new one beside
// it that is synced and then takes its name. It returns the size. A file of that name is
// replaced.
func WriteFile(name string, mode os.FileMode, fill func(f *os.File) error) (n int64, err error) {
	f, err := os.OpenFile(name+".part", os.O_RDWR|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return 0, fileError(err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if err = fill(f); err != nil {
		return 0, err
	}
	if n, err = f.Seek(0, io.SeekEnd); err != nil {
		return 0, err
	}
	if err = f.Sync(); err != nil {
		return 0, err
	}
	if err = f.Close(); err != nil {
		return 0, err
	}
	if err = os.Rename(f.Name(), name); err != nil {
		return 0, err
	}
	if folder, err := os.Open(filepath.Dir(name)); err == nil {
		_ = folder.Sync() // not every file system can
		folder.Close()
	}
	return n, nil
}

// importDoc makes a document of a file.
func (p *Program) importDoc() *builder {
	b := p.new("import FILE|-", "make a new document of a file or a bundle", "quire import notes.quire\nquire import report.md --id report --type delta", cobra.ExactArgs(1))
	id := b.cmd.Flags().String("id", "", "`id` of the document (default the file's name, or the bundle's document)")
	typ := typeFlag(b)
	title := b.cmd.Flags().String("title", "", "`title` of the document")
	format := formatFlag(b, "bundle")
	return b.does("f", func(c *call) error {
		name := c.args[0]
		n := remote.New{ID: *id, Type: *typ, Title: *title}
		d, err := c.importFile(n, *format, name)
		if err != nil {
			return err
		}
		if !c.json && !c.people { // a script wants to know the id
			fmt.Fprintln(c.out, d.ID)
		}
		return c.done(d, "Made %s, %s, at revision %d.", plain(d.ID), d.Type, d.Rev)
	})
}

func (c *call) importFile(n remote.New, format, name string) (remote.Doc, error) {
	if format == "bundle" || format == "" && isBundle(name) {
		return c.importBundle(n, name)
	}
	f, err := form.Named(format, name)
	if err != nil {
		return remote.Doc{}, &Error{Usage, err}
	}
	data, err := c.readInput(name)
	if err != nil {
		return remote.Doc{}, err
	}
	if n.ID == "" && name != "-" {
		base := filepath.Base(name)
		n.ID = strings.TrimSuffix(base, filepath.Ext(base))
	}
	return create(c, n, f, name, data)
}

func (c *call) importBundle(n remote.New, name string) (remote.Doc, error) {
	var in io.Reader
	if name == "-" {
		in = c.in()
	} else {
		f, err := os.Open(name)
		if err != nil {
			return remote.Doc{}, fileError(err)
		}
		defer f.Close()
		in = f
	}
	encoding := ""
	if strings.HasSuffix(strings.ToLower(name), ".gz") {
		encoding = "gzip"
	}
	defer c.progressed()
	return c.Import(c.ctx, n, bundleType, encoding, &counted{Reader: in, c: c, size: -1})
}
