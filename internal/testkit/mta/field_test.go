package mta

import (
	"fmt"
	"testing"
)

func TestParseFields(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"":                              `[] ""`,
		"A: 1\nb:2\n\nbody\n\nmore\n":   `["A: 1" "b:2"] "body\n\nmore\n"`,
		"A: 1\n\t2\n 3\nB :\n\n":        `["A: 1\n\t2\n 3" "B :"] ""`,
		"A: 1\n B: 2\n":                 `["A: 1\n B: 2"] ""`,
		"A: 1\nno field\nB: 2\n\nbody":  `["A: 1"] "no field\nB: 2\n\nbody"`,
		"A: 1\nDomäin: 2\n\nbody":       `["A: 1"] "Domäin: 2\n\nbody"`,
		" A: 1\n":                       `[] " A: 1\n"`,
		": 1\n":                         `[] ": 1\n"`,
		"\nA: 1\n":                      `[] "A: 1\n"`,
		"A: 1\nB: 2":                    `["A: 1" "B: 2"] ""`,
		"Two words: 1\n\nbody":          `[] "Two words: 1\n\nbody"`,
		"DOMAIN-SECURED\t : x:y\n\nz\n": `["DOMAIN-SECURED\t : x:y"] "z\n"`,
	} {
		fields, rest := ParseFields(raw)
		if got := fmt.Sprintf("%q %q", fields, rest); got != want {
			t.Errorf("%q: %s, want %s", raw, got, want)
		}
	}
}

func TestParseMessage(t *testing.T) {
	t.Parallel()
	m := parseMessage([]byte("Return-Path: <a@b>\nX-Original-To: c@d\nDelivered-To: c@d\nSUBJECT :\n one\n\ttwo \nSubject: three\n\nbody\n"))
	if m.Sender != "a@b" || m.Recipient != "c@d" || string(m.Body) != "body\n" || len(m.Fields) != EnvelopeFields+2 {
		t.Errorf("%+v", m)
	}
	if got := fmt.Sprintf("%q", m.Header["Subject"]); got != `["one two" "three"]` || !m.Fields[3].Is("Subject") || m.Fields[3].Is("Subjec") {
		t.Errorf("%s, %q", got, m.Fields[3])
	}
}
