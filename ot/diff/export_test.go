package diff

// Changed is how many tokens edits take out and put in.
var Changed = changed

// Match is the search for differences, with a budget of its own.
func Match(a, b []rune, unique bool) []edit { return match(a, b, unique, nil, newBudget()) }

// Edited returns a after edits, in bytes, that take what they put in from b.
func Edited(a, b string, edits []edit) (out string) {
	at := 0
	for _, e := range edits {
		out += a[at:e.Start] + b[e.ReplStart:e.ReplEnd]
		at = e.End
	}
	return out + a[at:]
}
