// Package page holds the browser's application, built from the TypeScript beside it
// by `npm run build` in the folder web.
package page

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Files returns the application's files: index.html, served for every page, and
// assets/, served under /assets/. The file system is read-only and safe for
// concurrent use.
func Files() fs.FS {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the name is a constant that the embed directive has checked
	}
	return files
}
