package top

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"quire/cmd/quire/commands"

	"quire/cmd/quire/remote"
)

const (
	strong = style("1")
	faint  = style("2")
	alarm  = style("1;31")
	header = style("7")
)

// style is a way to write, as a terminal has it.
type style string

// Render writes s that way.
func (st style) Render(s string) string { return "\x1b[" + string(st) + "m" + s + "\x1b[0m" }

// Table is a frame as text without colours, the whole of it.
func Table(f Frame) string {
	var b strings.Builder
	for _, line := range head(f) {
		fmt.Fprintln(&b, line)
	}
	for _, rows := range [][][]string{sessionRows(f.Sessions), connectionRows(f.Connections)} {
		fmt.Fprintln(&b)
		for _, line := range columns(rows, 0) {
			fmt.Fprintln(&b, line)
		}
	}
	return b.String()
}

// screen is what fits of a frame.
func (m *model) screen() []string {
	lines := head(m.frame)
	for i, line := range lines {
		switch {
		case i == 0:
			line = strong.Render(cut(line, m.width))
		case strings.HasPrefix(line, "!"):
			line = alarm.Render(cut(line, m.width))
		default:
			line = cut(line, m.width)
		}
		lines[i] = line
	}
	if m.failed != nil {
		lines = append(lines, alarm.Render(cut("! no answer since "+m.frame.at.Format("15:04:05")+": "+commands.Plain(m.failed.Error()), m.width)))
	}
	rows, order := sessionRows(m.frame.Sessions), m.by
	if m.conns {
		rows, order = connectionRows(m.frame.Connections), m.connBy
	}
	table := columns(rows, m.width)
	lines = append(lines, "", header.Render(pad(table[0], m.width)))
	room := m.height - len(lines) - 1
	body := table[1:]
	body = body[min(m.skip, len(body)):]
	lines = append(lines, body[:max(0, min(room, len(body)))]...)
	for len(lines) < m.height-1 {
		lines = append(lines, "")
	}
	lines = append(lines, faint.Render(cut("q ends · tab documents or connections · s order ("+order+") · ↑↓ scroll", m.width)))
	return lines[:min(len(lines), max(1, m.height))]
}

// head is what is so of the server as a whole; what is wrong begins with "!".
func head(f Frame) []string {
	s := &f.Status
	up := (time.Duration(s.Uptime) * time.Second).String()
	lines := []string{
		fmt.Sprintf("Quire %s, up %s, %s operations/s", commands.Plain(s.Version), up, number(s.Rate)),
		fmt.Sprintf("connections %d   streams %d   documents in memory %d   open %d times   unsaved %d", s.Connections, s.Streams, s.Sessions, s.Places, s.Unsaved),
		fmt.Sprintf("acknowledge %s   deliver %s   disk %s   (p50/p99 of the last %.0f s)", latency(s.Latency.Acknowledge), latency(s.Latency.Deliver), latency(s.Latency.Append), s.Latency.Acknowledge.Over),
		fmt.Sprintf("memory %s, of it documents %s%s   goroutines %d", size(int64(s.Memory.System)), size(int64(s.Memory.Sessions)), limitOf(s.Memory.Limit), s.Memory.Goroutines) + disk(s.Disk),
	}
	if !s.Ready {
		lines = append(lines, "! not ready: "+commands.Plain(s.Why))
	}
	for _, d := range s.Failing {
		lines = append(lines, fmt.Sprintf("! %s cannot be written, tried %d times: %s", commands.Plain(d.Doc), d.Failures, commands.Plain(d.Why)))
		if len(lines) > 8 {
			break
		}
	}
	return lines
}

func limitOf(n int64) string {
	if n == 0 {
		return ""
	}
	return ", limit " + size(n)
}

func disk(d *remote.Disk) string {
	if d == nil {
		return ""
	}
	return fmt.Sprintf("   data %s, free %s", size(d.File), size(d.Free))
}

func latency(l remote.Latency) string {
	if l.P50 == nil || l.P99 == nil {
		return "-"
	}
	return number(*l.P50) + "/" + number(*l.P99) + " ms"
}

func sessionRows(sessions []remote.Session) [][]string {
	rows := [][]string{{"DOCUMENT", "OPS/S", "READERS", "WRITERS", "REVISION", "SIZE", "MEMORY", "UNSAVED", "TYPE"}}
	for _, s := range sessions {
		rows = append(rows, []string{
			commands.Plain(s.Doc), number(s.Rate), fmt.Sprint(s.Readers), fmt.Sprint(s.Writers), fmt.Sprint(s.Head),
			size(int64(s.Size)), size(int64(s.Memory)), fmt.Sprint(s.Unsaved), s.Type,
		})
	}
	return rows
}

func connectionRows(conns []remote.Connection) [][]string {
	rows := [][]string{{"CONNECTION", "ADDRESS", "AUTHOR", "PROTOCOL", "SINCE", "SENT", "RECEIVED", "DOCUMENTS"}}
	for _, k := range conns {
		author := commands.Called(k.Author, k.Name)
		if author == "" {
			author = "-"
		}
		docs := fmt.Sprint(k.DocCount)
		if len(k.Docs) > 0 {
			docs += " " + commands.Plain(k.Docs[0])
		}
		since := k.Since
		if t, err := time.Parse(time.RFC3339, k.Since); err == nil {
			since = t.Local().Format("01-02 15:04:05")
		}
		rows = append(rows, []string{k.ID, k.Address, author, k.Protocol, since, size(k.Sent), size(k.Received), docs})
	}
	return rows
}

// maxCell is the most characters of a cell that others wrote.
const maxCell = 40

// columns lays rows out in columns; with a width, no line is longer.
func columns(rows [][]string, width int) []string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i := range row {
			row[i] = cut(row[i], maxCell)
			widths[i] = max(widths[i], uniseg.StringWidth(row[i]))
		}
	}
	lines := make([]string, len(rows))
	for n, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			if i == len(row)-1 {
				b.WriteString(cell)
				break
			}
			b.WriteString(pad(cell, widths[i]+2))
		}
		line := strings.TrimRight(b.String(), " ")
		if width > 0 {
			line = cut(line, width)
		}
		lines[n] = line
	}
	return lines
}

// pad fills s up to a width.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-uniseg.StringWidth(s)))
}

// cut shortens s to a width, 0 for none.
func cut(s string, width int) string {
	if width <= 0 || uniseg.StringWidth(s) <= width {
		return s
	}
	for uniseg.StringWidth(s) > width-1 && s != "" {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s + "…"
}

// number writes a number in a few digits.
func number(f float64) string {
	switch {
	case f == 0:
		return "0"
	case f < 10:
		return fmt.Sprintf("%.2f", f)
	case f < 100:
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.0f", f)
}

// size writes a number of bytes for people.
func size(n int64) string {
	const k = 1000
	switch {
	case n < 10*k:
		return fmt.Sprintf("%d B", n)
	case n < 10*k*k:
		return fmt.Sprintf("%d kB", n/k)
	case n < 10*k*k*k:
		return fmt.Sprintf("%d MB", n/(k*k))
	}
	return fmt.Sprintf("%d GB", n/(k*k*k))
}
