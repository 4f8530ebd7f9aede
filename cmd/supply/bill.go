package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
)

// The parts of a CycloneDX 1.5 document that are used (https://cyclonedx.org/docs/1.5/json/).
type (
	document struct {
		Format       string       `json:"bomFormat"`
		Spec         string       `json:"specVersion"`
		Serial       string       `json:"serialNumber"`
		Version      int          `json:"version"`
		Metadata     metadata     `json:"metadata"`
		Components   []component  `json:"components"`
		Dependencies []dependency `json:"dependencies"`
	}
	metadata struct {
		Component component `json:"component"`
	}
	component struct {
		Type     string    `json:"type"`
		Ref      string    `json:"bom-ref"`
		Name     string    `json:"name"`
		Version  string    `json:"version,omitempty"`
		PURL     string    `json:"purl,omitempty"`
		Hashes   []hash    `json:"hashes,omitempty"`
		Licences []licence `json:"licenses,omitempty"`
	}
	hash struct {
		Algorithm string `json:"alg"`
		Content   string `json:"content"`
	}
	licence struct {
		License struct {
			ID string `json:"id"`
		} `json:"license"`
	}
	dependency struct {
		Ref       string   `json:"ref"`
		DependsOn []string `json:"dependsOn,omitempty"`
	}
)

// bill returns the bill of materials of the program, the same for the same parts.
func bill(parts []part) *document {
	d := &document{
		Format: "CycloneDX", Spec: "1.5", Version: 1,
		Metadata: metadata{Component: component{Type: "application", Ref: "quire", Name: "quire"}},
	}
	root := dependency{Ref: "quire"}
	for _, p := range parts {
		c := component{Type: "library", Ref: p.purl, Name: p.name, Version: p.version, PURL: p.purl}
		if p.sha512 != "" {
			c.Hashes = []hash{{"SHA-512", p.sha512}}
		}
		for _, id := range p.licences {
			var l licence
			l.License.ID = id
			c.Licences = append(c.Licences, l)
		}
		d.Components = append(d.Components, c)
		root.DependsOn = append(root.DependsOn, c.Ref)
		d.Dependencies = append(d.Dependencies, dependency{Ref: c.Ref})
	}
	d.Dependencies = append([]dependency{root}, d.Dependencies...)
	// A UUID (version 8, RFC 9562) of the content, so that the same parts give the same bytes.
	content, _ := json.Marshal(d.Components) // nothing in it can fail
	sum := sha256.Sum256(content)
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	d.Serial = fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
	return d
}
