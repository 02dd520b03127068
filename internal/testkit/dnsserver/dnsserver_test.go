package dnsserver

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, zone string) *Server {
	t.Helper()
	s, err := Start(zone)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// query asks with the library's own client, which is not what the tests of others use.
func query(t *testing.T, s *Server, network, name string, kind uint16, edns bool) (*dns.Msg, error) {
	t.Helper()
	return queryFor(t, 10*time.Second, s, network, name, kind, edns)
}

func queryFor(t *testing.T, patience time.Duration, s *Server, network, name string, kind uint16, edns bool) (*dns.Msg, error) {
	t.Helper()
	q := new(dns.Msg).SetQuestion(name, kind)
	if edns {
		q.SetEdns0(1232, true)
	}
	client := dns.Client{Net: network, Timeout: patience}
	reply, _, err := client.Exchange(q, s.Addr())
	return reply, err
}

const zone = `
example.com 60 IN MX 10 mx.example.com
mx.example.com A 192.0.2.1
mx.example.com A 192.0.2.2
alias.example.com CNAME mx.example.com
deep.er.example.com TXT "x"
nowhere.example.com CNAME gone.example.net
`

func TestAnswers(t *testing.T) {
	s := start(t, zone)
	s.Secure("example.com")
	s.Insecure("deep.er.example.com")
	for _, c := range []struct {
		name    string
		kind    uint16
		rcode   int
		records int
		secure  bool
	}{
		{"example.com.", dns.TypeMX, dns.RcodeSuccess, 1, true},
		{"EXAMPLE.com.", dns.TypeMX, dns.RcodeSuccess, 1, true},
		{"mx.example.com.", dns.TypeA, dns.RcodeSuccess, 2, true},
		{"mx.example.com.", dns.TypeAAAA, dns.RcodeSuccess, 0, true},
		{"alias.example.com.", dns.TypeA, dns.RcodeSuccess, 3, true},
		{"alias.example.com.", dns.TypeAAAA, dns.RcodeSuccess, 1, true},
		{"er.example.com.", dns.TypeA, dns.RcodeSuccess, 0, true},
		{"deep.er.example.com.", dns.TypeTXT, dns.RcodeSuccess, 1, false},
		{"none.example.com.", dns.TypeA, dns.RcodeNameError, 0, true},
		{"nowhere.example.com.", dns.TypeA, dns.RcodeNameError, 1, false},
		{"example.net.", dns.TypeA, dns.RcodeNameError, 0, false},
	} {
		for _, network := range []string{"udp", "tcp"} {
			reply, err := query(t, s, network, c.name, c.kind, true)
			if err != nil {
				t.Fatal(err)
			}
			if reply.Rcode != c.rcode || len(reply.Answer) != c.records || reply.AuthenticatedData != c.secure {
				t.Errorf("%s %s: %v", network, c.name, reply)
			}
		}
	}
	if n := s.Asked("mx.example.com", ""); n != 4 {
		t.Errorf("asked %d times", n)
	}
	if n := s.Asked("mx.example.com", "A"); n != 2 {
		t.Errorf("asked %d times", n)
	}
	if reply, err := query(t, s, "udp", "example.com.", dns.TypeMX, false); err != nil || reply.AuthenticatedData {
		t.Errorf("without being asked for AD: %v, %v", reply, err)
	}
	s.Remove("mx.example.com", "A")
	if reply, err := query(t, s, "udp", "mx.example.com.", dns.TypeA, true); err != nil || reply.Rcode != dns.RcodeNameError {
		t.Errorf("removed: %v, %v", reply, err)
	}
}

func TestTruncatesWhatIsTooLong(t *testing.T) {
	var b strings.Builder
	for i := range 200 {
		fmt.Fprintf(&b, "many.example A 192.0.2.%d\n", i)
	}
	s := start(t, b.String())
	if reply, err := query(t, s, "udp", "many.example.", dns.TypeA, true); err != nil || !reply.Truncated {
		t.Errorf("over UDP: %v, %v", reply, err)
	}
	if reply, err := query(t, s, "tcp", "many.example.", dns.TypeA, true); err != nil || reply.Truncated || len(reply.Answer) != 200 {
		t.Errorf("over TCP: %v, %v", reply, err)
	}
}

func TestBehaviours(t *testing.T) {
	s := start(t, zone)
	for behaviour, want := range map[Behaviour]func(udp, tcp *dns.Msg) bool{
		ServFail: func(udp, _ *dns.Msg) bool {
			return udp.Rcode == dns.RcodeServerFailure && len(udp.IsEdns0().Option) == 0
		},
		Bogus: func(udp, _ *dns.Msg) bool {
			return udp.Rcode == dns.RcodeServerFailure && udp.IsEdns0().Option[0].(*dns.EDNS0_EDE).InfoCode == 6
		},
		Unreachable: func(udp, _ *dns.Msg) bool {
			return udp.Rcode == dns.RcodeServerFailure && udp.IsEdns0().Option[0].(*dns.EDNS0_EDE).InfoCode == 22
		},
		Refused: func(udp, _ *dns.Msg) bool { return udp.Rcode == dns.RcodeRefused },
		Truncated: func(udp, tcp *dns.Msg) bool {
			return udp.Truncated && len(udp.Answer) == 0 && !tcp.Truncated && len(tcp.Answer) == 1
		},
		TruncatedTwice: func(udp, tcp *dns.Msg) bool { return udp.Truncated && tcp.Truncated },
		OtherQuestion:  func(udp, _ *dns.Msg) bool { return udp.Question[0].Name == "other.example." },
		Silent:         nil,
		NotADNSMessage: nil,
		OtherID:        nil,
	} {
		s.Behave("example.com", "MX", behaviour, 2)
		patience := 10 * time.Second
		if want == nil {
			patience = 200 * time.Millisecond
		}
		asked := s.Asked("example.com", "MX")
		udp, udpErr := queryFor(t, patience, s, "udp", "example.com.", dns.TypeMX, true)
		tcp, tcpErr := queryFor(t, patience, s, "tcp", "example.com.", dns.TypeMX, true)
		for s.Asked("example.com", "MX") < asked+2 {
			time.Sleep(time.Millisecond) // whoever had no patience was not heard yet
		}
		if want == nil {
			if udpErr == nil || tcpErr == nil {
				t.Errorf("behaviour %d: %v, %v", behaviour, udpErr, tcpErr)
			}
		} else if udpErr != nil || tcpErr != nil || !want(udp, tcp) {
			t.Errorf("behaviour %d: %v %v, %v %v", behaviour, udp, udpErr, tcp, tcpErr)
		}
		if reply, err := query(t, s, "udp", "example.com.", dns.TypeMX, true); err != nil || len(reply.Answer) != 1 {
			t.Errorf("after behaviour %d: %v, %v", behaviour, reply, err)
		}
	}
	s.Behave("mx.example.com", "", Refused, 0)
	for range 3 {
		if reply, err := query(t, s, "udp", "mx.example.com.", dns.TypeAAAA, true); err != nil || reply.Rcode != dns.RcodeRefused {
			t.Errorf("%v, %v", reply, err)
		}
	}
}

func TestBadZone(t *testing.T) {
	if s, err := Start("example.com MX"); err == nil {
		s.Close()
		t.Error("taken")
	}
}
