package milter

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// field is a header field as an MTA has it.
type field struct {
	name, body string
	deleted    bool
}

func (f field) named(name string) bool {
	return strings.EqualFold(strings.TrimRight(f.name, " \t"), name)
}

// mtaModel carries out what a milter asks for at the end of a message, packet by
// packet: an inserted field counts at once. In an index, Postfix counts the fields
// that remain (cleanup_milter.c), Sendmail also those that were deleted (milter.c,
// chgheader).
type mtaModel struct {
	fields       []field
	slotsRemain  bool
	wrong, ended bool
}

func (m *mtaModel) do(p string) {
	code, data := p[0], p[1:]
	if code == 'c' {
		m.ended = true
		return
	}
	index := int(binary.BigEndian.Uint32([]byte(data)))
	texts := strings.Split(data[4:], "\x00")
	if len(texts) != 3 || texts[2] != "" || m.ended {
		m.wrong = true
		return
	}
	name, value := texts[0], texts[1]
	switch code {
	case 'i':
		at := 0
		for at < len(m.fields) && index > 0 {
			if !m.fields[at].deleted {
				index--
			}
			at++
		}
		m.fields = slices.Insert(m.fields, at, field{name: name, body: value})
	case 'm':
		for i, f := range m.fields {
			if !f.named(name) || f.deleted && !m.slotsRemain {
				continue
			}
			if index--; index == 0 {
				m.fields[i].deleted = true
				m.wrong = m.wrong || value != "" || f.deleted
				return
			}
		}
		m.wrong = true // no such field
	default:
		m.wrong = true
	}
}

func (m *mtaModel) remaining() []field {
	return slices.DeleteFunc(slices.Clone(m.fields), func(f field) bool { return f.deleted })
}

// TestModels: whatever stamps a message came with, in the end it has ours on top,
// or none, and all the rest as it was; on an MTA of either kind.
func TestModels(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	names := []string{"Domain-Secured", "domain-secured", "DOMAIN-SECURED", "Domain-Secured ", "dOMAIN-sECURED\t "}
	for _, slotsRemain := range []bool{false, true} {
		for round := range 200 {
			count := round % 21
			var fields []field
			for range count {
				fields = append(fields, field{name: names[random.IntN(len(names))], body: []string{"forged", "", stamp, "a;\n\tb"}[random.IntN(4)]})
			}
			for range random.IntN(10) {
				honest := field{name: []string{"From", "Received", "X-Domain-Secured", "Domain-Secured-By"}[random.IntN(4)], body: "x"}
				fields = slices.Insert(fields, random.IntN(len(fields)+1), honest)
			}
			sender := []string{"pass@x", "x@x", "keep@x"}[random.IntN(3)]
			sent := after(mail(sender), data)
			var want []field
			if sender == "pass@x" {
				want = append(want, field{name: "Domain-Secured", body: stamp})
			}
			for _, f := range fields {
				sent += header(f.name, f.body)
				if sender == "keep@x" || !f.named("Domain-Secured") {
					want = append(want, f)
				}
			}
			r := newRig(t, newSite(t).Server)
			r.send(t, sent+eom)
			replies, ok := strings.CutPrefix(r.finish(), agreed+proceed)
			if !ok {
				t.Fatal("no DATA")
			}
			m := mtaModel{fields: slices.Clone(fields), slotsRemain: slotsRemain}
			for _, p := range packets(replies) {
				m.do(p)
			}
			if got := m.remaining(); !slices.Equal(got, want) || m.wrong || !m.ended {
				t.Fatalf("slots remain %v, %s: of %+v is left\n\t%+v\nwant\n\t%+v\nafter %q", slotsRemain, sender, fields, got, want, packets(replies))
			}
		}
	}
}
