package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// part is a module or package that is in the program.
type part struct {
	name, version string
	purl          string   // https://github.com/package-url/purl-spec
	licences      []string // SPDX identifiers, sorted
	sha512        string   // of what is downloaded, in hexadecimal; may be empty
}

// goModules returns the modules whose packages are linked into the program as it is delivered, and
// Go's own library.
func goModules(root string) ([]part, error) {
	library, err := licencesOf(runtime.GOROOT())
	if err != nil {
		return nil, err
	}
	version := strings.TrimPrefix(runtime.Version(), "go")
	parts := []part{{name: "std", version: version, purl: "pkg:golang/std@" + version, licences: library}}
	seen := map[string]bool{}
	cmd := exec.Command("go", "list", "-deps", "-json=Module", "./cmd/quire")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS=linux", "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			Module *struct {
				Path, Version, Dir string
				Main               bool
			}
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		m := p.Module
		if m == nil || m.Main || seen[m.Path] {
			continue
		}
		seen[m.Path] = true
		found, err := licencesOf(m.Dir)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.Path, err)
		}
		parts = append(parts, part{name: m.Path, version: m.Version, purl: "pkg:golang/" + m.Path + "@" + m.Version, licences: found})
	}
	slices.SortFunc(parts, func(a, b part) int { return strings.Compare(a.name, b.name) })
	return parts, nil
}

// licencesOf returns the licences of the files for them at the top of a folder.
func licencesOf(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		name := strings.ToUpper(e.Name())
		if e.IsDir() || !strings.HasPrefix(name, "LICEN") && !strings.HasPrefix(name, "COPYING") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			return nil, err
		}
		out = append(out, recognize(string(text))...)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// marks are sentences by which licences are recognized. Those of licences that are not allowed are here, too,
// so that one beside an allowed one is not overlooked.
var marks = []struct{ spdx, sentence string }{
	{"Apache-2.0", "apache license version 2.0"},
	{"MIT", "permission is hereby granted, free of charge, to any person obtaining a copy"},
	{"ISC", "permission to use, copy, modify, and/or distribute this software for any purpose"},
	{"MPL-2.0", "mozilla public license"},
	{"LGPL", "gnu lesser general public license"},
	{"AGPL", "gnu affero general public license"},
	{"GPL", "gnu general public license"},
	{"EPL", "eclipse public license"},
	{"SSPL", "server side public license"},
	{"BUSL", "business source license"},
}

// recognize returns the licences that a text is, or has.
func recognize(text string) []string {
	text = strings.ToLower(strings.Join(strings.Fields(text), " "))
	text = strings.ReplaceAll(text, "license, version", "license version")
	var out []string
	for _, m := range marks {
		if strings.Contains(text, m.sentence) {
			out = append(out, m.spdx)
		}
	}
	if strings.Contains(text, "redistribution and use in source and binary forms") {
		if strings.Contains(text, "neither the name") {
			out = append(out, "BSD-3-Clause")
		} else {
			out = append(out, "BSD-2-Clause")
		}
	}
	return out
}

// npmPackages returns the packages that may be in the page's bundle: those of a lock file that are not
// for development alone.
func npmPackages(lock string) ([]part, error) {
	data, err := os.ReadFile(lock)
	if err != nil {
		return nil, err
	}
	var file struct {
		Packages map[string]struct {
			Version, License, Integrity string
			Dev                         bool
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", lock, err)
	}
	var parts []part
	for path, p := range file.Packages {
		at := strings.LastIndex(path, "node_modules/")
		if at < 0 || p.Dev {
			continue
		}
		name := path[at+len("node_modules/"):]
		out := part{name: name, version: p.Version, purl: "pkg:npm/" + strings.Replace(url.PathEscape(name), "%2F", "/", 1) + "@" + p.Version}
		out.purl = strings.Replace(out.purl, "pkg:npm/@", "pkg:npm/%40", 1)
		if p.License != "" {
			out.licences = []string{p.License}
		}
		if sum, ok := strings.CutPrefix(p.Integrity, "sha512-"); ok {
			raw, err := base64.StdEncoding.DecodeString(sum)
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", lock, name, err)
			}
			out.sha512 = hex.EncodeToString(raw)
		}
		parts = append(parts, out)
	}
	slices.SortFunc(parts, func(a, b part) int { return strings.Compare(a.purl, b.purl) })
	return parts, nil
}
