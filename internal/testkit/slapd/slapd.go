// Package slapd runs OpenLDAP's server to test with.
package slapd

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/testkit/pki"
)

// A Directory is a private slapd on loopback.
type Directory struct {
	Plain, TLS string // host:port, for ldap and for ldaps
	CA         *pki.CA
}

// find returns the program, whose folder is not in an ordinary user's PATH.
func find(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"slapd", "/usr/sbin/slapd"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("no slapd: apt-get install -y --no-install-recommends slapd")
	}
	t.Skip("no slapd")
	return ""
}

// Start runs a slapd with these entries, LDIF below dc=example, until the test ends.
// Its certificate is for ldap.example and 127.0.0.1. Nobody may read cn=hidden.
// With CI set, there must be a slapd.
func Start(t testing.TB, entries ...string) *Directory {
	t.Helper()
	program := find(t)
	dir := t.TempDir()
	ca, err := pki.NewCA(pki.CAOptions{Name: "Directory CA"})
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Leaf(pki.LeafOptions{DNSNames: []string{"ldap.example"}, Names: []pki.Name{pki.IP(netip.MustParseAddr("127.0.0.1"))}})
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string, data []byte) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	if err := os.Mkdir(filepath.Join(dir, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	config := file("slapd.conf", fmt.Appendf(nil, `include /etc/ldap/schema/core.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile %[1]s/pid
TLSCACertificateFile %[2]s
TLSCertificateFile %[3]s
TLSCertificateKeyFile %[4]s
access to dn.base="cn=hidden,dc=example" by * none
access to * by * read
database mdb
suffix "dc=example"
directory %[1]s/db
maxsize 104857600
`, dir, file("ca.pem", ca.PEM()), file("cert.pem", cert.PEM()), file("key.pem", cert.KeyPEM())))
	add := exec.Command(program, "-T", "add", "-f", config, "-l", file("entries.ldif", []byte("dn: dc=example\nobjectClass: organization\nobjectClass: dcObject\no: Example\ndc: example\n\n"+strings.Join(entries, "\n"))))
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("slapadd: %v\n%s", err, out)
	}
	// slapd cannot be told to take any port, so one that was free a moment ago may be taken.
	for range 5 {
		d := &Directory{Plain: freeAddress(t), TLS: freeAddress(t), CA: ca}
		if d.start(t, program, config) {
			return d
		}
	}
	t.Fatal("slapd does not start")
	return nil
}

// start runs slapd in the foreground until the test ends. It reports whether that
// slapd answers.
func (d *Directory) start(t testing.TB, program, config string) bool {
	t.Helper()
	var log bytes.Buffer
	command := exec.Command(program, "-d", "0", "-f", config, "-h", "ldap://"+d.Plain+"/ ldaps://"+d.TLS+"/")
	command.Stdout, command.Stderr = &log, &log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = command.Wait()
		close(ended)
	}()
	stop := func() {
		_ = command.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = command.Process.Kill()
			<-ended
		}
	}
	for range 1000 {
		conn, err := net.Dial("tcp", d.TLS)
		if err == nil {
			conn.Close()
			t.Cleanup(stop)
			return true
		}
		select {
		case <-ended:
			t.Logf("slapd ended: %s", log.String())
			return false
		case <-time.After(10 * time.Millisecond):
		}
	}
	stop()
	t.Logf("slapd does not listen: %s", log.String())
	return false
}

func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// Point is the LDIF of a distribution point with values of an attribute.
func Point(name, attribute string, values ...[]byte) string {
	var b strings.Builder
	fmt.Fprintf(&b, "dn: cn=%s,dc=example\nobjectClass: cRLDistributionPoint\ncn: %s\n", strings.ReplaceAll(name, ",", `\,`), name)
	for _, value := range values {
		fmt.Fprintf(&b, "%s:: %s\n", attribute, base64.StdEncoding.EncodeToString(value))
	}
	return b.String()
}
