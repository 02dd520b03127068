package partner

import (
	"net/netip"
	"testing"
)

func TestGlobal(t *testing.T) {
	for address, want := range map[string]bool{
		"8.8.8.8": true, "1.0.0.0": true, "9.255.255.255": true, "11.0.0.0": true, "223.255.255.255": true,
		"0.0.0.0": false, "0.255.255.255": false,
		"10.0.0.0": false, "10.255.255.255": false,
		"100.63.255.255": true, "100.64.0.0": false, "100.127.255.255": false, "100.128.0.0": true,
		"126.255.255.255": true, "127.0.0.1": false, "127.255.255.255": false, "128.0.0.0": true,
		"169.253.255.255": true, "169.254.0.0": false, "169.254.169.254": false, "169.254.255.255": false, "169.255.0.0": true,
		"172.15.255.255": true, "172.16.0.0": false, "172.31.255.255": false, "172.32.0.0": true,
		"191.255.255.255": true, "192.0.0.0": false, "192.0.0.255": false, "192.0.1.0": true, "192.0.2.1": false, "192.0.3.0": true,
		"192.88.98.255": true, "192.88.99.1": false, "192.88.100.0": true,
		"192.167.255.255": true, "192.168.0.0": false, "192.168.255.255": false, "192.169.0.0": true,
		"198.17.255.255": true, "198.18.0.0": false, "198.19.255.255": false, "198.20.0.0": true,
		"198.51.99.255": true, "198.51.100.0": false, "198.51.101.0": true,
		"203.0.112.255": true, "203.0.113.255": false, "203.0.114.0": true,
		"224.0.0.1": false, "239.255.255.255": false, "240.0.0.1": false, "255.255.255.255": false,

		"::": false, "::1": false, "::2": false, "::127.0.0.1": false,
		"::ffff:127.0.0.1": false, "::ffff:8.8.8.8": false, "::ffff:0:8.8.8.8": false,
		"64:ff9b::8.8.8.8": false, "64:ff9b:1::1": false, "100::1": false, "1fff:ffff::1": false,
		"2001::1": false, "2001:0:4136:e378::1": false, "2001:20::1": false, "2001:1ff:ffff::1": false, "2001:200::1": true,
		"2001:db7:ffff::1": true, "2001:db8::1": false, "2001:db8:ffff::1": false, "2001:db9::1": true,
		"2001:4860:4860::8888": true,
		"2002::1":              false, "2002:7f00:1::1": false, "2002:ffff::": false, "2003::1": true,
		"3ffe:ffff::1": true, "3fff::1": false, "3fff:fff:ffff::1": false, "3fff:1000::1": true,
		"4000::1": false, "5f00::1": false, "fc00::1": false, "fdff::1": false,
		"fe80::1": false, "fe80::1%lo": false, "febf::1": false, "fec0::1": false, "ff02::1": false, "ffff::1": false,
		"2001:4860:4860::8888%eth0": false,
	} {
		if got := Global(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
	if Global(netip.Addr{}) {
		t.Error("no address at all is global")
	}
}

func TestNames(t *testing.T) {
	long := ""
	for range 64 {
		long += "a"
	}
	for _, c := range []struct {
		name, want string
		host       bool
	}{
		{"Example.COM", "example.com", true},
		{"example.com.", "example.com", true},
		{"_25._tcp.mx.example", "_25._tcp.mx.example", true},
		{"xn--bcher-kva.example", "xn--bcher-kva.example", true},
		{"192.0.2.1", "192.0.2.1", false},
		{"mx.example.1", "mx.example.1", false},
		{"", "", false}, {".", "", false}, {"a..b", "", false}, {".a", "", false}, {"a b.example", "", false},
		{"a\\032b.example", "", false}, {"bücher.example", "", false}, {"a\r\nQUIT", "", false}, {"a\x00.example", "", false},
		{long + ".example", "", false}, {long[1:] + ".example", long[1:] + ".example", true},
		{long[1:] + "." + long[1:] + "." + long[1:] + "." + long[3:], long[1:] + "." + long[1:] + "." + long[1:] + "." + long[3:], true},
		{long[1:] + "." + long[1:] + "." + long[1:] + "." + long[2:], "", false},
	} {
		name, err := cleanName(c.name)
		if name != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q: %q, %v", c.name, name, err)
		}
		if _, err := cleanHost(c.name); (err == nil) != c.host {
			t.Errorf("%q as a host: %v", c.name, err)
		}
	}
}
