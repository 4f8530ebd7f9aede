// Package commands is Quire's command line for people and scripts: what it offers works on a
// server, or on a data folder that no server has, which is then served in this process.
package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"quire/cmd/quire/remote"
)

// Program is what the commands have around them. All fields but Terminal and ErrTerminal
// are required.
type Program struct {
	In       io.Reader
	Out, Err io.Writer
	// Environ is the environment, as "NAME=value".
	Environ []string
	// Terminal and ErrTerminal say whether a person looks at Out and Err.
	Terminal, ErrTerminal bool
	// Serve serves a data folder in this process, on connections that dial makes, until stop,
	// which waits for what is under way. It is an *Error when there is no such folder or
	// a server has it.
	Serve func(ctx context.Context, folder string) (dial func() (net.Conn, error), stop func() error, err error)
}

// flags are those that every command on documents has.
type flags struct {
	server, data  string
	color, author string
	tokenFile     string
	json          bool
	timeout       time.Duration
}

const defaultServer = "http://127.0.0.1:8080"

// Env returns a variable of the environment, "" when it is not set.
func (p *Program) Env(name string) string {
	for _, kv := range p.Environ {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			return v
		}
	}
	return ""
}

// Commands returns the commands on documents.
func (p *Program) Commands() []*cobra.Command {
	build := []func() *builder{
		p.ls, p.cat, p.put, p.log, p.diff, p.blame, p.restore, p.revert, p.label, p.rm, p.export, p.importDoc, p.sync,
	}
	var all []*cobra.Command
	for _, b := range build {
		all = append(all, b().cmd)
	}
	return all
}

// builder is a command with its flags.
type builder struct {
	p   *Program
	cmd *cobra.Command
	flags
}

// Call is one run of a command that Program.Command made.
type Call struct {
	call
	// Ctx ends when the command is to stop; Args are its arguments.
	Ctx  context.Context
	Args []string
	// Folder is what --data says.
	Folder string
}

// At makes the call talk to another server.
func (c *Call) At(url string) error {
	url, err := checkURL(url)
	c.URL = url
	return err
}

// Err is where to say what has to be known.
func (c *Call) Err() io.Writer { return c.p.Err }

// JSON reports whether JSON is to be printed.
func (c *Call) JSON() bool { return c.json }

// Report prints v as JSON, or the text.
func (c *Call) Report(v any, format string, args ...any) error {
	if c.json {
		return c.line(v)
	}
	fmt.Fprintf(c.out, format+"\n", args...)
	return nil
}

// Say prints a sentence, except among JSON.
func (c *Call) Say(text string) {
	if !c.json {
		fmt.Fprintln(c.out, text)
	}
}

// Done reports a result: v as JSON, or the text to people.
func (c *Call) Done(v any, format string, args ...any) error { return c.done(v, format, args...) }

// Progress tells people what is being done, in the place of what it told before, and
// Progressed takes that away.
func (c *Call) Progress(format string, args ...any) { c.progress(format, args...) }

// Progressed ends what Progress tells.
func (c *Call) Progressed() { c.progressed() }

// Counting returns r, telling people how much was read of size, -1 when that is not known.
func (c *Call) Counting(r io.Reader, size int64) io.Reader {
	return &counted{Reader: r, c: &c.call, size: size}
}

// Where says what a command talks to.
type Where int

// What commands talk to.
const (
	Remote Where = iota // a server, or a data folder that is served in this process
	Folder              // files only; --data names a folder
	Local               // files only
)

// Command makes a command of another package. do is run with what the flags say.
func (p *Program) Command(use, short, example string, where Where, args cobra.PositionalArgs, do func(*Call) error) *cobra.Command {
	b := &builder{p: p, cmd: &cobra.Command{Use: use, Short: short, Example: example, GroupID: "data", Args: args}}
	b.clientFlags(b.cmd, where)
	b.cmd.RunE = b.run(where, func(c *call) error { return do(&Call{*c, c.ctx, c.args, b.data}) })
	return b.cmd
}

// call is one run of a command.
type call struct {
	*remote.Client
	printer
	p    *Program
	ctx  context.Context
	args []string
}

// new begins a command. use is its name and arguments, as in help.
func (p *Program) new(use, short, example string, args cobra.PositionalArgs) *builder {
	b := &builder{p: p, cmd: &cobra.Command{Use: use, Short: short, Example: example, GroupID: "docs"}}
	b.cmd.Args = func(cmd *cobra.Command, given []string) error {
		if err := args(cmd, given); err != nil {
			return Errorf(Usage, "usage: %s", cmd.UseLine())
		}
		return nil
	}
	return b
}

// does sets what the command does; words says what its arguments are, see complete.
func (b *builder) does(words string, do func(c *call) error) *builder {
	b.clientFlags(b.cmd, Remote)
	args := b.cmd.Args
	b.cmd.Args = func(cmd *cobra.Command, given []string) error {
		for i, arg := range given {
			if arg == "" && kindOf(words, i) != 'x' && kindOf(words, i) != 'b' {
				return Errorf(Usage, "argument %d is empty; usage: %s", i+1, cmd.UseLine())
			}
		}
		return args(cmd, given)
	}
	b.cmd.RunE = b.run(Remote, do)
	b.cmd.ValidArgsFunction = b.complete(words)
	return b
}

// run opens what the command talks to, and closes it after.
func (b *builder) run(where Where, do func(c *call) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) (err error) {
		pr, err := b.p.printer(b.color, b.json)
		if err != nil {
			return err
		}
		c := &call{nil, pr, b.p, cmd.Context(), args}
		if where == Remote {
			client, stop, err := b.open(cmd.Context())
			if err != nil {
				return err
			}
			c.Client = client
			defer func() { err = first(err, stop()) }()
		}
		return first(do(c), pr.flush())
	}
}

// first returns the first error that there is.
func first(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func (b *builder) clientFlags(cmd *cobra.Command, where Where) {
	fs := cmd.Flags()
	fs.StringVar(&b.color, "color", "auto", "`when` to use colour: auto, always or never")
	fs.BoolVar(&b.json, "json", false, "print JSON, one object a line")
	_ = cmd.RegisterFlagCompletionFunc("color", cobra.FixedCompletions([]string{"auto", "always", "never"}, cobra.ShellCompDirectiveNoFileComp))
	if where != Local {
		fs.StringVar(&b.data, "data", "", "data `folder` to work on, while no server has it")
		_ = cmd.MarkFlagDirname("data")
	}
	if where != Remote {
		return
	}
	fs.StringVar(&b.server, "server", "", "`URL` of the server (default $QUIRE_SERVER, else "+defaultServer+")")
	fs.StringVar(&b.author, "author", "", "`name` that edits are recorded under (default $QUIRE_AUTHOR, else the user's)")
	fs.StringVar(&b.tokenFile, "token-file", "", TokenFileUsage)
	fs.DurationVar(&b.timeout, "timeout", 30*time.Second, "most `time` without any progress")
}

// open makes the client, and returns how to let go of what it talks to.
func (b *builder) open(ctx context.Context) (*remote.Client, func() error, error) {
	if b.timeout <= 0 {
		return nil, nil, Errorf(Usage, "--timeout is %v; it has to be more than 0", b.timeout)
	}
	if b.data != "" && b.server != "" {
		return nil, nil, Errorf(Usage, "say --server or --data, not both")
	}
	c := &remote.Client{Patience: b.timeout, Author: b.name(), HTTP: &http.Client{CheckRedirect: stay}}
	// Nothing is compressed on the way unless it is asked for, and proxies are the environment's.
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableCompression: true, DialContext: (&net.Dialer{Timeout: b.timeout}).DialContext, TLSHandshakeTimeout: b.timeout}
	c.HTTP.Transport = transport
	if b.data == "" {
		var err error
		if c.URL, err = b.address(); err != nil {
			return nil, nil, err
		}
		if c.Token, err = b.p.Token(b.tokenFile); err != nil {
			return nil, nil, err
		}
		return c, func() error { transport.CloseIdleConnections(); return nil }, nil
	}
	dial, stop, err := b.p.Serve(ctx, b.data)
	if err != nil {
		return nil, nil, err
	}
	c.URL = "http://data-folder"
	transport.Proxy = nil
	transport.DialContext = func(context.Context, string, string) (net.Conn, error) { return dial() }
	return c, func() error { transport.CloseIdleConnections(); return stop() }, nil
}

// TokenFileUsage explains the flag --token-file.
const TokenFileUsage = "`file` with the token that says who asks (default $QUIRE_TOKEN_FILE, else the token in $QUIRE_TOKEN)"

// Token returns what says who asks: what is in a file, of this name or else of the one that
// $QUIRE_TOKEN_FILE has, else what $QUIRE_TOKEN has. It is empty for servers that ask nobody.
func (p *Program) Token(name string) (string, error) {
	if name == "" {
		name = p.Env("QUIRE_TOKEN_FILE")
	}
	token := p.Env("QUIRE_TOKEN")
	if name != "" {
		data, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) {
			return "", Errorf(NotFound, "the token cannot be read: %v", err)
		} else if err != nil {
			return "", Errorf(Failed, "the token cannot be read: %v", err)
		}
		token = string(data)
	}
	token = strings.TrimSpace(token)
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", Errorf(Usage, "what should be a token is not one: it has a space or a sign that is not ASCII")
	}
	return token, nil
}

// stay refuses to follow redirects: a server of Quire sends none, and an edit sent elsewhere
// is not what was asked for.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// address is the server's URL.
func (b *builder) address() (string, error) {
	s := b.server
	if s == "" {
		s = b.p.Env("QUIRE_SERVER")
	}
	if s == "" {
		s = defaultServer
	}
	return checkURL(s)
}

// checkURL returns a server's URL without a slash at the end.
func checkURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return "", Errorf(Usage, "the server is %q; it has to be a URL such as %s", s, defaultServer)
	}
	return strings.TrimRight(s, "/"), nil
}

// name is who edits.
func (b *builder) name() string {
	if b.author != "" {
		return b.author
	}
	if n := b.p.Env("QUIRE_AUTHOR"); n != "" {
		return n
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return b.p.Env("USER")
}

// kindOf returns what an argument is, of words, which has a letter for each: d for a document, p for one
// with a point in its past, b for the beginning of such, f for a file, n for a name, x for one that may be
// empty; the last goes on.
func kindOf(words string, i int) byte { return words[min(i, len(words)-1)] }

// complete completes arguments, which words tells of.
func (b *builder) complete(words string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		kind := kindOf(words, len(args))
		switch kind {
		case 'f':
			return nil, cobra.ShellCompDirectiveDefault
		case 'n', 'x':
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		b.timeout = 2 * time.Second // a shell is waiting
		client, stop, err := b.open(cmd.Context())
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		defer func() { _ = stop() }()
		docs, _, err := client.List(cmd.Context(), begun, "", 200)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var ids []string
		for _, d := range docs {
			ids = append(ids, cobra.CompletionWithDesc(d.ID, d.Type))
		}
		directive := cobra.ShellCompDirectiveNoFileComp
		if kind == 'p' {
			directive |= cobra.ShellCompDirectiveNoSpace
		}
		return ids, directive
	}
}

// in is the program's In until the call is to stop: a read of a terminal or a pipe does not end by itself then.
func (c *call) in() io.Reader {
	r, w := io.Pipe()
	context.AfterFunc(c.ctx, func() { w.CloseWithError(context.Cause(c.ctx)) })
	go func() {
		_, err := io.Copy(w, c.p.In)
		w.CloseWithError(err)
	}()
	return r
}

// readInput reads a file, or in for "-".
func (c *call) readInput(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(c.in())
	}
	data, err := os.ReadFile(name)
	return data, fileError(err)
}

// fileError gives an error of a file its exit code.
func fileError(err error) error {
	if os.IsNotExist(err) {
		return &Error{NotFound, err}
	}
	return err
}
