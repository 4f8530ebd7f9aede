package diff

// Match and Changed are the search for differences.
var (
	Match   = match
	Changed = changed
)

// Edited returns a after edits, in bytes, that take what they put in from b.
func Edited(a, b string, edits []edit) (out string) {
	at := 0
	for _, e := range edits {
		out += a[at:e.Start] + b[e.ReplStart:e.ReplEnd]
		at = e.End
	}
	return out + a[at:]
}
