package wire

import (
	"reflect"
	"strings"
	"testing"
)

func TestNext(t *testing.T) {
	for _, c := range []struct {
		b    string
		want Packet
		size int
		err  error
	}{
		{b: ""},
		{b: "\x00"},
		{b: "\x00\x00\x00"},
		{b: "\x00\x00\x00\x01"},
		{b: "\x00\x00\x00\x00", err: errEmptyPacket},
		{b: "\x00\x00\x00\x00A", err: errEmptyPacket},
		{b: "\x00\x00\x00\x01A", want: Packet{Abort, []byte{}}, size: 5},
		{b: "\x00\x00\x00\x01A\x00\x00\x00\x01Q", want: Packet{Abort, []byte{}}, size: 5},
		{b: "\x00\x00\x00\x03Ha\x00", want: Packet{Helo, []byte("a\x00")}, size: 7},
		{b: "\x00\x00\x00\x03Ha\x00\x00", want: Packet{Helo, []byte("a\x00")}, size: 7},
		{b: "\x00\x00\x00\x03Ha", want: Packet{Code: Helo}, size: 7},
		{b: "\x00\x00\x00\x03H", want: Packet{Code: Helo}, size: 7},
		{b: "\x00\x01\x00\x00B", want: Packet{Code: Body}, size: 65540},
		{b: "\x7f\xff\xff\xfbL", want: Packet{Code: Header}, size: 0x7fffffff},
		{b: "\x7f\xff\xff\xfcL", err: errHugePacket},
		{b: "\xff\xff\xff\xffL", err: errHugePacket},
		{b: "\xff\xff\xff\xff"}, // it is told with the code
		{b: "GET / HTTP/1.1", want: Packet{Code: '/'}, size: 0x47455424},
	} {
		p, size, err := Next([]byte(c.b))
		if !reflect.DeepEqual(p, c.want) || size != c.size || err != c.err {
			t.Errorf("%.20q: %+v, %d, %v, want %+v, %d, %v", c.b, p, size, err, c.want, c.size, c.err)
		}
	}
}

func TestAppend(t *testing.T) {
	for _, c := range []struct {
		code  Code
		parts []string
		want  string
	}{
		{Continue, nil, "\x00\x00\x00\x01c"},
		{Tempfail, []string{}, "\x00\x00\x00\x01t"},
		{Helo, []string{"mail1", "\x00"}, "\x00\x00\x00\x07Hmail1\x00"},
		{Macro, []string{"M", "", "i\x00", "q\x00"}, "\x00\x00\x00\x06DMi\x00q\x00"},
		{Body, []string{strings.Repeat("x", 0x010203)}, "\x00\x01\x02\x04B" + strings.Repeat("x", 0x010203)},
	} {
		for _, before := range []string{"", "\x00\x00\x00\x01c"} {
			if got := string(Append([]byte(before), c.code, c.parts...)); got != before+c.want {
				t.Errorf("%c %.20q: %.40q, want %.40q", c.code, c.parts, got, before+c.want)
			}
		}
	}
}

// TestCodes holds the codes against those of mfdef.h.
func TestCodes(t *testing.T) {
	commands := []Code{Abort, Body, Connect, Macro, EndOfBody, Helo, QuitNew, Header, Mail, EndOfHeader, Negotiate, Quit, Rcpt, Data, Unknown}
	if got := codes(commands); got != "ABCDEHKLMNOQRTU" {
		t.Errorf("commands %s", got)
	}
	if got := codes([]Code{Continue, Tempfail, ReplyCode, InsertHeader, ChangeHeader}); got != "ctyim" {
		t.Errorf("replies %s", got)
	}
}

func codes(all []Code) string {
	var b strings.Builder
	for _, c := range all {
		b.WriteByte(byte(c))
	}
	return b.String()
}
