package wire

import "testing"

func TestAppendReplyCode(t *testing.T) {
	for _, c := range []struct{ code, enhanced, text, want string }{
		{"450", "4.7.5", "because", "\x00\x00\x00\x13y450 4.7.5 because\x00"},
		{"550", "5.7.1", "", "\x00\x00\x00\x0cy550 5.7.1 \x00"},
		{"450", "4.7.1", "100% %%", "\x00\x00\x00\x16y450 4.7.1 100%% %%%%\x00"},
		{"450", "4.7.1", "a\r\n250 ok\x00\tb", "\x00\x00\x00\x18y450 4.7.1 a??250 ok??b\x00"},
		{"450", "4.7.1", "dom\xc3\xa4n\x7f~ ", "\x00\x00\x00\x15y450 4.7.1 dom??n?~ \x00"},
	} {
		if got := string(AppendReplyCode([]byte("x"), c.code, c.enhanced, c.text)); got != "x"+c.want {
			t.Errorf("%q: %q, want %q", c.text, got, "x"+c.want)
		}
	}
}

func TestAppendInsertHeader(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"Domain-Secured", "mx; a=b", "\x00\x00\x00\x1ci\x00\x00\x00\x00Domain-Secured\x00mx; a=b\x00"},
		{"X", "a;\n  b", "\x00\x00\x00\x0ei\x00\x00\x00\x00X\x00a;\n  b\x00"},
		{"X", "a\x00b", "\x00\x00\x00\x0bi\x00\x00\x00\x00X\x00a?b\x00"},
	} {
		if got := string(AppendInsertHeader([]byte("x"), c.name, c.body)); got != "x"+c.want {
			t.Errorf("%q: %q, want %q", c.body, got, "x"+c.want)
		}
	}
}

func TestAppendDeleteHeader(t *testing.T) {
	for index, want := range map[int]string{
		1:      "\x00\x00\x00\x08m\x00\x00\x00\x01X\x00\x00",
		7:      "\x00\x00\x00\x08m\x00\x00\x00\x07X\x00\x00",
		0x1234: "\x00\x00\x00\x08m\x00\x00\x12\x34X\x00\x00",
	} {
		if got := string(AppendDeleteHeader([]byte("x"), "X", index)); got != "x"+want {
			t.Errorf("%d: %q, want %q", index, got, "x"+want)
		}
	}
}
