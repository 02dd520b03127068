package wire

import (
	"strings"
	"testing"
)

// postfixOffer is what Postfix 3.7.11 and Sendmail 8.17.1.9 send first.
const postfixOffer = "\x00\x00\x00\x0d\x4f\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff"

func TestParseOffer(t *testing.T) {
	for _, c := range []struct {
		data string
		want Offer
		err  string
	}{
		{postfixOffer[5:], Offer{6, 0x1ff, 0x1fffff}, ""},
		{"\x00\x00\x00\x02\x00\x00\x00\x3f\x00\x00\x00\x7f", Offer{2, 0x3f, 0x7f}, ""},
		{postfixOffer[5:] + "\x00\x00\x00\x00j\x00", Offer{6, 0x1ff, 0x1fffff}, ""},
		{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", Offer{1<<32 - 1, 1<<32 - 1, 1<<32 - 1}, ""},
		{postfixOffer[5:16], Offer{}, "11 octets"},
		{"", Offer{}, "0 octets"},
	} {
		got, err := ParseOffer([]byte(c.data))
		if got != c.want || !says(err, c.err) {
			t.Errorf("%q: %+v, %v, want %+v, %q", c.data, got, err, c.want, c.err)
		}
	}
}

// says reports whether err is as it should be: nil for "", else with these words.
func says(err error, words string) bool {
	if words == "" {
		return err == nil
	}
	return err != nil && strings.Contains(err.Error(), words)
}

func TestAccept(t *testing.T) {
	want := Offer{MaxVersion, AddHeaders | ChangeHeaders | SetMacros, NoRcpt | NoBody | NoReplyMail}
	for _, c := range []struct {
		offer, want Offer
		err         string
	}{
		{Offer{6, 0x1ff, 0x1fffff}, Offer{6, 0x111, 0x4018}, ""},
		{Offer{5, 0x1ff, 0x1fffff}, Offer{5, 0x111, 0x4018}, ""},
		{Offer{4, 0x1ff, 0x1fffff}, Offer{4, 0x111, 0x4018}, ""},
		{Offer{3, 0x0ff, 0x1fffff}, Offer{3, 0x011, 0x4018}, ""},
		{Offer{2, 0x03f, 0x00007f}, Offer{2, 0x011, 0x0018}, ""},
		{Offer{7, 0x3ff, 1<<32 - 1}, Offer{6, 0x111, 0x4018}, ""},
		{Offer{1<<32 - 1, 0, 0}, Offer{6, 0, 0}, ""},
		{Offer{1, 0x1ff, 0x1fffff}, Offer{}, "version 1: want 2 to 6"},
		{Offer{0, 0x1ff, 0x1fffff}, Offer{}, "version 0: want 2 to 6"},
	} {
		got, err := c.offer.Accept(want)
		if got != c.want || !says(err, c.err) {
			t.Errorf("%+v: %+v, %v, want %+v, %q", c.offer, got, err, c.want, c.err)
		}
	}
}

func TestAppendNegotiate(t *testing.T) {
	for _, c := range []struct {
		offer Offer
		lists []MacroList
		want  string
	}{
		{Offer{6, 0x1ff, 0x1fffff}, nil, postfixOffer},
		{Offer{2, 0x11, 0x58}, nil, "\x00\x00\x00\x0dO\x00\x00\x00\x02\x00\x00\x00\x11\x00\x00\x00\x58"},
		{
			Offer{6, 0x111, 0},
			[]MacroList{{StageConnect, "j {daemon_name}"}, {StageEOM, ""}, {StageEOH, "i"}},
			"\x00\x00\x00\x2cO\x00\x00\x00\x06\x00\x00\x01\x11\x00\x00\x00\x00" +
				"\x00\x00\x00\x00j {daemon_name}\x00" + "\x00\x00\x00\x05\x00" + "\x00\x00\x00\x06i\x00",
		},
	} {
		if got := string(AppendNegotiate([]byte("x"), c.offer, c.lists...)); got != "x"+c.want {
			t.Errorf("%+v: %q, want %q", c.offer, got, "x"+c.want)
		}
	}
}

// TestBits holds bits and stages against those of mfdef.h and mfapi.h.
func TestBits(t *testing.T) {
	for name, c := range map[string]struct{ got, want uint32 }{
		"SMFIF_ADDHDRS":    {uint32(AddHeaders), 0x1},
		"SMFIF_CHGHDRS":    {uint32(ChangeHeaders), 0x10},
		"SMFIF_SETSYMLIST": {uint32(SetMacros), 0x100},
		"SMFIP_NORCPT":     {uint32(NoRcpt), 0x8},
		"SMFIP_NOBODY":     {uint32(NoBody), 0x10},
		"SMFIP_NOEOH":      {uint32(NoEndOfHeader), 0x40},
		"SMFIP_NR_HDR":     {uint32(NoReplyHeader), 0x80},
		"SMFIP_NOUNKNOWN":  {uint32(NoUnknown), 0x100},
		"SMFIP_NR_CONN":    {uint32(NoReplyConnect), 0x1000},
		"SMFIP_NR_HELO":    {uint32(NoReplyHelo), 0x2000},
		"SMFIP_NR_MAIL":    {uint32(NoReplyMail), 0x4000},
		"SMFIP_NR_RCPT":    {uint32(NoReplyRcpt), 0x8000},
		"SMFIP_NR_UNKN":    {uint32(NoReplyUnknown), 0x20000},
		"SMFIP_NR_EOH":     {uint32(NoReplyEOH), 0x40000},
		"SMFIP_NR_BODY":    {uint32(NoReplyBody), 0x80000},
		"SMFIM_CONNECT":    {uint32(StageConnect), 0},
		"SMFIM_HELO":       {uint32(StageHelo), 1},
		"SMFIM_ENVFROM":    {uint32(StageMail), 2},
		"SMFIM_ENVRCPT":    {uint32(StageRcpt), 3},
		"SMFIM_DATA":       {uint32(StageData), 4},
		"SMFIM_EOM":        {uint32(StageEOM), 5},
		"SMFIM_EOH":        {uint32(StageEOH), 6},
	} {
		if c.got != c.want {
			t.Errorf("%s is %#x, want %#x", name, c.got, c.want)
		}
	}
}
