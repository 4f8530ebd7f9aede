package json0

import (
	"quire/ot"
	"quire/ot/jsonvalue"
	"quire/ot/redact"
	"quire/ot/text0"
	"quire/ot/units"
)

// Redact begins a redaction, as ot.Redactor says. It finds the secret in every string of
// every revision, however the string came about, and in the names of objects' members; and
// filler takes the place of each unit of an occurrence. Names that differ stay
// different: in them the filler is a character that no name has. It does not find what is
// spread over several strings or names, or written in numbers.
//
// What operations say that they delete is what is there then, or, where it was something else before,
// has filler in every occurrence.
func (Type) Redact(d ot.Doc, secret string) ot.Redaction {
	s := redact.New(secret)
	r := &redaction{
		values: redact.NewValues(s),
		marks:  &redact.Marks{},
		ids:    tree{rising: true},
		was:    &Doc{},
	}
	_ = r.See(Op{{Path: Path{}, Has: OI, Inserted: d.(*Doc).value}}) // fits
	return r
}

// redaction is an ot.Redaction.
type redaction struct {
	values *redact.Values
	marks  *redact.Marks
	ids    tree   // until Seen
	was    *Doc   // the newest content that was seen; nil after Seen
	same   []bool // for each component that says what it takes out: whether that was there
	at     int    // the next of same, after Doc
	next   int64  // the number of the next unit of text that is inserted
}

func (r *redaction) See(op ot.Op) error {
	for i := range op.(Op) {
		c := &op.(Op)[i]
		r.seeNames(c)
		if c.has(LD | OD) {
			old := find(r.was.value, c.Path)
			r.same = append(r.same, old != (none{}) && jsonvalue.Equal(old, c.Deleted))
		}
		edit := *c
		if c.has(SI | SD) {
			edit = c.asEdit()
		}
		if !edit.has(T) {
			if err := r.see(c); err != nil {
				return err
			}
			continue
		}
		for k := range edit.Edit {
			step := Component{Path: edit.Path, Has: T, Edit: edit.Edit[k : k+1]}
			if err := r.see(&step); err != nil {
				return err
			}
		}
	}
	return nil
}

// see takes in one component, or one edit of a string.
func (r *redaction) see(c *Component) error {
	after, err := r.was.Apply(Op{*c})
	if err == nil {
		err = r.ids.follow(c, r.next)
	}
	if err != nil {
		return err
	}
	r.was = after
	if c.has(T) {
		r.look(c)
	} else if c.has(LI | OI) {
		redact.Strings(c.Inserted, r.seeString)
	}
	return nil
}

// seeString takes in the next string that is inserted with a value.
func (r *redaction) seeString(s string) {
	at := 0
	for from, to := range r.values.Find(s) {
		n := units.Count(s[from:to])[units.UTF16]
		r.next += int64(units.Count(s[at:from])[units.UTF16])
		r.marks.Add(r.next, n)
		r.next += int64(n)
		at = to
	}
	r.next += int64(units.Count(s[at:])[units.UTF16])
}

// look looks near the one edit of c, which was made.
func (r *redaction) look(c *Component) {
	ids, _ := r.ids.text(c.Path) // as it was followed
	s := find(r.was.value, c.Path).(string)
	w := redact.Watch{Secret: r.values.Secret, Marks: r.marks, Unit: units.UTF16, IDs: ids}
	edit := &c.Edit[0]
	if edit.Delete {
		w.Changed(edit.Pos, 0)
	} else {
		w.Changed(edit.Pos, edit.N)
		r.next += int64(edit.N)
	}
	w.Look(func(from, to int) (string, error) { return text0.Slice(s, from, to) })
}

// seeNames takes in every name in c, and every string that it puts in or says it takes out.
func (r *redaction) seeNames(c *Component) {
	for _, k := range c.Path {
		if k.IsName() {
			r.values.SeeName(k.name)
		}
	}
	r.values.SeeValue(c.Inserted)
	r.values.SeeValue(c.Deleted)
}

func (r *redaction) Size() int { return jsonvalue.Size(r.was.value) }

func (r *redaction) Seen() bool {
	r.was, r.ids = nil, tree{}
	r.marks.Sort()
	return r.marks.Found() || r.values.Found()
}

func (r *redaction) Doc(d ot.Doc) ot.Doc {
	r.next, r.at = 0, 0
	v, changed := r.values.Map(d.(*Doc).value, r.cover)
	if !changed {
		return d
	}
	return &Doc{value: v}
}

func (r *redaction) Op(op ot.Op, before ot.Doc) (ot.Op, bool) {
	out := append(Op(nil), op.(Op)...)
	now := before.(*Doc)
	changed := false
	for i := range out {
		if r.redact(&out[i], now.value) {
			changed = true
		}
		if i+1 < len(out) {
			now, _ = now.Apply(out[i : i+1]) // as See was told
		}
	}
	return out, changed
}

// redact puts filler into c, which changes now, and reports whether that changed it.
func (r *redaction) redact(c *Component, now jsonvalue.Value) (changed bool) {
	was := *c
	c.Path = append(Path{}, c.Path...)
	for i, k := range c.Path {
		if k.IsName() {
			c.Path[i].name = r.values.Name(k.name)
			changed = changed || c.Path[i] != k
		}
	}
	did := false
	if c.has(LI | OI) {
		c.Inserted, did = r.values.Map(c.Inserted, r.cover)
		changed = changed || did
	}
	if c.has(LD | OD) {
		if r.same[r.at] {
			c.Deleted = find(now, c.Path)
			did = !jsonvalue.Equal(c.Deleted, was.Deleted)
		} else {
			c.Deleted, did = r.values.Replace(c.Deleted)
		}
		r.at++
		changed = changed || did
	}
	if c.has(T) {
		c.Edit, did = r.redactEdit(now, c.Path, c.Edit)
		changed = changed || did
	}
	if c.has(SI | SD) {
		edit := was.asEdit()
		var edits text0.Op
		edits, did = r.redactEdit(now, c.Path.parent(), edit.Edit)
		c.Text = edits[0].Text
		changed = changed || did
	}
	return changed
}

// redactEdit puts filler into an edit of the string at a path in now.
func (r *redaction) redactEdit(now jsonvalue.Value, path Path, edit text0.Op) (text0.Op, bool) {
	s := find(now, path).(string)
	out := append(text0.Op(nil), edit...)
	changed := false
	for i := range out {
		c := &out[i]
		was := c.Text
		if c.Delete {
			c.Text, _ = text0.Slice(s, c.Pos, c.Pos+c.N)
		} else {
			c.Text = r.cover(c.Text)
		}
		s, _ = text0.ApplyString(s, out[i:i+1])
		changed = changed || c.Text != was
	}
	return out, changed
}

// cover puts filler into the next string that is inserted.
func (r *redaction) cover(s string) string {
	n := units.Count(s)[units.UTF16]
	s = r.marks.Cover(s, units.UTF16, r.next, r.values.Filler())
	r.next += int64(n)
	return s
}
