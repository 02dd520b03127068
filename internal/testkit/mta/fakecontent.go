package mta

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A fakeContent is a message in the fake server's queue: what a milter sees and may change.
type fakeContent struct {
	fields []Field
	// own is where the server's own Received stands in fields: a milter neither sees nor reaches it.
	own  int
	body string
}

// newFakeContent returns the content of a message; own is the server's Received, and before it stands what the
// policy service wanted there.
func newFakeContent(prepend string, own Field, content []byte) *fakeContent {
	c := &fakeContent{}
	if prepend != "" {
		c.fields, _ = ParseFields(prepend)
	}
	c.own = len(c.fields)
	fields, body := ParseFields(string(content))
	for _, f := range fields {
		// As cleanup(8) does.
		c.fields = append(c.fields, Field{strings.TrimRight(f.Name, " \t"), f.Value})
	}
	c.fields, c.body = slices.Insert(c.fields, c.own, own), body
	return c
}

// seen returns the fields that a milter sees.
func (c *fakeContent) seen() []Field {
	return slices.Delete(slices.Clone(c.fields), c.own, c.own+1)
}

// edit does what a milter wants done with the header: as Postfix does it, which counts a name's fields from 1,
// those inserted and not those deleted before.
func (c *fakeContent) edit(p MilterPacket, steps uint32) error {
	index, texts := 0, p
	if p.Code == MilterInsertHeader || p.Code == MilterChangeHeader {
		if len(p.Data) < 4 {
			return fmt.Errorf("malformed filter response %s", p)
		}
		index = int(binary.BigEndian.Uint32([]byte(p.Data)))
		texts.Data = p.Data[4:]
	}
	strs := texts.Strings()
	if len(strs) != 2 || !isFieldName(strs[0]) {
		return fmt.Errorf("malformed filter response %s", p)
	}
	f := Field{strs[0], strs[1]}
	empty := f.Value == ""
	if steps&keepsLeadingSpace == 0 {
		f.Value = " " + f.Value
	}
	switch p.Code {
	case MilterAddHeader:
		c.fields = append(c.fields, f)
	case MilterInsertHeader:
		c.insert(min(index, len(c.fields)), f)
	case MilterChangeHeader:
		at := c.find(f.Name, max(index, 1))
		switch {
		case at >= 0 && empty:
			c.remove(at)
		case at >= 0:
			c.fields[at] = f
		case !empty:
			c.fields = append(c.fields, f)
		}
	default:
		return errors.New("the fake server does not know " + p.String())
	}
	return nil
}

// find returns where the nth field of a name stands, -1 if there are fewer.
func (c *fakeContent) find(name string, n int) int {
	for i, f := range c.fields {
		if i != c.own && f.Is(name) {
			if n--; n == 0 {
				return i
			}
		}
	}
	return -1
}

func (c *fakeContent) insert(at int, f Field) {
	c.fields = slices.Insert(c.fields, at, f)
	if at <= c.own {
		c.own++
	}
}

func (c *fakeContent) remove(at int) {
	c.fields = slices.Delete(c.fields, at, at+1)
	if at < c.own {
		c.own--
	}
}

func (c *fakeContent) String() string {
	var b strings.Builder
	for _, f := range c.fields {
		b.WriteString(f.String() + "\n")
	}
	return b.String() + "\n" + c.body
}
