package tlsrpt

import (
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unsafe"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// As Postfix 3.11.6 sent them.
const (
	success = `{"dpv": "1","d": "d1.test","pr": "v=TLSRPTv1; rua=mailto:rpt@d1.test","policies":[{"policy-type":9,"policy-domain": "d1.test","t":0,"f":0}]}`
	failed  = `{"dpv": "1","d": "d7.test","pr": "...","policies":[{"policy-type":9,"policy-domain": "d7.test","failure-details":[{"c":205,"s": "127.0.0.1","n": "mx.d7.test","h": "250-mx...\r\n250 CHUNKING","r": "127.77.2.7","f": "self-signed_certificate"}],"t":1,"f":1}]}`
)

func listed(domain string) string {
	if domain = strings.ToLower(domain); strings.HasSuffix(domain, ".test") {
		return domain
	}
	return ""
}

// faultless fails a test in which something panics.
func faultless(t testing.TB) func(error) { return func(err error) { t.Error(err) } }

func TestServer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tlsrpt.sock")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(listed, time.Now, faultless(t))
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	c, err := net.Dial("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	datagrams := []string{
		success, strings.Replace(success, "d1.test", "D1.Test", 1), strings.Replace(success, `"dpv": "1",`, "", 1), failed,
		strings.Replace(failed, "205", "999", 1), strings.ReplaceAll(failed, `"f":1}`, `"f":0}`),
		strings.ReplaceAll(success, "d1.test", "d1.org"),
		// What cannot be read is counted.
		"", "{}", "x", strings.Replace(success, `"1"`, `"2"`, 1), strings.Replace(success, `"f":0`, `"f":2`, 1), strings.Replace(success, `,"f":0`, "", 1),
		`{"d": "d1.test","policies":[]}`, `{"d": "","policies":[{"f":0}]}`,
	}
	for _, text := range datagrams {
		if _, err := c.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); s.Summary().Read < uint64(len(datagrams)); {
		if time.Now().After(deadline) {
			t.Fatal("not all datagrams were heard")
		}
		time.Sleep(time.Millisecond)
	}
	got := s.Summary()
	if got.Unknown != 8 || len(got.Partners) != 2 || time.Since(got.Last) > time.Minute {
		t.Errorf("%+v", got)
	}
	if c := got.Partners["d1.test"]; c.Successes != 3 || len(c.Failures) != 0 {
		t.Errorf("%+v", c)
	}
	d7 := got.Partners["d7.test"]
	if d7.Successes != 1 || !maps.Equal(d7.Failures, map[ResultType]uint64{"validation-failure": 2, "other": 1}) ||
		d7.LastFail.Host != "mx.d7.test" || d7.LastFail.Text != "self-signed_certificate" {
		t.Errorf("%+v", d7)
	}
	l.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestBounds(t *testing.T) {
	s := NewServer(listed, time.Now, faultless(t))
	for i := range maxPartners + 10 {
		s.take(fmt.Appendf(nil, `{"d": "d%d.test","policies":[{"f":0}]}`, i))
	}
	if n := len(s.Summary().Partners); n != maxPartners {
		t.Errorf("%d domains", n)
	}
	s.take([]byte(`{"d": "d1.test","policies":[{"f":1,"failure-details":[` + strings.Repeat(`{"c":201},`, 200) + `{"c":201,"n":"` + strings.Repeat("x\\u001b", 5000) + `"}]}]}`))
	if c := s.Summary().Partners["d1.test"]; c.Failures["starttls-not-supported"] != maxFailures || len(c.LastFail.Host) > 3*maxText {
		t.Errorf("%+v", c)
	}
}

// FuzzReport: what is accepted is within its bounds, and takes no more than it says.
func FuzzReport(f *testing.F) {
	f.Add([]byte(success))
	f.Add([]byte(failed))
	f.Fuzz(func(t *testing.T, datagram []byte) {
		r, err := parse(datagram)
		if err != nil {
			return
		}
		n := 0
		for _, p := range r.policies {
			n += len(p.failures)
		}
		if r.domain == "" || len(r.policies) == 0 || n > maxFailures {
			t.Errorf("%+v", r)
		}
		s := NewServer(func(string) string { return "d1.test" }, time.Now, faultless(t))
		s.take(datagram)
		got := s.Summary()
		var total uint64
		for _, k := range got.Partners["d1.test"].Failures {
			total += k
		}
		if got.Read != 1 || got.Unknown != 0 || total != uint64(n) {
			t.Errorf("%+v of %+v", got, r)
		}
	})
}

// TestQuoteIsSmall: what is quoted does not keep a whole datagram in memory.
func TestQuoteIsSmall(t *testing.T) {
	long := strings.Repeat("x", maxDatagram)
	if q := quote(long); len(q) != maxText || unsafe.StringData(q) == unsafe.StringData(long) {
		t.Errorf("%d octets, of the datagram's own", len(q))
	}
}

// TestServerOutlivesPanics: a report that makes it panic is counted as one that cannot
// be read, and those behind it are heard. It is said once.
func TestServerOutlivesPanics(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tlsrpt.sock")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	var complaints []string
	s := NewServer(func(domain string) string {
		if domain == "breaks.test" {
			panic("as asked")
		}
		return listed(domain)
	}, time.Now, func(err error) { complaints = append(complaints, err.Error()) })
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	c, err := net.Dial("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, domain := range []string{"d1.test", "breaks.test", "d1.test", "breaks.test", "d1.test"} {
		if _, err := c.Write([]byte(strings.Replace(success, "d1.test", domain, 1))); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(time.Minute); s.Summary().Read < 5; {
		if time.Now().After(deadline) {
			t.Fatal("not all datagrams were heard")
		}
		time.Sleep(time.Millisecond)
	}
	l.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if got := s.Summary(); got.Unknown != 2 || got.Partners["d1.test"].Successes != 3 {
		t.Errorf("%+v", got)
	}
	if len(complaints) != 1 || !strings.HasPrefix(complaints[0], "reading a TLSRPT datagram: panic: as asked\n") || !strings.Contains(complaints[0], "server_test.go") {
		t.Errorf("%q", complaints)
	}
}
