package crl

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"domain-secured/internal/testkit/crlmaker"
	"domain-secured/internal/testkit/pki"
)

func TestBlocks(t *testing.T) {
	ca, other := newCA(t, pki.CAOptions{}), newCA(t, pki.CAOptions{Name: "Other CA"})
	one, two := pemOf(t, by(ca, crlmaker.Number(1))), pemOf(t, by(other, crlmaker.Number(2)))
	garbled := strings.Replace(two, "\nM", "\nN", 1) // no SEQUENCE
	list := []byte(der1(t, by(ca, crlmaker.Number(1))))
	const a, b = "Test CA", "Other CA"
	const key = "PRIVATE KEY"
	for _, c := range []struct {
		name, text string
		issuers    []string
		err        error
		says       string
	}{
		{"DER", string(list), []string{a}, nil, ""},
		{"one", one, []string{a}, nil, ""},
		{"two", one + two, []string{a, b}, nil, ""},
		{"three, two of them of one issuer", one + two + one, []string{a, b, a}, nil, ""},
		{"CRLF", strings.ReplaceAll(one+two, "\n", "\r\n"), []string{a, b}, nil, ""},
		{"no line end", strings.TrimSpace(one + two), []string{a, b}, nil, ""},
		{"words before, between and after", "Certificate Revocation List:\n" + one + "\n# the other's\n----- no block -----\n-----BEGIN here\n" + two + "x", []string{a, b}, nil, ""},
		{"words that begin like DER", "0 words\n" + one, []string{a}, nil, ""},
		{"a long line", strings.Repeat("x", 3*maxElement) + pemBegin + "\n" + one, []string{a}, nil, ""},
		{"a long line whose second part begins like a block", strings.Repeat("x", maxElement) + pemBegin + "\n" + one, []string{a}, nil, ""},
		{"certificate between", one + string(ca.PEM()) + two, nil, ErrMalformed, `"-----BEGIN CERTIFICATE-----" where CRL 2 could be`},
		{"certificate first", string(ca.PEM()) + one, nil, ErrMalformed, `"-----BEGIN CERTIFICATE-----" where CRL 1 could be`},
		{"key after", one + "-----BEGIN " + key + "-----\nAAAA\n-----END " + key + "-----\n", nil, ErrMalformed, key + `-----" where CRL 2 could be`},
		{"second unreadable", one + garbled, nil, ErrMalformed, "CRL 2: "},
		{"second empty", one + pemBegin + "\n" + pemEnd + "\n" + two, nil, ErrTruncated, "CRL 2: "},
		{"second cut off", one + two[:len(two)/2], nil, ErrTruncated, "CRL 2 has no line"},
		{"first without an end", strings.Replace(one, pemEnd+"\n", "", 1) + two, nil, ErrTruncated, "CRL 1 has no line"},
		{"second without a beginning", one + strings.Replace(two, pemBegin, pemBegin[1:], 1), nil, ErrMalformed, "CRL 2 has no line"},
		{"too many", strings.Repeat(one, MaxBlocks+1), nil, ErrTooLarge, "more than 1000"},
		{"words alone", "no list\n", nil, ErrMalformed, "neither DER nor PEM"},
		{"a digit", "0", nil, ErrTruncated, ""},
		{"empty", "", nil, ErrTruncated, ""},
	} {
		blocks, err := Blocks(strings.NewReader(c.text), int64(len(c.text)))
		if !errors.Is(err, c.err) || c.err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %v %q", c.name, err, c.err, c.says)
		}
		if err != nil {
			continue
		}
		if len(blocks) != len(c.issuers) {
			t.Errorf("%s: %d blocks", c.name, len(blocks))
			continue
		}
		for i, want := range map[int]string{0: c.issuers[0], len(blocks) - 1: c.issuers[len(blocks)-1]} {
			if name := nameText(blocks[i].Issuer); name != "CN="+want {
				t.Errorf("%s: block %d is of %s", c.name, i+1, name)
			}
			section := io.NewSectionReader(strings.NewReader(c.text), blocks[i].Offset, blocks[i].Size)
			if _, _, err := readAll(section); err != nil {
				t.Errorf("%s: block %d: %v", c.name, i+1, err)
			}
		}
	}
	if blocks, err := Blocks(strings.NewReader(""), maxText+1); err == nil {
		t.Errorf("%v", blocks)
	}
	if _, err := Blocks(zeros{}, maxText+1); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
}

// zeros is a file without end.
type zeros struct{}

func (zeros) ReadAt(p []byte, _ int64) (int, error) {
	clear(p)
	return len(p), nil
}

// TestBlocksMadeByOpenSSL: as many as openssl finds, in files as it writes them, one behind the other.
func TestBlocksMadeByOpenSSL(t *testing.T) {
	var all []byte
	for n, words := range []bool{true, false, true} {
		ca := newCA(t, pki.CAOptions{Name: fmt.Sprintf("CA %d", n)})
		dir := t.TempDir()
		config := filepath.Join(dir, "config")
		database := filepath.Join(dir, "index.txt")
		out := filepath.Join(dir, "crl.pem")
		for name, content := range map[string]string{config: "[ca]\ndefault_ca = d\n[d]\ndefault_md = sha256\ndefault_crl_days = 7\ndatabase = " + database + "\n",
			database: "R\t361122120000Z\t260102030405Z\t02\tunknown\t/CN=revoked\n"} {
			if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if says, err := openssl(t, "ca", "-gencrl", "-config", config, "-cert", write(t, ca.PEM()), "-keyfile", write(t, ca.KeyPEM()), "-out", out); err != nil {
			t.Fatal(err, says)
		}
		if words {
			if says, err := openssl(t, "crl", "-in", out, "-text", "-out", out+".text"); err != nil {
				t.Fatal(err, says)
			}
			out += ".text"
		}
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data...)
	}
	blocks, err := Blocks(bytes.NewReader(all), int64(len(all)))
	if err != nil || len(blocks) != 3 {
		t.Fatalf("%v, %v", blocks, err)
	}
	for i := range blocks {
		if got := nameText(blocks[i].Issuer); got != fmt.Sprintf("CN=CA %d", i) {
			t.Errorf("block %d is of %s", i+1, got)
		}
		_, entries, err := readAll(io.NewSectionReader(bytes.NewReader(all), blocks[i].Offset, blocks[i].Size))
		if err != nil || len(entries) != 1 {
			t.Errorf("block %d: %v, %v", i+1, entries, err)
		}
	}
	// openssl takes the file, too.
	says, err := openssl(t, "storeutl", "-noout", "-crls", write(t, all))
	if err != nil || !strings.Contains(says, "Total found: 3") {
		t.Errorf("%v: %s", err, says)
	}
}

// FuzzBlocks: what is found is what encoding/pem finds in that place, and words around it change nothing.
func FuzzBlocks(f *testing.F) {
	ca := newCA(f, pki.CAOptions{})
	text, err := crlmaker.PEM(by(ca, crlmaker.Number(1)))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{
		der1(f, by(ca, crlmaker.Number(1))), text, bytes.Repeat(text, 3), append([]byte("words\n"), append(bytes.Clone(text), append([]byte("words"), text...)...)...),
		append(bytes.Clone(text), ca.PEM()...), append(bytes.Clone(text), text[:len(text)/2]...), bytes.ReplaceAll(append(bytes.Clone(text), text...), []byte("\n"), []byte("\r\n")),
		[]byte(pemBegin + "\n" + pemEnd + "\n"), []byte(pemEnd + "\n" + pemBegin), []byte("-----BEGIN \n"),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		blocks, err := Blocks(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			for _, known := range []error{ErrMalformed, ErrTruncated, ErrTooLarge} {
				if errors.Is(err, known) {
					return
				}
			}
			t.Fatalf("an error of no kind: %v", err)
		}
		if data[0] == tagSequence && data[1] >= 0x80 {
			return
		}
		end := int64(0)
		for i, b := range blocks {
			if b.Offset < end || b.Size <= 0 || b.Offset+b.Size > int64(len(data)) || len(b.Issuer) == 0 {
				t.Fatalf("block %d: %+v", i, b)
			}
			end = b.Offset + b.Size
			part := data[b.Offset:end]
			if l, _, err := readAll(bytes.NewReader(part)); err == nil {
				lines := bytes.Split(part, []byte("\n"))
				for n := range lines { // encoding/pem wants them at the beginning of a line
					lines[n] = bytes.TrimSpace(lines[n])
				}
				if block, _ := pem.Decode(bytes.Join(lines, []byte("\n"))); block != nil && l.size != int64(len(block.Bytes)) {
					t.Errorf("block %d: %d octets, not %d", i, len(block.Bytes), l.size)
				}
			}
		}
		around := slices.Concat([]byte("words\n"), data, []byte("\nwords\n"))
		again, err := Blocks(bytes.NewReader(around), int64(len(around)))
		if err != nil || len(again) != len(blocks) {
			t.Errorf("with words around: %d blocks, not %d: %v", len(again), len(blocks), err)
		}
	})
}

// TestBlocksMemory: a file is never in memory as a whole.
func TestBlocksMemory(t *testing.T) {
	ca := newCA(t, pki.CAOptions{})
	text := pemOf(t, by(ca, crlmaker.Number(1)))
	text = strings.Replace(text, pemEnd, strings.Repeat(strings.Repeat("A", 64)+"\n", 50_000)+pemEnd, 1)
	all := []byte(strings.Repeat(text, 8))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	blocks, err := Blocks(bytes.NewReader(all), int64(len(all)))
	runtime.ReadMemStats(&after)
	// Each list's beginning is read into a block of its own.
	if took := after.TotalAlloc - before.TotalAlloc; err != nil || len(blocks) != 8 || took > uint64(8*2*blockSize) || took > uint64(len(all))/4 {
		t.Errorf("%d octets in memory for %d in %d blocks: %v", took, len(all), len(blocks), err)
	}
}

// BenchmarkBlocks is what it costs to find the lists in a file that has changed.
func BenchmarkBlocks(b *testing.B) {
	ca := newCA(b, pki.CAOptions{})
	o := by(ca, crlmaker.Number(1))
	o.Entries = many(50_000)
	text, err := crlmaker.PEM(o)
	if err != nil {
		b.Fatal(err)
	}
	text = bytes.Repeat(text, 16)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := Blocks(bytes.NewReader(text), int64(len(text))); err != nil {
			b.Fatal(err)
		}
	}
}
