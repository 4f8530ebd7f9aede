//go:build !linux && !darwin && !freebsd

package bolt

// freeDisk would return how many bytes may be written to a folder's disk; here the system
// is not asked, and a full disk is an error of writing.
func freeDisk(string) (bytes int64, ok bool) { return 0, false }
