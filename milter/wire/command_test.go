package wire

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestParseConnect(t *testing.T) {
	for _, c := range []struct {
		data string
		want Peer
		err  string
	}{
		{"mail1.woodgrovebank.com\x004\x04\xd2192.0.2.7\x00", Peer{[]byte("mail1.woodgrovebank.com"), '4', 1234, []byte("192.0.2.7")}, ""},
		{"[::1]\x006\xff\xff::1\x00", Peer{[]byte("[::1]"), '6', 65535, []byte("::1")}, ""},
		{"[x]\x006\x00\x00IPv6:::1\x00", Peer{[]byte("[x]"), '6', 0, []byte("IPv6:::1")}, ""},
		{"localhost\x00L\x00\x00/run/s\x00", Peer{[]byte("localhost"), 'L', 0, []byte("/run/s")}, ""},
		{"localhost\x00U", Peer{Host: []byte("localhost"), Family: 'U'}, ""},
		{"localhost\x00U\x00", Peer{Host: []byte("localhost"), Family: 'U'}, ""},
		{"\x004\x00\x19\x00", Peer{[]byte{}, '4', 25, []byte{}}, ""},
		{"h\x004\x00\x19192.0.2.7\x00more", Peer{[]byte("h"), '4', 25, []byte("192.0.2.7")}, ""},
		{"", Peer{}, "NUL"},
		{"abc", Peer{}, "NUL"},
		{"abc\x00", Peer{}, "NUL"},
		{"abc\x004", Peer{}, "without a port"},
		{"abc\x004\x00", Peer{}, "without a port"},
		{"abc\x004\x00\x19", Peer{}, "NUL"},
		{"abc\x004\x00\x19192.0.2.7", Peer{}, "NUL"},
	} {
		got, err := ParseConnect([]byte(c.data))
		if !reflect.DeepEqual(got, c.want) || !says(err, c.err) {
			t.Errorf("%q: %+v, %v, want %+v, %q", c.data, got, err, c.want, c.err)
		}
	}
}

func TestParseMail(t *testing.T) {
	for _, c := range []struct{ data, want, err string }{
		{"<alice@woodgrovebank.com>\x00", "<alice@woodgrovebank.com>", ""},
		{"<three@x>\x00BODY=8BITMIME\x00SIZE=100\x00", "<three@x>", ""},
		{"<>\x00SIZE=1", "<>", ""},
		{"\x00", "", ""},
		{"", "", "NUL"},
		{"<alice@woodgrovebank.com>", "", "NUL"},
	} {
		got, err := ParseMail([]byte(c.data))
		if string(got) != c.want || !says(err, c.err) {
			t.Errorf("%q: %q, %v, want %q, %q", c.data, got, err, c.want, c.err)
		}
	}
}

func TestParseHeader(t *testing.T) {
	for _, c := range []struct{ data, name, body, err string }{
		{"From\x00<a@b>\x00", "From", "<a@b>", ""},
		{"Subject\x00\x00", "Subject", "", ""},
		{"Subject\x00", "Subject", "", ""},
		{"X\x00a\n\tb\x00", "X", "a\n\tb", ""},
		{"X\x00cut sho", "X", "cut sho", ""},
		{"X\x00a\x00\x00", "X", "a\x00", ""},
		{"\x00x\x00", "", "x", ""},
		{"", "", "", "NUL"},
		{"From", "", "", "NUL"},
	} {
		name, body, err := ParseHeader([]byte(c.data))
		if string(name) != c.name || string(body) != c.body || !says(err, c.err) {
			t.Errorf("%q: %q, %q, %v, want %q, %q, %q", c.data, name, body, err, c.name, c.body, c.err)
		}
	}
}

func TestParseMacros(t *testing.T) {
	for _, c := range []struct {
		data    string
		command Code
		macros  string
		err     string
	}{
		{"Hj\x00mx\x00", Helo, "j\x00mx\x00", ""},
		{"M", Mail, "", ""},
		{"\x00", 0, "", ""},
		{"C\x00", Connect, "\x00", ""},
		{"", 0, "", "no command"},
		{"Hj\x00mx", 0, "", "NUL"},
	} {
		command, macros, err := ParseMacros([]byte(c.data))
		if command != c.command || string(macros) != c.macros || !says(err, c.err) {
			t.Errorf("%q: %q, %q, %v, want %q, %q, %q", c.data, command, macros, err, c.command, c.macros, c.err)
		}
	}
}

func TestMacros(t *testing.T) {
	for _, c := range []struct{ macros, want string }{
		{"", ""},
		{"j\x00mx.contoso.com\x00", "j=mx.contoso.com"},
		{"{verify}\x00OK\x00{tls_version}\x00TLSv1.3\x00", "verify=OK tls_version=TLSv1.3"},
		{"verify\x00OK\x00{i}\x00q\x00", "verify=OK i=q"},
		{"{mail_addr}\x00\x00i\x00q\x00", "mail_addr= i=q"},
		{"i\x001\x00i\x002\x00", "i=1 i=2"},
		{"\x00x\x00", "=x"},
		{"{}\x00x\x00{a\x00y\x00b}\x00z\x00", "{}=x {a=y b}=z"},
		{"{a}\x00{b}\x00", "a={b}"},
		{"i\x00q\x00j\x00", "i=q"}, // a name without a value
		{"i\x00q\x00j", "i=q"},
		{"i\x00q", ""},
	} {
		var got []string
		for name, value := range Macros(c.macros) {
			got = append(got, name+"="+value)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%q: %q, want %q", c.macros, got, c.want)
		}
	}
}

// TestMacrosInPart: who has seen enough may go.
func TestMacrosInPart(t *testing.T) {
	var names []string
	for name := range Macros("a\x001\x00b\x002\x00c\x003\x00") {
		names = append(names, name)
		if name == "b" {
			break
		}
	}
	if !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("names %q", names)
	}
}
