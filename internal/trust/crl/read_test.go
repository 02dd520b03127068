package crl

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"domain-secured/internal/testkit/crlmaker"
	"domain-secured/internal/testkit/pki"
)

// readAll reads a list and all its entries.
func readAll(r io.Reader) (*list, []entry, error) {
	var all []entry
	l, err := read(r, func(e *entry) error {
		one := *e
		one.serial, one.issuer = bytes.Clone(e.serial), bytes.Clone(e.issuer)
		all = append(all, one)
		return nil
	})
	return l, all, err
}

// TestReadAsX509 reads lists of all kinds and sizes as crypto/x509 does.
func TestReadAsX509(t *testing.T) {
	ca := newCA(t, pki.CAOptions{})
	number := new(big.Int).Lsh(big.NewInt(1), 159)
	for name, change := range map[string]func(*crlmaker.Options){
		"empty":      func(o *crlmaker.Options) {},
		"no entries": func(o *crlmaker.Options) { o.Entries = crlmaker.Of() },
		"one":        func(o *crlmaker.Options) { o.Entries = crlmaker.Entries(big.NewInt(1)) },
		"odd serials": func(o *crlmaker.Options) {
			o.Entries = crlmaker.Entries(big.NewInt(0), big.NewInt(127), big.NewInt(128), big.NewInt(255), big.NewInt(256), big.NewInt(-1), number)
		},
		"a thousand":       func(o *crlmaker.Options) { o.Entries = many(1000) },
		"several blocks":   func(o *crlmaker.Options) { o.Entries = many(30_000) },
		"generalized time": func(o *crlmaker.Options) { o.Generalized = true },
		"until 2050":       func(o *crlmaker.Options) { o.NextUpdate = time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC) },
		"since 1999":       func(o *crlmaker.Options) { o.ThisUpdate = time.Date(1999, 12, 31, 23, 59, 59, 0, time.UTC) },
		"every reason": func(o *crlmaker.Options) {
			var all []crlmaker.Entry
			for reason := range 12 {
				all = append(all, crlmaker.Entry{Serial: big.NewInt(int64(reason)), Reason: reason})
			}
			o.Entries = crlmaker.Of(all...)
		},
		"reason among others": func(o *crlmaker.Options) {
			o.Entries = crlmaker.Of(crlmaker.Entry{Serial: big.NewInt(5), Reason: 1, Extensions: []crlmaker.Extension{
				{ID: "2.5.29.24", Value: []byte("\x18\x0f20260102030405Z")}, {ID: "1.2.3.4", Value: []byte{5, 0}},
			}})
		},
		"extensions": func(o *crlmaker.Options) {
			o.Extensions = []crlmaker.Extension{crlmaker.BigNumber(number), crlmaker.KeyID([]byte("key")), {ID: "1.2.3", Value: []byte{5, 0}}}
			o.Entries = many(10)
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := by(ca)
			change(&o)
			data := der1(t, o)
			want, err := x509.ParseRevocationList(data)
			if err != nil {
				t.Fatal(err)
			}
			// However the octets come.
			for what, r := range map[string]io.Reader{
				"whole": bytes.NewReader(data), "half reads": iotest.HalfReader(bytes.NewReader(data)), "data with EOF": iotest.DataErrReader(bytes.NewReader(data)),
				"PEM": bytes.NewReader(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: data})),
			} {
				l, entries, err := readAll(r)
				if err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				compare(t, want, l, entries)
				if err := l.algorithm.verify(ca.Certificate.Leaf.PublicKey, l.digest, l.signature); err != nil {
					t.Errorf("%s: %v", what, err)
				}
				if l.size != int64(len(data)) {
					t.Errorf("%s: %d octets of %d", what, l.size, len(data))
				}
			}
		})
	}
}

func pemOf(t *testing.T, o crlmaker.Options) string {
	t.Helper()
	b, err := crlmaker.PEM(o)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// compare holds what was read to what crypto/x509 read.
func compare(t *testing.T, want *x509.RevocationList, l *list, entries []entry) {
	t.Helper()
	if !bytes.Equal(l.issuer, want.RawIssuer) || !l.thisUpdate.Equal(want.ThisUpdate) || !l.nextUpdate.Equal(want.NextUpdate) {
		t.Errorf("issuer %x, %v to %v; want %x, %v to %v", l.issuer, l.thisUpdate, l.nextUpdate, want.RawIssuer, want.ThisUpdate, want.NextUpdate)
	}
	if (l.extensions.number == nil) != (want.Number == nil) || want.Number != nil && want.Number.Cmp(l.extensions.number) != 0 {
		t.Errorf("number %v, want %v", l.extensions.number, want.Number)
	}
	if !bytes.Equal(l.extensions.keyID, want.AuthorityKeyId) {
		t.Errorf("key identifier %x, want %x", l.extensions.keyID, want.AuthorityKeyId)
	}
	if len(entries) != len(want.RevokedCertificateEntries) {
		t.Fatalf("%d entries, want %d", len(entries), len(want.RevokedCertificateEntries))
	}
	for i, w := range want.RevokedCertificateEntries {
		e := entries[i]
		var space [maxSerial]byte
		key, err := serialKey(w.SerialNumber, space[:])
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(e.serial, key) || e.reason != reasonOf(byte(w.ReasonCode)) {
			t.Fatalf("entry %d is %x for %v, want %x for %d", i, e.serial, e.reason, key, w.ReasonCode)
		}
	}
}

// TestWrong changes one thing at a time.
func TestWrong(t *testing.T) {
	ca := newCA(t, pki.CAOptions{})
	algorithm := func(o *crlmaker.Options, der string) { o.Inner = []byte(der) }
	entry := func(o *crlmaker.Options, e crlmaker.Entry) { o.Entries = crlmaker.Of(e) }
	extended := func(o *crlmaker.Options, x ...crlmaker.Extension) {
		entry(o, crlmaker.Entry{Serial: big.NewInt(1), Extensions: x})
	}
	for _, c := range []struct {
		name   string
		change func(*crlmaker.Options)
		want   error
	}{
		{"no nextUpdate", func(o *crlmaker.Options) { o.NoNextUpdate = true }, ErrNoNextUpdate},
		{"no nextUpdate, with entries", func(o *crlmaker.Options) { o.NoNextUpdate, o.Entries = true, many(2) }, ErrNoNextUpdate},
		{"version 1 with extensions", func(o *crlmaker.Options) { o.Version1, o.Extensions = true, []crlmaker.Extension{crlmaker.Number(1)} }, ErrMalformed},
		{"version 1 with an entry's extensions", func(o *crlmaker.Options) { o.Version1, o.Entries = true, many(2) }, ErrMalformed},
		{"two algorithms", func(o *crlmaker.Options) { o.Outer = []byte("\x30\x05\x06\x03\x2b\x65\x70") }, ErrMalformed},
		{"unknown algorithm", func(o *crlmaker.Options) { algorithm(o, "\x30\x05\x06\x03\x2b\x65\x71") }, ErrAlgorithm},
		{"parameters", func(o *crlmaker.Options) { algorithm(o, "\x30\x0c\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02\x05\x00") }, ErrMalformed},
		{"no algorithm", func(o *crlmaker.Options) { algorithm(o, "\x30\x00") }, ErrMalformed},
		{"Ed25519 with parameters", func(o *crlmaker.Options) { algorithm(o, "\x30\x07\x06\x03\x2b\x65\x70\x05\x00") }, ErrMalformed},
		{"issuer is no name", func(o *crlmaker.Options) { o.Issuer = []byte("\x30\x02\x05\x00") }, ErrMalformed},
		{"empty issuer", func(o *crlmaker.Options) { o.Issuer = []byte("\x30\x00") }, ErrMalformed},
		{"issuer too large", func(o *crlmaker.Options) { o.Issuer = append([]byte("\x30\x83\x01\x00\x01"), make([]byte, 65537)...) }, ErrTooLarge},
		{"field after the list", func(o *crlmaker.Options) { o.Trailing = []byte{5, 0} }, ErrMalformed},
		{"octets after the list", func(o *crlmaker.Options) { o.After = []byte{0} }, ErrMalformed},
		{"serial of no octets", func(o *crlmaker.Options) { entry(o, crlmaker.Entry{RawSerial: []byte{}}) }, ErrMalformed},
		{"serial of 33 octets", func(o *crlmaker.Options) { entry(o, crlmaker.Entry{RawSerial: bytes.Repeat([]byte{1}, 33)}) }, ErrMalformed},
		{"serial of 32 octets", func(o *crlmaker.Options) { entry(o, crlmaker.Entry{RawSerial: bytes.Repeat([]byte{1}, 32)}) }, nil},
		{"serial with a leading zero", func(o *crlmaker.Options) { entry(o, crlmaker.Entry{RawSerial: []byte{0, 0, 1}}) }, nil},
		{"reason twice", func(o *crlmaker.Options) {
			extended(o, crlmaker.Extension{ID: "2.5.29.21", Value: []byte{10, 1, 1}}, crlmaker.Extension{ID: "2.5.29.21", Value: []byte{10, 1, 8}})
		}, ErrMalformed},
		{"reason of two octets", func(o *crlmaker.Options) {
			extended(o, crlmaker.Extension{ID: "2.5.29.21", Value: []byte{10, 2, 1, 1}})
		}, ErrMalformed},
		{"reason is an integer", func(o *crlmaker.Options) { extended(o, crlmaker.Extension{ID: "2.5.29.21", Value: []byte{2, 1, 1}}) }, ErrMalformed},
		{"entry of 64 extensions", func(o *crlmaker.Options) { extended(o, numbered(64)...) }, nil},
		{"entry of 65 extensions", func(o *crlmaker.Options) { extended(o, numbered(65)...) }, ErrMalformed},
		{"entry of 70 KB", func(o *crlmaker.Options) { extended(o, crlmaker.Extension{ID: "1.2.3", Value: make([]byte, 70_000)}) }, ErrTooLarge},
		{"entry of 60 KB", func(o *crlmaker.Options) { extended(o, crlmaker.Extension{ID: "1.2.3", Value: make([]byte, 60_000)}) }, nil},
		{"certificate issuer is no name", func(o *crlmaker.Options) {
			extended(o, crlmaker.Extension{ID: "2.5.29.29", Critical: true, Value: []byte{0x30, 0}})
		}, ErrMalformed},
		{"extension twice", func(o *crlmaker.Options) { o.Extensions = []crlmaker.Extension{crlmaker.Number(1), crlmaker.Number(1)} }, ErrMalformed},
		{"extension of 70 KB", func(o *crlmaker.Options) {
			o.Extensions = []crlmaker.Extension{{ID: "1.2.3", Value: make([]byte, 70_000)}}
		}, ErrMalformed},
		{"extensions of 140 KB", func(o *crlmaker.Options) {
			o.Extensions = []crlmaker.Extension{{ID: "1.2.3", Value: make([]byte, 60_000)}, {ID: "1.2.4", Value: make([]byte, 80_000)}}
		}, ErrTooLarge},
		{"65 extensions", func(o *crlmaker.Options) { o.Extensions = numbered(65) }, ErrMalformed},
		{"number of 20 octets", func(o *crlmaker.Options) {
			o.Extensions = []crlmaker.Extension{crlmaker.BigNumber(new(big.Int).Lsh(big.NewInt(1), 159))}
		}, nil},
		{"number of 21 octets", func(o *crlmaker.Options) {
			o.Extensions = []crlmaker.Extension{crlmaker.BigNumber(new(big.Int).Lsh(big.NewInt(1), 160))}
		}, ErrMalformed},
		{"no number", func(o *crlmaker.Options) { o.NoNumber = true }, ErrMalformed},
		{"critical number", func(o *crlmaker.Options) {
			o.Extensions = []crlmaker.Extension{{ID: "2.5.29.20", Critical: true, Value: []byte{2, 1, 1}}}
		}, ErrMalformed},
		{"negative number", func(o *crlmaker.Options) { o.Extensions = []crlmaker.Extension{crlmaker.Number(-1)} }, ErrMalformed},
		{"delta indicator without a number", func(o *crlmaker.Options) {
			o.Extensions = []crlmaker.Extension{{ID: "2.5.29.27", Critical: true, Value: []byte{5, 0}}}
		}, ErrMalformed},
		{"issuing point is none", func(o *crlmaker.Options) {
			o.Extensions = []crlmaker.Extension{{ID: "2.5.29.28", Critical: true, Value: []byte{5, 0}}}
		}, ErrMalformed},
		{"issuing point for users and CAs", func(o *crlmaker.Options) {
			o.Extensions = []crlmaker.Extension{crlmaker.IssuingPoint{OnlyUser: true, OnlyCA: true}.Extension()}
		}, ErrMalformed},
		{"key identifier is none", func(o *crlmaker.Options) { o.Extensions = []crlmaker.Extension{{ID: "2.5.29.35", Value: []byte{4, 0}}} }, ErrMalformed},
		{"freshest CRL is none", func(o *crlmaker.Options) {
			o.Extensions = []crlmaker.Extension{{ID: "2.5.29.46", Value: []byte{0x30, 0}}}
		}, ErrMalformed},
		{"unknown extension with a long identifier", func(o *crlmaker.Options) {
			o.Extensions = []crlmaker.Extension{{ID: "2.25.329800735698586629295641978511506172918", Value: []byte{5, 0}}}
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := by(ca)
			c.change(&o)
			if _, _, err := readAll(bytes.NewReader(der1(t, o))); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

// numbered are so many different extensions.
func numbered(n int) (all []crlmaker.Extension) {
	for i := range n {
		all = append(all, crlmaker.Extension{ID: fmt.Sprintf("1.2.3.%d", i), Value: []byte{5, 0}})
	}
	return all
}

// TestLengths: an element is never longer than what it is in, and lengths are DER.
func TestLengths(t *testing.T) {
	ca := newCA(t, pki.CAOptions{})
	o := by(ca, crlmaker.Number(1), crlmaker.KeyID([]byte("key")))
	o.Entries = many(10)
	good := der1(t, o)
	content := len(good) - 4
	for _, c := range []struct {
		name string
		head string
		want error
	}{
		{"as it is", string(good[:4]), nil},
		{"indefinite", "\x30\x80", ErrMalformed},
		{"five octets", "\x30\x85\x00\x00\x00\x01\x00", ErrMalformed},
		{"leading zero", "\x30\x83\x00" + string([]byte{byte(content >> 8), byte(content)}), ErrMalformed},
		{"4 GB", "\x30\x84\xff\xff\xff\xff", ErrTooLarge},
		{"over 128 MB", "\x30\x84\x08\x00\x00\x01", ErrTooLarge},
		{"ends early", "\x30\x05", ErrMalformed},
		{"long tag", "\x30\x06\x1f\x81\x01\x02\x00\x00", ErrMalformed},
	} {
		if _, _, err := readAll(io.MultiReader(strings.NewReader(c.head), bytes.NewReader(good[4:]))); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	long := by(ca)
	long.Issuer = append([]byte{0x30, 0x81, byte(len(long.Issuer) - 2)}, long.Issuer[2:]...)
	if _, _, err := readAll(bytes.NewReader(der1(t, long))); !errors.Is(err, ErrMalformed) {
		t.Errorf("a long length for a short one: %v", err)
	}
	// Every length in it, one more and one less, with the signature as it was: what is
	// signed then is something else, but it must not even be read.
	at := lengthsOf(t, good, 0)
	if len(at) < 60 {
		t.Fatalf("%d lengths", len(at))
	}
	for _, at := range at {
		for _, by := range []byte{1, 0xff} {
			bad := bytes.Clone(good)
			bad[at] += by
			if _, _, err := readAll(bytes.NewReader(bad)); err == nil {
				t.Errorf("octet %d, a length, changed by %d: read", at, int8(by))
			}
		}
	}
}

// lengthsOf returns where the last octet of each element's length is.
func lengthsOf(t *testing.T, b []byte, base int) (at []int) {
	for len(b) > 0 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(b, &v)
		if err != nil {
			t.Fatal(err)
		}
		head := len(v.FullBytes) - len(v.Bytes)
		at = append(at, base+head-1)
		if v.IsCompound {
			at = append(at, lengthsOf(t, v.Bytes, base+head)...)
		}
		base += len(v.FullBytes)
		b = rest
	}
	return at
}

// TestTimes: RFC 5280 section 4.1.2.5.
func TestTimes(t *testing.T) {
	for _, c := range []struct {
		tag  byte
		text string
		want string // "" if it is none
	}{
		{tagUTCTime, "491231235959Z", "2049-12-31T23:59:59Z"},
		{tagUTCTime, "500101000000Z", "1950-01-01T00:00:00Z"},
		{tagUTCTime, "551231235959Z", "1955-12-31T23:59:59Z"},
		{tagUTCTime, "000101000000Z", "2000-01-01T00:00:00Z"},
		{tagUTCTime, "0001010000Z", ""},
		{tagUTCTime, "000101000000+0000", ""},
		{tagUTCTime, "001301000000Z", ""},
		{tagUTCTime, "", ""},
		{tagGeneralized, "20500101000000Z", "2050-01-01T00:00:00Z"},
		{tagGeneralized, "99991231235959Z", "9999-12-31T23:59:59Z"},
		{tagGeneralized, "20500101000000.5Z", ""},
		{tagGeneralized, "20500101000000", ""},
		{tagGeneralized, "20500101000000+0100", ""},
		{tagGeneralized, "500101000000Z", ""},
		{tagInteger, "20500101000000Z", ""},
	} {
		data := append([]byte{c.tag, byte(len(c.text))}, c.text...)
		s := newStream(bytes.NewReader(data))
		s.signedTo = int64(len(data))
		got, err := readTime(s)
		if err == nil && stamp(got) != c.want || err != nil && (c.want != "" || !errors.Is(err, ErrMalformed)) {
			t.Errorf("%x %q: %v, %v", c.tag, c.text, got, err)
		}
	}
}

// TestTruncated cuts lists off everywhere.
func TestTruncated(t *testing.T) {
	ca := newCA(t, pki.CAOptions{})
	small := by(ca, crlmaker.Number(1), crlmaker.KeyID([]byte("key")))
	small.Entries = many(20)
	large := by(ca, crlmaker.Number(1))
	large.Entries = many(20_000)
	text := pemOf(t, small)
	whole := der1(t, large)
	cuts := map[string][]byte{}
	for i := range 10 {
		cuts[fmt.Sprintf("%d tenths", i)] = whole[:len(whole)*i/10]
	}
	for _, at := range []int{1, blockSize - 1, blockSize, blockSize + 1, 2 * blockSize, 3*blockSize - 1, len(whole) - 1} {
		cuts[fmt.Sprintf("%d octets", at)] = whole[:at]
	}
	data := der1(t, small)
	for at := range data {
		cuts[fmt.Sprintf("small, %d octets", at)] = data[:at]
	}
	for at := range len(strings.TrimSpace(text)) - 1 {
		cuts[fmt.Sprintf("PEM, %d octets", at)] = []byte(text[:at])
	}
	for name, cut := range cuts {
		_, _, err := readAll(bytes.NewReader(cut))
		notYet := strings.HasPrefix(name, "PEM") && errors.Is(err, ErrMalformed) // not recognised
		if !errors.Is(err, ErrTruncated) && !notYet {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestReadFails: what the reader says is not lost.
func TestReadFails(t *testing.T) {
	ca := newCA(t, pki.CAOptions{})
	o := by(ca)
	o.Entries = many(20_000)
	data := der1(t, o)
	broken := errors.New("broken")
	for _, at := range []int{0, 1, 100, 300_000, len(data)} {
		r := io.MultiReader(bytes.NewReader(data[:at]), iotest.ErrReader(broken))
		if _, _, err := readAll(r); !errors.Is(err, broken) {
			t.Errorf("after %d: %v", at, err)
		}
	}
	if _, err := read(bytes.NewReader(data), func(*entry) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("an entry refused: %v", err)
	}
}

func TestPEM(t *testing.T) {
	ca := newCA(t, pki.CAOptions{})
	o := by(ca)
	o.Entries = many(50)
	good := pemOf(t, o)
	// Without what fills the last four characters, or with one more.
	partly := strings.ReplaceAll(good, "=", "")
	if partly == good {
		partly = strings.Replace(good, pemEnd, "A\n"+pemEnd, 1)
	}
	for _, c := range []struct {
		name, text string
		want       error
	}{
		{"as it is", good, nil},
		{"CRLF", strings.ReplaceAll(good, "\n", "\r\n"), nil},
		{"words before", "Certificate Revocation List (CRL):\n  Version 2\n" + good, nil},
		{"no line end", strings.TrimSpace(good), nil},
		{"space after", good + "\n \t\r\n", nil},
		{"one line", pemBegin + "\n" + strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(good, pemBegin), pemEnd+"\n"), "\n", "") + "\n" + pemEnd, nil},
		{"blank before", "\xef\xbb\xbf\n" + good, nil},
		{"two", good + good, ErrMalformed},
		{"words after", good + "x", ErrMalformed},
		{"certificate", strings.ReplaceAll(good, "X509 CRL", "CERTIFICATE"), ErrMalformed},
		{"no end", strings.Replace(good, pemEnd, "", 1), ErrTruncated},
		{"another end", strings.Replace(good, pemEnd, "-----END CERTIFICATE-----", 1), ErrTruncated},
		{"no base64", strings.Replace(good, "A", "!", 1), ErrMalformed},
		{"base64 ends within an octet", partly, ErrTruncated},
		{"base64 ends within an octet after the list", pemOf3(t, o, "A\n"), ErrTruncated},
		{"more base64", strings.Replace(good, pemEnd, "AAAA\n"+pemEnd, 1), ErrMalformed},
		{"a web page", "<html>no such page</html>", ErrMalformed},
		{"empty", "", ErrTruncated},
		{"nothing in it", pemBegin + "\n" + pemEnd + "\n", ErrTruncated},
	} {
		if _, _, err := readAll(strings.NewReader(c.text)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// pemOf3 is a list as PEM whose octets are a multiple of three, with more text after
// them.
func pemOf3(t *testing.T, o crlmaker.Options, more string) string {
	t.Helper()
	for n := 0; ; n++ {
		o.Entries = crlmaker.Entries(new(big.Int).Lsh(big.NewInt(1), uint(8*n)))
		if text := pemOf(t, o); !strings.Contains(text, "=") {
			return strings.Replace(text, pemEnd, more+pemEnd, 1)
		}
	}
}

// TestExtensions: what the list says of itself.
func TestExtensions(t *testing.T) {
	ca := newCA(t, pki.CAOptions{})
	idp := crlmaker.IssuingPoint{Names: []crlmaker.Name{crlmaker.URI("http://crl.example/1")}, OnlyUser: true}.Extension()
	freshest := crlmaker.Freshest(crlmaker.Point{Names: []crlmaker.Name{crlmaker.URI("http://crl.example/delta")}})
	o := by(ca, crlmaker.Number(7), crlmaker.Delta(5), crlmaker.KeyID([]byte("key")), idp, freshest,
		crlmaker.Extension{ID: "1.2.3", Critical: true, Value: []byte{5, 0}}, crlmaker.Extension{ID: "1.2.4", Value: []byte{5, 0}})
	o.Entries = crlmaker.Of(
		crlmaker.Entry{Serial: big.NewInt(1)},
		crlmaker.Entry{Serial: big.NewInt(2), Extensions: []crlmaker.Extension{{ID: "1.2.5", Critical: true, Value: []byte{5, 0}}}},
		crlmaker.Entry{Serial: big.NewInt(3)})
	info := build(t, der1(t, o), ca.Certificate.Leaf).Info()
	if info.Number.Int64() != 7 || info.Base.Int64() != 5 || info.Entries != 3 {
		t.Errorf("number %v, base %v, entries %d", info.Number, info.Base, info.Entries)
	}
	if !slices.Equal(info.UnknownCritical, []string{"1.2.3", "1.2.5"}) {
		t.Errorf("unknown: %q", info.UnknownCritical)
	}
	if !bytes.Equal(info.IssuingDistributionPoint, idp.Value) || !info.point.onlyUser || string(info.point.names[0].Value) != "http://crl.example/1" {
		t.Errorf("issuing point: %x", info.IssuingDistributionPoint)
	}
	points := info.FreshestPoints()
	if len(points) != 1 || !slices.Equal(points[0].URIs(), []string{"http://crl.example/delta"}) {
		t.Errorf("freshest: %v", points)
	}
	if string(info.keyID) != "key" {
		t.Errorf("key identifier: %q", info.keyID)
	}
	const want = `delta CRL 7 of "CN=Test CA", issued `
	if text := info.String(); !strings.HasPrefix(text, want) {
		t.Errorf("%s", text)
	}
}

// TestOIDs holds the identifiers to their dots.
func TestOIDs(t *testing.T) {
	for id, dots := range map[oid]string{
		oidKeyUsage: "2.5.29.15", oidIssuerAltName: "2.5.29.18", oidCRLNumber: "2.5.29.20", oidReason: "2.5.29.21", oidInvalidityDate: "2.5.29.24",
		oidDeltaCRLIndicator: "2.5.29.27", oidIssuingPoint: "2.5.29.28", oidCertificateIssuer: "2.5.29.29", oidDistributionPoints: "2.5.29.31",
		oidAuthorityKeyID: "2.5.29.35", oidFreshestCRL: "2.5.29.46", oidPSS: "1.2.840.113549.1.1.10", oidMGF1: "1.2.840.113549.1.1.8",
	} {
		var parsed asn1.ObjectIdentifier
		whole := append([]byte{6, byte(len(id))}, id...)
		if _, err := asn1.Unmarshal(whole, &parsed); err != nil || parsed.String() != dots || id.String() != dots {
			t.Errorf("%v, %v, want %s: %v", parsed, id, dots, err)
		}
	}
}
