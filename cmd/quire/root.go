package main

import (
	"errors"
	"flag"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"quire/cmd/quire/commands"
	"quire/cmd/quire/top"
)

// newRoot makes the tree of all commands.
func newRoot(p *commands.Program) *cobra.Command {
	root := &cobra.Command{
		Use:           "quire",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			hint := ";"
			if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
				hint = fmt.Sprintf(", did you mean %s?", strings.Join(like, " or "))
			}
			return usageError(fmt.Sprintf("there is no command %q%s quire help lists them", args[0], hint))
		},
		Run: func(cmd *cobra.Command, args []string) { rootHelp(cmd) },
	}
	root.SetIn(p.In)
	root.SetOut(p.Out)
	root.SetErr(p.Err)
	root.SuggestionsMinimumDistance = 2
	root.AddGroup(&cobra.Group{ID: "serve", Title: "The server:"}, &cobra.Group{ID: "docs", Title: "Documents:"}, &cobra.Group{ID: "data", Title: "Data:"})
	root.AddCommand(serverCommands(p)...)
	root.AddCommand(authCommands(p)...)
	root.AddCommand(p.Commands()...)
	root.AddCommand(dataCommands(p)...)
	root.AddCommand(&cobra.Command{
		Use: "version", Short: "print the version", Args: cobra.ArbitraryArgs,
		Run: func(*cobra.Command, []string) { fmt.Fprintln(p.Out, "quire", version()) },
	})
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "completion":
			c.Short = "print a script by which a shell completes commands, flags and documents"
		case "help":
			c.Short = "say more of a command"
		}
		if !c.Runnable() {
			c.Args, c.RunE = cobra.ArbitraryArgs, needsCommand
		}
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		var bad *pflag.InvalidValueError
		if errors.As(err, &bad) {
			f := bad.GetFlag()
			err = fmt.Errorf("--%s is %q; it has to be a %s", f.Name, bad.GetValue(), kindOfFlag(f))
		}
		return usageError(fmt.Sprintf("%v; quire help %s lists the flags", err, strings.TrimPrefix(cmd.CommandPath(), "quire ")))
	})
	perCommand := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if cmd == root {
			rootHelp(cmd)
		} else {
			perCommand(cmd, args)
		}
	})
	return root
}

// needsCommand is what a command does that has others and was given none of them.
func needsCommand(cmd *cobra.Command, args []string) error {
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	what := strings.TrimPrefix(cmd.CommandPath(), "quire ")
	if len(args) > 0 {
		return usageError(fmt.Sprintf("quire %s has no command %q; it has %s", what, args[0], strings.Join(names, ", ")))
	}
	return usageError(fmt.Sprintf("quire %s needs one of its commands: %s", what, strings.Join(names, ", ")))
}

// kindOfFlag says what values a flag takes.
func kindOfFlag(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "duration":
		return "time such as 500ms, 30s or 5m"
	case "bool":
		return "word: true or false"
	}
	return "number"
}

// rootHelp lists the commands and the server's settings.
func rootHelp(root *cobra.Command) {
	out := root.OutOrStdout()
	fmt.Fprint(out, "Quire: collaborative editing of documents, every acknowledged edit on disk.\n\n")
	for _, g := range append(root.Groups(), &cobra.Group{Title: "More:"}) {
		fmt.Fprintln(out, g.Title)
		for _, c := range root.Commands() {
			if c.GroupID == g.ID && (c.IsAvailableCommand() || c.Name() == "help") {
				fmt.Fprintf(out, "  quire %-32s %s\n", c.Use, c.Short)
			}
		}
		fmt.Fprintln(out)
	}
	fmt.Fprint(out, "quire help COMMAND says more. Commands on documents talk to the server at --server URL, or\n",
		"$QUIRE_SERVER; with --data FOLDER to a data folder that no server has.\n\n")
	usage(out, (&Config{}).flags())
}

// serverCommands are those that serve and measure. They read their flags themselves.
func serverCommands(p *commands.Program) []*cobra.Command {
	own := func(use, short string, run func(cmd *cobra.Command, args []string) error) *cobra.Command {
		c := &cobra.Command{Use: use, Short: short, GroupID: "serve", DisableFlagParsing: true, RunE: run}
		c.SetHelpFunc(func(cmd *cobra.Command, _ []string) { _ = run(cmd, []string{"--help"}) })
		return c
	}
	serveCmd := own("serve [flags]", `serve documents; this is what "quire" alone does`, func(cmd *cobra.Command, args []string) error {
		return serve(cmd.Context(), args, p.Environ, p.Out, p.Err)
	})
	checkconfig := own("checkconfig [flags]", "print the settings that would be in force", func(_ *cobra.Command, args []string) error {
		c, err := settings(args, p.Environ, p.Out)
		if err == nil {
			c.print(p.Out)
		}
		return err
	})
	healthCmd := own("health [flags]", "ask the server of a data folder, or an address, whether it is ready", func(cmd *cobra.Command, args []string) error {
		return health(cmd.Context(), args, p.Environ, p.Out)
	})
	for _, c := range []*cobra.Command{serveCmd, checkconfig, healthCmd} {
		c.ValidArgsFunction = completeSettings
	}
	benchCmd := own("bench KIND [flags]", `measure a server, a running one or its own; "quire bench help" says more`, func(cmd *cobra.Command, args []string) error {
		return bench(cmd.Context(), args, p)
	})
	benchCmd.ValidArgsFunction = cobra.FixedCompletions([]string{"hot", "fanout", "many", "idle", "replay", "catchup", "open", "history", "raw"}, cobra.ShellCompDirectiveNoFileComp)
	soakCmd := own("soak [flags]", "disturb a server of its own in every way, and verify that nothing is lost", func(cmd *cobra.Command, args []string) error {
		return runSoak(cmd.Context(), args, p.Out, p.Err)
	})
	return []*cobra.Command{serveCmd, checkconfig, healthCmd, benchCmd, soakCmd, top.Command(p)}
}

// completeSettings completes the names of the server's settings.
func completeSettings(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	if !strings.HasPrefix(begun, "-") {
		return nil, cobra.ShellCompDirectiveDefault
	}
	names := []string{cobra.CompletionWithDesc("--config", "file with settings")}
	(&Config{}).flags().VisitAll(func(f *flag.Flag) {
		_, help := flag.UnquoteUsage(f)
		names = append(names, cobra.CompletionWithDesc("--"+f.Name, help))
	})
	return names, cobra.ShellCompDirectiveNoFileComp
}
