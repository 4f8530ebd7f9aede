//go:build !linux

package bench

import (
	"errors"
	"io/fs"
	"os/exec"
	"path/filepath"
	"time"
)

// cpus returns nil: CPUs cannot be told apart here.
func cpus() []int { return nil }

func pinSelf(int) error { return errors.New("processes cannot be pinned to a CPU on this system") }

// startPinned starts a process; it cannot pin it.
func startPinned(cmd *exec.Cmd, _ int) error { return cmd.Start() }

// ownCPU returns 0: not known here.
func ownCPU() time.Duration { return 0 }

// diskSize returns the length of the files in a folder in bytes.
func diskSize(folder string) (size int64, err error) {
	err = filepath.WalkDir(folder, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	return size, err
}

func forget(string) error { return errors.New("files cannot be dropped from the system's cache here") }
