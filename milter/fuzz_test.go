package milter

import (
	"log/slog"
	"slices"
	"strings"
	"testing"

	"domain-secured/policy"
)

// passer lets everything pass.
type passer struct{ recorder }

func (p *passer) Envelope(f *policy.Facts) policy.Verdict {
	p.hear("envelope %+v", *f)
	return policy.Verdict{Action: policy.ActionAccept, Result: policy.ResultPass}
}

func (p *passer) Content(f *policy.Facts, v *policy.Verdict, from *policy.From) policy.Ending {
	p.hear("content %+v %+v", *f, *from)
	return policy.Ending{Verdict: *v, Stamp: stamp}
}

// FuzzConn: whatever comes after an offer, a connection ends, says nothing but
// whole replies, tells the judge of the end of what it told the beginning of, and
// cares not in what parts it was sent.
func FuzzConn(f *testing.F) {
	for _, s := range sessions {
		f.Add([]byte(strings.TrimPrefix(s.sent, postfix)), uint16(7))
	}
	f.Fuzz(func(t *testing.T, stream []byte, part uint16) {
		sent := postfix + string(stream)
		whole, heard := run(t, sent, len(sent))
		parts, heardParts := run(t, sent, int(part)+1)
		if whole != parts || !slices.Equal(heard, heardParts) {
			t.Errorf("%q in one part: %q, heard %q; in parts of %d: %q, heard %q", sent, packets(whole), heard, part+1, packets(parts), heardParts)
		}
		if !strings.HasPrefix(whole, agreed) {
			t.Fatalf("%q: replies %q", sent, packets(whole))
		}
		final, told := 0, packets(sent)
		for _, p := range packets(whole) {
			switch p[0] {
			case 'c', 't', 'y':
				final++
			case 'O', 'i', 'm':
			default:
				t.Errorf("%q: reply %q", sent, p)
			}
		}
		if final > len(told) {
			t.Errorf("%q: %d replies to %d packets", sent, final, len(told))
		}
		begun, ended := 0, 0
		for i, what := range heard {
			switch what, _, _ = strings.Cut(what, " "); {
			case what == "envelope":
				begun++
			case what == "content", what == "abandoned":
				ended++
			case what == "attend" && i == 0, what == "leave" && i == len(heard)-1:
			default:
				t.Errorf("%q: heard %q", sent, heard)
			}
		}
		if ended > begun || begun > 0 && ended == 0 {
			t.Errorf("%q: %d messages ended of %d", sent, ended, begun)
		}
	})
}

// run sends a session in parts of this size, and returns the replies and what the
// judge heard.
func run(t *testing.T, sent string, part int) (replies string, heard []string) {
	judge := new(passer)
	s := NewServer(judge, slog.New(slog.DiscardHandler))
	defer s.Shutdown(t.Context())
	r := newRig(t, s)
	for rest := sent; rest != ""; {
		n := min(part, len(rest))
		if !r.send(t, rest[:n]) {
			break
		}
		rest = rest[n:]
	}
	replies = r.finish()
	r.mta.Close()
	return replies, judge.all()
}
