package fetch

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
)

func TestForbidden(t *testing.T) {
	for text, want := range map[string]string{
		"8.8.8.8": "", "1.1.1.1": "", "172.15.255.255": "", "172.32.0.0": "", "100.63.255.255": "", "100.128.0.0": "", "192.0.1.0": "",
		"198.17.255.255": "", "198.20.0.0": "", "223.255.255.255": "", "::ffff:8.8.8.8": "", "64:ff9b::808:808": "",
		"2600::1": "", "2001:200::1": "", "2a00:1450:4001::1": "", "2606:4700::1%eth0": "",

		"0.0.0.0": "unspecified", "0.1.2.3": "unspecified", "10.0.0.1": "private", "100.64.0.1": "shared (carrier-grade NAT)", "100.127.255.255": "shared (carrier-grade NAT)",
		"127.0.0.1": "loopback", "127.255.255.255": "loopback", "169.254.169.254": "link-local", "172.16.0.1": "private", "172.31.255.255": "private",
		"192.0.0.8": "reserved for protocols", "192.0.2.1": "for documentation", "192.88.99.1": "6to4", "192.168.1.1": "private",
		"198.18.0.1": "for benchmarks", "198.19.255.255": "for benchmarks", "198.51.100.1": "for documentation", "203.0.113.1": "for documentation",
		"224.0.0.1": "multicast", "239.255.255.255": "multicast", "240.0.0.1": "reserved", "255.255.255.255": "reserved",
		"::": "unspecified", "::1": "loopback", "::1%lo": "loopback", "::ffff:127.0.0.1": "loopback", "::ffff:10.0.0.1": "private", "::127.0.0.1": "not global unicast",
		"64:ff9b::7f00:1": "loopback", "64:ff9b::a9fe:a9fe": "link-local", "64:ff9b:1::808:808": "not global unicast", "100::1": "not global unicast",
		"fe80::1": "link-local", "fe80::1%eth0": "link-local", "febf::1": "link-local", "fec0::1": "not global unicast", "fc00::1": "private", "fd12:3456::1": "private",
		"ff02::1": "multicast", "2001::1": "reserved for protocols", "2001:1ff::1": "reserved for protocols", "2001:db8::1": "for documentation",
		"2002:808:808::1": "6to4", "2002:7f00:1::1": "6to4", "3fff::1": "for documentation", "4000::1": "not global unicast", "5f00::1": "not global unicast",
	} {
		if got := forbidden(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s is %q, want %q", text, got, want)
		}
	}
}

func TestHosts(t *testing.T) {
	for host, good := range map[string]bool{
		"crl.example": true, "crl.example.": true, "CRL.Example": true, "8.8.8.8": true, "2600::1": true, "a_b.example": true, "xn--bcher-kva.example": true, "1.example": true,
		"localhost": false, "LOCALHOST.": false, "a.localhost": false, "127.0.0.1": false, "127.0.0.1.": false, "::1": false, "fe80::1%eth0": false, "::ffff:127.0.0.1": false,
		"127.1": false, "2130706433": false, "0x7f.1": false, "0x7f000001": false, "0177.0.0.1": false, "127.0.0.0x1": false, "1.2.3.4.5": false, "8.8.8.08": false,
		"１２７.0.0.1": false, "bücher.example": false, "a b.example": false, "": false, ".": false, "crl.example:80": false, "loca%6chost": false,
	} {
		if err := checkHost(host); (err == nil) != good {
			t.Errorf("%q: %v", host, err)
		} else if err != nil {
			wantError(t, err, ErrForbiddenAddress, "")
		}
	}
}

// TestForbiddenAtConnect: however an address is written or found, no connection is made.
func TestForbiddenAtConnect(t *testing.T) {
	s := raw(t, "HTTP/1.1 200 OK\r\n\r\n"+secret)
	c := newClient(t, Options{Resolver: names{
		"crl.example": {"127.0.0.1"}, "mapped.example": {"::ffff:127.0.0.1"}, "both.example": {"::1", "127.0.0.1"}, "metadata.example": {"169.254.169.254"},
	}.resolver()})
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "crl.example", "mapped.example", "both.example", "metadata.example", "0.0.0.0", "0"} {
		for _, form := range []string{"http://%s:%s/", "https://%s:%s/", "ldap://%s:%s/cn=x", "ldaps://%s:%s/cn=x"} {
			_, err := get(t, c, fmt.Sprintf(form, host, s.port()), 0)
			wantError(t, err, ErrForbiddenAddress, "")
		}
	}
	_, err := c.Post(t.Context(), "http://crl.example:"+s.port(), "text/plain", nil, 0)
	wantError(t, err, ErrForbiddenAddress, "127.0.0.1 is loopback: if it is meant, set [probe] allow_private")
	if n := s.connections.Load(); n != 0 {
		t.Errorf("there were %d connections", n)
	}
}

// TestRedirectToForbidden: the first server is as good as public, where it sends us is not.
func TestRedirectToForbidden(t *testing.T) {
	inner := raw(t, "HTTP/1.1 200 OK\r\n\r\n"+secret)
	outer := rawWith(t, func(_ *server, r *http.Request, conn net.Conn) {
		host := map[string]string{"/literal": "127.0.0.1", "/name": "localhost", "/rebound": "inner.example", "/mapped": "[::ffff:127.0.0.1]"}[r.URL.Path]
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 301 Moved\r\nLocation: http://%s:%s/\r\n\r\n", host, inner.port())
	})
	c := except(newClient(t, Options{Resolver: names{"outer.example": {"127.0.0.1"}, "inner.example": {"127.0.0.1"}}.resolver()}), outer.addr)
	for _, path := range []string{"/literal", "/name", "/rebound", "/mapped"} {
		_, err := get(t, c, "http://outer.example:"+outer.port()+path, 0)
		wantError(t, err, ErrForbiddenAddress, "loopback")
	}
	if inner.connections.Load() != 0 || outer.connections.Load() != 4 {
		t.Errorf("%d connections within, %d without", inner.connections.Load(), outer.connections.Load())
	}
}

// TestRebinding: what counts is the address that is connected to, not one that the name had before.
func TestRebinding(t *testing.T) {
	s := raw(t, "HTTP/1.1 200 OK\r\n\r\nhello")
	n := names{"crl.example": {"127.0.0.1"}}
	c := except(newClient(t, Options{Resolver: n.resolver()}), s.addr)
	if got, err := get(t, c, "http://crl.example:"+s.port(), 0); err != nil || got != "hello" {
		t.Fatalf("got %q, %v", got, err)
	}
	n["crl.example"] = []string{"127.0.0.2"}
	_, err := c.Get(t.Context(), "http://crl.example:"+s.port(), Validators{}, io.Discard, 0)
	wantError(t, err, ErrForbiddenAddress, "127.0.0.2")
}
