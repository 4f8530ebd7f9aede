// Command supply says what the program is made of besides its own sources: it checks the licences of all
// modules and packages that are in it, and writes them down as a CycloneDX bill of materials.
//
//	go run ./cmd/supply licences    fails when a licence is not one of those allowed
//	go run ./cmd/supply sbom        prints the bill of materials, JSON
//
// It is run at the top of the sources.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "supply:", err)
		os.Exit(1)
	}
}

// run does what args say and prints to out.
func run(args []string, out io.Writer) error {
	if len(args) != 1 || args[0] != "licences" && args[0] != "sbom" {
		return fmt.Errorf("usage: supply licences | sbom")
	}
	parts, err := goModules(".")
	if err != nil {
		return err
	}
	packages, err := npmPackages("web/package-lock.json")
	if err != nil {
		return err
	}
	parts = append(parts, packages...)
	if args[0] == "sbom" {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(bill(parts))
	}
	return licences(parts, out)
}

// allowed are the licences, by SPDX identifier, that parts may have: none asks for more than to be named.
var allowed = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT"}

// licences prints how many parts have which licence, and fails for what is not allowed.
func licences(parts []part, out io.Writer) error {
	count := map[string]int{}
	var bad []string
	for _, p := range parts {
		count[strings.Join(p.licences, " and ")]++
		if len(p.licences) == 0 {
			bad = append(bad, fmt.Sprintf("%s %s: no licence is recognized", p.name, p.version))
		}
		for _, l := range p.licences {
			if !slices.Contains(allowed, l) {
				bad = append(bad, fmt.Sprintf("%s %s: %s is not one of %s", p.name, p.version, l, strings.Join(allowed, ", ")))
			}
		}
	}
	if len(bad) > 0 {
		return fmt.Errorf("licences:\n%s", strings.Join(bad, "\n"))
	}
	names := make([]string, 0, len(count))
	for name := range count {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(out, "%4d %s\n", count[name], name)
	}
	return nil
}
