//go:build !unix || solaris || illumos || aix || netbsd || openbsd

package main

import "errors"

// space returns how many bytes the file system of a folder has left for this process, and
// in all.
func space(string) (free, total int64, err error) { return 0, 0, errors.ErrUnsupported }
