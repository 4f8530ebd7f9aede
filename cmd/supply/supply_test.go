package main

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestLicences holds that everything in the program may be given away with it.
func TestLicences(t *testing.T) {
	t.Chdir("../..")
	var out bytes.Buffer
	if err := run([]string{"licences"}, &out); err != nil {
		t.Error(err)
	}
	t.Logf("\n%s", &out)
}

// TestOtherLicences refuses what is not allowed, and what is not recognized.
func TestOtherLicences(t *testing.T) {
	for text, want := range map[string][]string{
		"Permission is hereby\n granted, free of charge, to any person obtaining a copy":                       {"MIT"},
		"Redistribution and use in source and binary forms … Neither the name of":                              {"BSD-3-Clause"},
		"Redistribution and use in source and binary forms, with or without":                                   {"BSD-2-Clause"},
		"Apache License\n Version 2.0, January 2004":                                                           {"Apache-2.0"},
		"Licensed under the Apache License, Version 2.0; parts under the GNU General Public License":           {"Apache-2.0", "GPL"},
		"GNU LESSER GENERAL PUBLIC LICENSE":                                                                    {"LGPL"},
		"All rights reserved.":                                                                                 nil,
		"Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee": {"ISC"},
	} {
		got := recognize(text)
		if !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
		err := licences([]part{{name: "example.org/x", licences: got}}, &bytes.Buffer{})
		ok := len(got) > 0 && !slices.ContainsFunc(got, func(l string) bool { return strings.HasSuffix(l, "GPL") })
		if (err == nil) != ok {
			t.Errorf("%v: %v", got, err)
		}
	}
}

// TestBill checks the shape of the bill of materials against CycloneDX 1.5, and its content against go.mod and
// the lock file.
func TestBill(t *testing.T) {
	t.Chdir("../..")
	var out, again bytes.Buffer
	for _, b := range []*bytes.Buffer{&out, &again} {
		if err := run([]string{"sbom"}, b); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(out.Bytes(), again.Bytes()) {
		t.Error("made twice it differs")
	}
	var d document
	dec := json.NewDecoder(bytes.NewReader(out.Bytes()))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		t.Fatal(err)
	}
	uuid := regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	if d.Format != "CycloneDX" || d.Spec != "1.5" || d.Version != 1 || !uuid.MatchString(d.Serial) || d.Metadata.Component.Type != "application" {
		t.Errorf("the head is %+v", d)
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	lock, err := os.ReadFile("web/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	purl := regexp.MustCompile(`^pkg:(golang|npm)/[\w.~%/-]+@[\w.+-]+$`)
	sha512 := regexp.MustCompile(`^[0-9a-f]{128}$`)
	refs := map[string]bool{"quire": true}
	for _, c := range d.Components {
		if refs[c.Ref] || !purl.MatchString(c.PURL) || c.Type != "library" || c.Name == "" || c.Version == "" || len(c.Licences) == 0 {
			t.Errorf("component %+v", c)
		}
		refs[c.Ref] = true
		npm := strings.HasPrefix(c.PURL, "pkg:npm/")
		switch {
		case npm && (len(c.Hashes) != 1 || c.Hashes[0].Algorithm != "SHA-512" || !sha512.MatchString(c.Hashes[0].Content)):
			t.Errorf("%s: hashes %v", c.Name, c.Hashes)
		case npm && !strings.Contains(string(lock), `"node_modules/`+c.Name+`"`),
			!npm && c.Name != "std" && !strings.Contains(string(mod), "\t"+c.Name+" "+c.Version):
			t.Errorf("%s %s is named nowhere", c.Name, c.Version)
		}
	}
	for _, want := range []string{"fasthttp", "bbolt", "quill", "pkg:npm/%40codemirror/view@", "pkg:golang/std@"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s is missing", want)
		}
	}
	for _, never := range []string{"playwright", "rapid", "goleak"} {
		if strings.Contains(out.String(), never) {
			t.Errorf("%s is only for tests", never)
		}
	}
	if len(d.Dependencies) != len(refs) || d.Dependencies[0].Ref != "quire" || len(d.Dependencies[0].DependsOn) != len(d.Components) {
		t.Errorf("%d dependencies of %d components", len(d.Dependencies), len(d.Components))
	}
	for _, dep := range d.Dependencies {
		for _, ref := range append(dep.DependsOn, dep.Ref) {
			if !refs[ref] {
				t.Errorf("there is no %s", ref)
			}
		}
	}
	if err := run([]string{"nothing"}, &out); err == nil {
		t.Error("anything is done")
	}
}
