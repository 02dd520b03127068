package wire

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

// FuzzNext takes a stream apart: what was taken is what Append makes of it, and
// less of the stream never says something else.
func FuzzNext(f *testing.F) {
	f.Add([]byte(postfixOffer))
	f.Fuzz(func(t *testing.T, stream []byte) {
		for rest := stream; ; {
			p, size, err := Next(rest)
			if err != nil {
				if n := binary.BigEndian.Uint32(rest); n != 0 && n < 0x7ffffffc {
					t.Errorf("%q: %v", rest, err)
				}
				return
			}
			if size == 0 {
				if len(rest) >= HeadSize {
					t.Errorf("%q: not known how long", rest)
				}
				return
			}
			if size < HeadSize || (p.Data != nil) != (size <= len(rest)) {
				t.Fatalf("%q: %+v, %d", rest, p, size)
			}
			head, headSize, err := Next(rest[:HeadSize])
			if head.Code != p.Code || headSize != size || err != nil {
				t.Errorf("%q: %c, %d, its head alone %c, %d, %v", rest, p.Code, size, head.Code, headSize, err)
			}
			if p.Data == nil {
				return
			}
			half := len(p.Data) / 2
			if again := Append(nil, p.Code, string(p.Data[:half]), string(p.Data[half:])); !bytes.Equal(again, rest[:size]) {
				t.Errorf("%q becomes %q", rest[:size], again)
			}
			rest = rest[size:]
		}
	})
}

// FuzzNegotiate: nothing is accepted that was not offered, and the answer reads
// as it was meant.
func FuzzNegotiate(f *testing.F) {
	f.Add([]byte(postfixOffer[HeadSize:]), uint32(0x111), uint32(0xff1d8), "j {daemon_name}")
	f.Fuzz(func(t *testing.T, data []byte, actions, steps uint32, names string) {
		offer, err := ParseOffer(data)
		if (err == nil) != (len(data) >= 12) {
			t.Fatalf("%q: %v", data, err)
		}
		if err != nil {
			return
		}
		accepted, err := offer.Accept(Offer{MaxVersion, Actions(actions), Steps(steps)})
		if (err == nil) != (offer.Version >= 2) {
			t.Fatalf("%+v: %v", offer, err)
		}
		if err != nil {
			return
		}
		if accepted.Version > offer.Version || accepted.Version < MinVersion || accepted.Version > MaxVersion ||
			accepted.Actions&^offer.Actions != 0 || accepted.Steps&^offer.Steps != 0 {
			t.Errorf("of %+v is accepted %+v", offer, accepted)
		}
		names, _, _ = strings.Cut(names, "\x00")
		lists := []MacroList{{StageEOM, names}, {StageEOH, names}}
		b := AppendNegotiate(nil, accepted, lists...)
		p, size, err := Next(b)
		if err != nil || size != len(b) || p.Code != Negotiate {
			t.Fatalf("%q: %+v, %d, %v", b, p, size, err)
		}
		if again, err := ParseOffer(p.Data); again != accepted || err != nil {
			t.Errorf("%+v reads as %+v, %v", accepted, again, err)
		}
		if want := "\x00\x00\x00\x05" + names + "\x00\x00\x00\x00\x06" + names + "\x00"; string(p.Data[12:]) != want {
			t.Errorf("lists %q, want %q", p.Data[12:], want)
		}
	})
}

// FuzzMacros: every pair that is there is yielded, in order, the same with braces
// and without.
func FuzzMacros(f *testing.F) {
	f.Add([]byte("H{tls_version}\x00TLSv1.3\x00{verify}\x00OK\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		command, macros, err := ParseMacros(data)
		if err != nil {
			return
		}
		if len(data) == 0 || Code(data[0]) != command || string(data[1:]) != string(macros) {
			t.Fatalf("%q: %c %q", data, command, macros)
		}
		texts := strings.Split(string(macros), "\x00")
		texts = texts[:len(texts)-1] // behind the last NUL
		var want []string
		for i := 0; i+1 < len(texts); i += 2 {
			name := texts[i]
			if inner, ok := strings.CutPrefix(name, "{"); ok && len(inner) > 1 && strings.HasSuffix(inner, "}") {
				name = strings.TrimSuffix(inner, "}")
			}
			want = append(want, name, texts[i+1])
		}
		if got := pairs(string(macros)); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", macros, got, want)
		}
		var braced strings.Builder
		for i := 0; i < len(want); i += 2 {
			if want[i] == "" {
				return // "{}" is no macro's name in braces
			}
			braced.WriteString("{" + want[i] + "}\x00" + want[i+1] + "\x00")
		}
		if got := pairs(braced.String()); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", braced.String(), got, want)
		}
	})
}

func pairs(macros string) (all []string) {
	for name, value := range Macros(macros) {
		all = append(all, name, value)
	}
	return all
}

// FuzzHeader: nothing of a header is lost or made up.
func FuzzHeader(f *testing.F) {
	f.Add([]byte("Domain-Secured\x00forged\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		name, body, err := ParseHeader(data)
		if (err == nil) != bytes.Contains(data, nul) {
			t.Fatalf("%q: %v", data, err)
		}
		if err != nil {
			return
		}
		again := string(name) + "\x00" + string(body)
		if bytes.Contains(name, nul) || again != string(data) && again+"\x00" != string(data) {
			t.Errorf("%q: %q, %q", data, name, body)
		}
	})
}

// FuzzConnect: a peer is what was sent, and one that is not whole is an error.
func FuzzConnect(f *testing.F) {
	f.Add([]byte("mail1\x004\x04\xd2192.0.2.7\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParseConnect(data)
		if err != nil {
			if p.Host != nil || p.Addr != nil {
				t.Errorf("%q: %+v, %v", data, p, err)
			}
			return
		}
		again := string(p.Host) + "\x00" + string([]byte{p.Family})
		if p.Family != 'U' {
			again = string(binary.BigEndian.AppendUint16([]byte(again), p.Port)) + string(p.Addr) + "\x00"
		}
		if bytes.Contains(p.Host, nul) || bytes.Contains(p.Addr, nul) || !strings.HasPrefix(string(data), again) {
			t.Errorf("%q: %+v", data, p)
		}
	})
}

// FuzzReplyCode: whatever the text, it is one reply of one line, and MTAs do not
// take it for a malformed one.
func FuzzReplyCode(f *testing.F) {
	f.Add("woodgrovebank.com requires mutual TLS here: tls-not-used")
	f.Fuzz(func(t *testing.T, text string) {
		b := AppendReplyCode(nil, "450", "4.7.5", text)
		p, size, err := Next(b)
		if err != nil || size != len(b) || p.Code != ReplyCode {
			t.Fatalf("%q: %+v, %d, %v", b, p, size, err)
		}
		line, ok := strings.CutSuffix(string(p.Data), "\x00")
		line, begun := strings.CutPrefix(line, "450 4.7.5 ")
		if !ok || !begun {
			t.Fatalf("%q", p.Data)
		}
		if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q is not printable", line)
		}
		shown := strings.ReplaceAll(line, "%%", "")
		if strings.Contains(shown, "%") || len(line)-strings.Count(text, "%") != len(text) {
			t.Errorf("%q becomes %q", text, line)
		}
	})
}
