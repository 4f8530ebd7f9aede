package json0

// SetMaxWork changes the bound on what one operation may copy and returns the function
// that puts the old one back.
func SetMaxWork(n int) (restore func()) {
	old := maxWork
	maxWork = n
	return func() { maxWork = old }
}
