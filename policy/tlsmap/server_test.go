package tlsmap

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"domain-secured/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// insisterFunc is an insister without rules.
type insisterFunc func(policy.Destination) *policy.Demand

func (i insisterFunc) Insist(d policy.Destination) *policy.Demand { return i(d) }

// byName insists on the name, but for some names.
func byName(d policy.Destination) *policy.Demand {
	switch {
	case d.Name == "":
		return nil
	case d.Name == "unlisted.example":
		return nil
	case d.Name == "many.example":
		all := make([]string, 10_000)
		for i := range all {
			all[i] = fmt.Sprintf("mail%d.many.example", i)
		}
		return &policy.Demand{Names: all}
	case d.Name == "panic.example":
		panic("as asked")
	case d.Host:
		return &policy.Demand{Names: []string{"[" + d.Name + "]"}, MinTLS: 0x0303, MinBits: 128}
	}
	return &policy.Demand{Names: []string{d.Name}, MinTLS: 0x0303, MinBits: 128}
}

func start(t *testing.T, network, address string) (net.Addr, *Server) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(insisterFunc(byName), Version{3, 7}, slog.New(slog.DiscardHandler))
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return l.Addr(), s
}

func dial(t *testing.T, addr net.Addr) net.Conn {
	t.Helper()
	c, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

func netstring(text string) string { return fmt.Sprintf("%d:%s,", len(text), text) }

func expect(t *testing.T, c net.Conn, answers ...string) {
	t.Helper()
	for _, answer := range answers {
		want := netstring(answer)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
			t.Fatalf("answer %q, %v; want %q", got, err, want)
		}
	}
}

const rest = " ciphers=high protocols=>=TLSv1.2 servername=hostname"

func TestServer(t *testing.T) {
	for _, where := range [][2]string{{"tcp", "127.0.0.1:0"}, {"unix", t.TempDir() + "/door"}} {
		addr, _ := start(t, where[0], where[1])
		c := dial(t, addr)
		say := func(text string) {
			t.Helper()
			if _, err := io.WriteString(c, text); err != nil {
				t.Fatal(err)
			}
		}
		say(netstring("send a.example"))
		expect(t, c, "OK secure match=a.example"+rest)
		// As Postfix goes on, and what is in brackets.
		say(netstring("send unlisted.example"))
		expect(t, c, "NOTFOUND ")
		say(netstring("send .example"))
		expect(t, c, "NOTFOUND ")
		say(netstring("send [a.example]:25"))
		expect(t, c, "OK secure match=[a.example]"+rest)
		// Several at once, octet by octet, and the largest there may be.
		say(netstring("send b.example") + netstring("send unlisted.example") + netstring("send c.example"))
		expect(t, c, "OK secure match=b.example"+rest, "NOTFOUND ", "OK secure match=c.example"+rest)
		for _, octet := range []byte(netstring("send d.example")) {
			say(string(octet))
		}
		expect(t, c, "OK secure match=d.example"+rest)
		say(netstring("send ." + strings.Repeat("x", maxNetstring-6)))
		expect(t, c, "NOTFOUND ")
		// Sendmail's.
		say(netstring("sendmail unlisted.example//"))
		expect(t, c, "OK NONE")
		say(netstring("sendmail .a.example/TLSv1.3/AB:CD"))
		expect(t, c, "OK TEMP+VERIFY:128+CN:a.example")
		say(netstring("sendmail a.example/TLSv1.3/AB:CD"))
		expect(t, c, "OK TEMP+VERIFY:128+CN:a.example")
		say(netstring("sendmail a.example"))
		expect(t, c, "OK TEMP+VERIFY:999")
		// Another map, none at all, and an answer that would be too long: never NOTFOUND.
		say(netstring("sned a.example"))
		expect(t, c, `PERM domain-secured: there are two maps, "send" and "sendmail"`)
		say(netstring("a.example"))
		expect(t, c, `PERM domain-secured: there are two maps, "send" and "sendmail"`)
		say(netstring(""))
		expect(t, c, `PERM domain-secured: there are two maps, "send" and "sendmail"`)
		say(netstring("send"))
		expect(t, c, "NOTFOUND ")
		say(netstring("send many.example"))
		expect(t, c, "TEMP domain-secured: internal-error: the answer is too long: fewer names or pins")
		say(netstring("send a.example"))
		expect(t, c, "OK secure match=a.example"+rest)
	}
}

// TestNoNetstring: who does not speak the protocol hears nothing, and least of all that
// there is no policy.
func TestNoNetstring(t *testing.T) {
	addr, _ := start(t, "tcp", "127.0.0.1:0")
	for _, text := range []string{
		"GET / HTTP/1.0\r\n\r\n", ":send a.example,", "007:send a.example,", "14:send a.example;", "100001:", "99999999999999999999:", "1 4:send a.example,", "-1:,",
		netstring("send panic.example"),
	} {
		c := dial(t, addr)
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(c)
		if len(got) > 0 || os.IsTimeout(err) {
			t.Errorf("%.30q: %q, %v, want the connection closed without an answer", text, got, err)
		}
	}
	// The others go on.
	c := dial(t, addr)
	io.WriteString(c, netstring("send a.example"))
	expect(t, c, "OK secure match=a.example"+rest)
}

// TestOtherVersion: what the Postfix knows may change.
func TestOtherVersion(t *testing.T) {
	addr, s := start(t, "tcp", "127.0.0.1:0")
	s.Use(Version{3, 3})
	c := dial(t, addr)
	io.WriteString(c, netstring("send a.example"))
	expect(t, c, "OK secure match=a.example ciphers=high protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1")
}

// TestShutdown: an idle connection is no reason to wait.
func TestShutdown(t *testing.T) {
	addr, s := start(t, "tcp", "127.0.0.1:0")
	c := dial(t, addr)
	io.WriteString(c, netstring("send a.example"))
	expect(t, c, "OK secure match=a.example"+rest)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if got, err := io.ReadAll(c); len(got) > 0 || os.IsTimeout(err) {
		t.Errorf("%q, %v", got, err)
	}
}

// FuzzNetstring: what is cut off is what a netstring says, whatever follows; and a
// beginning of one is never taken for another.
func FuzzNetstring(f *testing.F) {
	for _, seed := range []string{"", "0:,", "5:hello,", "5:hello,5:world,", "14:send a.example,", "05:hello,", "5:hello;", "5:hel", "100000:", "100001:", ":", "5", "x"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		text, rest, err := cutNetstring(in)
		switch err {
		case nil:
			if again := netstring(string(text)); again+string(rest) != string(in) {
				t.Fatalf("%q is not %q and %q", in, again, rest)
			}
			for n := range len(in) - len(rest) {
				if _, _, err := cutNetstring(in[:n]); err != errUnfinished {
					t.Fatalf("%q, the beginning of %q: %v", in[:n], in, err)
				}
			}
		case errUnfinished:
			if !bytes.Equal(rest, in) {
				t.Fatalf("%q is left of %q", rest, in)
			}
			// However it goes on, no more than this is kept.
			if len(in) > maxNetstring+len("100000:,") {
				t.Fatalf("%d octets, and still unfinished", len(in))
			}
		}
	})
}

// FuzzKey: a key is never taken apart so that a listed name in it gets lost.
func FuzzKey(f *testing.F) {
	for _, seed := range []string{"a.example", "[a.example]", "[a.example]:25", "a.example:25", ".example", "[]", "[", "]", ":", "[::1]:25", " a.example"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, key string) {
		d, ok := parseKey(key)
		if !ok {
			if !strings.HasPrefix(strings.TrimSpace(key), ".") {
				t.Fatalf("%q is no destination", key)
			}
			return
		}
		if !strings.Contains(key, d.Name) || len(d.Name) > len(key) {
			t.Fatalf("%q: %+v", key, d)
		}
		if !strings.ContainsAny(key, "[]:") && d.Name != strings.TrimSpace(key) {
			t.Fatalf("%q: %+v", key, d)
		}
	})
}
