package partner

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestReadReply(t *testing.T) {
	for _, c := range []struct {
		text, want string // code and lines, or part of the error
		bad        bool
	}{
		{"220 hello\r\n", "220 hello", false},
		{"220\r\n", "220 ", false},
		{"220 \n", "220 ", false},
		{"250-a\r\n250-b c\r\n250 d\r\n", "250 a|b c|d", false},
		{"250-a\n250\n", "250 a|", false},
		{"220 a\r\r\n", "220 a?", false},
		{"554 " + strings.Repeat("x", maxLine-6) + "\r\n", "554 " + strings.Repeat("x", maxText-4), false},
		{"554 " + strings.Repeat("x", maxLine-5) + "\r\n", "more than 2048 octets", true},
		{strings.Repeat("250-x\r\n", 99) + "250 x\r\n", "250 " + strings.Repeat("x|", 99) + "x", false},
		{strings.Repeat("250-x\r\n", 100) + "250 x\r\n", "more than 100 lines", true},
		{"250-a\r\n251 b\r\n", "codes 250 and 251", true},
		{"\r\n", "not an SMTP reply", true}, {"22\r\n", "not an SMTP reply", true}, {"2200 x\r\n", "not an SMTP reply", true},
		{"220_x\r\n", "not an SMTP reply", true}, {"120 x\r\n", "not an SMTP reply", true}, {"620 x\r\n", "not an SMTP reply", true},
		{"2x0 x\r\n", "not an SMTP reply", true}, {" 220 x\r\n", "not an SMTP reply", true},
		{"220 hello", "EOF", true}, {"", "EOF", true}, {"220-hello\r\n", "EOF", true},
	} {
		r, err := readReply(bufio.NewReaderSize(strings.NewReader(c.text), maxLine))
		if c.bad {
			if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, errBadReply) == errors.Is(err, io.EOF) {
				t.Errorf("%.30q: %v, %v", c.text, r, err)
			}
			continue
		}
		got := reply{r.code, []string{strings.Join(r.lines, "|")}}.String()
		if err != nil || got != c.want {
			t.Errorf("%.30q: %q, %v", c.text, got, err)
		}
	}
}

func FuzzReply(f *testing.F) {
	f.Add([]byte("220 hello\r\n250-a\r\n250 STARTTLS\r\n"))
	f.Add([]byte("250-a\n250-\n250\n"))
	f.Add([]byte("250-a\r\n251 b\r\n"))
	f.Add([]byte("220 \x00\x1b\xff\r\n"))
	f.Add([]byte(strings.Repeat("x", 3000)))
	f.Add([]byte(strings.Repeat("250-\n", 120)))
	f.Fuzz(func(t *testing.T, data []byte) {
		source := bytes.NewReader(data)
		reader := bufio.NewReaderSize(source, maxLine)
		for {
			before := source.Len() + reader.Buffered()
			r, err := readReply(reader)
			if err != nil {
				if len(r.lines) > 0 || !errors.Is(err, errBadReply) && !errors.Is(err, io.EOF) || len(err.Error()) > 3*maxText {
					t.Fatalf("%v with %v", err, r)
				}
				return
			}
			used := before - source.Len() - reader.Buffered()
			size := 0
			for _, line := range r.lines {
				size += 3 + len(line) + 1
				if strings.Contains(line, "\n") || len(line) > maxLine-4 {
					t.Errorf("a line of %d", len(line))
				}
			}
			if r.code < 200 || r.code > 599 || len(r.lines) == 0 || len(r.lines) > maxReplyLines || size > used {
				t.Errorf("%d, %d lines, %d of %d octets", r.code, len(r.lines), size, used)
			}
			for _, octet := range []byte(r.String()) {
				if octet < ' ' || octet > '~' {
					t.Errorf("%q", r.String())
				}
			}
			r.lists("STARTTLS")
		}
	})
}

// FuzzHeard takes what a server may say up to its certificates.
func FuzzHeard(f *testing.F) {
	f.Add([]byte{22, 3, 3, 0, 14, 11, 0, 0, 10, 0, 0, 7, 0, 0, 4, 1, 2, 3, 4})
	f.Add([]byte{22, 3, 3, 0, 5, 2, 0, 0, 1, 0, 22, 3, 3, 0, 14, 11, 0, 0, 10, 0, 0, 7, 0, 0, 4, 1, 2, 3, 4})
	f.Add([]byte{22, 3, 3, 0, 7, 11, 0, 0, 10, 0, 0, 7, 22, 3, 3, 0, 7, 0, 0, 4, 1, 2, 3, 4})
	f.Add([]byte{22, 3, 3, 0, 14, 11, 0, 0, 10, 0, 0, 7, 0, 0, 9, 1, 2, 3, 4})
	f.Add([]byte{21, 3, 3, 0, 2, 2, 40})
	for i, seed := range [][]byte{
		{22, 3, 3, 0, 14, 11, 0, 0, 10, 0, 0, 7, 0, 0, 4, 1, 2, 3, 4},
		{22, 3, 3, 0, 7, 11, 0, 0, 10, 0, 0, 7, 22, 3, 3, 0, 7, 0, 0, 4, 1, 2, 3, 4},
	} {
		if got := heardCertificates(seed); len(got) != 1 || !bytes.Equal(got[0], []byte{1, 2, 3, 4}) {
			f.Errorf("seed %d: %x", i, got)
		}
	}
	f.Fuzz(func(t *testing.T, heard []byte) {
		size := 0
		for _, der := range heardCertificates(heard) {
			if size += 3 + len(der); len(der) == 0 || size > len(heard) {
				t.Errorf("%d octets out of %d", size, len(heard))
			}
		}
		found := new(TLS)
		found.keep(heardCertificates(heard))
		if len(found.Chain) > maxPresented || len(found.Chain) > found.Presented {
			t.Errorf("%d of %d", len(found.Chain), found.Presented)
		}
	})
}
