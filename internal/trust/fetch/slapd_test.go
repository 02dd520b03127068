package fetch

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/testkit/pki"
)

// directory is a private slapd on loopback.
type directory struct {
	plain, tls string // host:port
	ca         *pki.CA
}

// slapd returns the program, whose folder is not in an ordinary user's PATH.
func slapd(t testing.TB) string {
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

// startDirectory runs a slapd with these entries, LDIF below dc=example.
func startDirectory(t testing.TB, entries string) *directory {
	t.Helper()
	program := slapd(t)
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
	add := exec.Command(program, "-T", "add", "-f", config, "-l", file("entries.ldif", []byte("dn: dc=example\nobjectClass: organization\nobjectClass: dcObject\no: Example\ndc: example\n\n"+entries)))
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("slapadd: %v\n%s", err, out)
	}
	// slapd cannot be told to take any port, so one that was free a moment ago may be taken.
	for range 5 {
		d := &directory{plain: freeAddress(t), tls: freeAddress(t), ca: ca}
		if d.start(t, program, config) {
			return d
		}
	}
	t.Fatal("slapd does not start")
	return nil
}

// start runs slapd in the foreground until the test ends. It reports whether that
// slapd answers.
func (d *directory) start(t testing.TB, program, config string) bool {
	t.Helper()
	var log bytes.Buffer
	command := exec.Command(program, "-d", "0", "-f", config, "-h", "ldap://"+d.plain+"/ ldaps://"+d.tls+"/")
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
		conn, err := net.Dial("tcp", d.tls)
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

// point is the LDIF of a distribution point with values of an attribute.
func point(name, attribute string, values ...[]byte) string {
	var b strings.Builder
	fmt.Fprintf(&b, "dn: cn=%s,dc=example\nobjectClass: cRLDistributionPoint\ncn: %s\n", strings.ReplaceAll(name, ",", `\,`), name)
	for _, value := range values {
		fmt.Fprintf(&b, "%s:: %s\n", attribute, base64.StdEncoding.EncodeToString(value))
	}
	return b.String()
}

// crl makes one with that many entries of about 40 octets each.
func crl(t testing.TB, entries int) []byte {
	t.Helper()
	ca, err := pki.NewCA(pki.CAOptions{})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	template := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: at, NextUpdate: at.Add(time.Hour)}
	for i := range entries {
		serial := sha256.Sum256(big.NewInt(int64(i)).Bytes())
		serial[0] = 1
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: new(big.Int).SetBytes(serial[:20]), RevocationTime: at})
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, ca.Certificate.Leaf, ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestDirectory(t *testing.T) {
	big, small, other := crl(t, 140_000), crl(t, 1), crl(t, 2)
	if len(big) < 5<<20 {
		t.Fatalf("the CRL has only %d octets", len(big))
	}
	const crlAttribute = "certificateRevocationList;binary"
	d := startDirectory(t, strings.Join([]string{
		point("big", crlAttribute, big),
		point("Small CA, Inc.?", crlAttribute, small),
		point("authorities", "authorityRevocationList;binary", small),
		point("delta", "deltaRevocationList;binary", small),
		point("both", "authorityRevocationList;binary", other) + crlAttribute + ":: " + base64.StdEncoding.EncodeToString(small) + "\n",
		point("two", crlAttribute, small, other),
		point("none", crlAttribute),
		point("hidden", crlAttribute, small),
		"dn: cn=elsewhere,dc=example\nobjectClass: referral\nobjectClass: extensibleObject\ncn: elsewhere\nref: ldap://" + secret + ".example/\n",
	}, "\n"))
	d.entriesOf(t, map[string][]byte{
		"/cn=big,dc=example?certificateRevocationList;binary?base?objectClass=cRLDistributionPoint": big,
		"/CN=Big,DC=example?certificateRevocationList":                                              big,
		"/cn=Small%20CA%5C,%20Inc.%3F,dc=example?CERTIFICATErevocationLIST;binary??(objectClass=*)": small,
		"/cn=authorities,dc=example?authorityRevocationList;binary?BASE":                            small,
		"/cn=authorities,dc=example":                  small,
		"/cn=delta,dc=example":                        small,
		"/cn=delta,dc=example?2.5.4.53":               small,
		"/cn=both,dc=example":                         small,
		"/cn=both,dc=example????e-whatever=1":         small,
		"/cn=both,dc=example?authorityRevocationList": other,
	})
	c := client(t, Options{})
	for path, words := range map[string]string{
		"/cn=two,dc=example": "more than one such value", "/cn=none,dc=example": "no such attribute", "/cn=authorities,dc=example?certificateRevocationList": "no such attribute",
		"/cn=nobody,dc=example": "LDAP result 32, no such entry", "/cn=hidden,dc=example": "LDAP result 32, no such entry", "/dc=other": "LDAP result 32, no such entry",
		"/nonsense": "LDAP result 34, not a valid name", "/cn=elsewhere,dc=example": "LDAP result 10, it refers to another directory",
		"/cn=big,dc=example?noSuchAttribute": "no such attribute",
	} {
		_, err := get(t, c, "ldap://"+d.plain+path, 0)
		wantError(t, err, nil, words)
	}
	_, err := get(t, c, "ldap://"+d.plain+"/cn=big,dc=example", 1<<20)
	wantError(t, err, ErrTooLarge, "more than 1048576 octets")
	if got, err := get(t, c, "ldap://"+d.plain+"/cn=big,dc=example", int64(len(big))); err != nil || got != string(big) {
		t.Errorf("%d octets, %v", len(got), err)
	}
	d.configured(t, small)
	d.inTLS(t, small)
}

// entriesOf fetches each of these, as ldap and as ldaps.
func (d *directory) entriesOf(t *testing.T, want map[string][]byte) {
	t.Helper()
	c := client(t, Options{Roots: d.ca.Pool()})
	for path, want := range want {
		for _, base := range []string{"ldap://" + d.plain, "ldaps://" + d.tls} {
			if got, err := get(t, c, base+path, 0); err != nil || got != string(want) {
				t.Errorf("%s: %d octets of %d, %v", path, len(got), len(want), err)
			}
		}
	}
}

// configured is about URLs that name no server: the operator's may have a private address.
func (d *directory) configured(t *testing.T, want []byte) {
	t.Helper()
	const nobody = "ldap:///cn=both,dc=example?certificateRevocationList;binary?base?objectClass=cRLDistributionPoint"
	_, port, _ := net.SplitHostPort(d.tls)
	for _, server := range []string{d.plain, "ldap://" + d.plain, "ldaps://ldap.example:" + port} {
		c := newClient(t, Options{LDAPServer: server, Roots: d.ca.Pool(), Resolver: names{"ldap.example": {"127.0.0.1"}}.resolver()})
		if got, err := get(t, c, nobody, 0); err != nil || got != string(want) {
			t.Errorf("%s: %d octets, %v", server, len(got), err)
		}
		_, err := get(t, c, "ldap://"+d.plain+"/cn=both,dc=example", 0)
		wantError(t, err, ErrForbiddenAddress, "loopback")
	}
	_, err := get(t, client(t, Options{}), nobody, 0)
	wantError(t, err, ErrUnsupported, "set [revocation] ldap_server")
}

func (d *directory) inTLS(t *testing.T, want []byte) {
	t.Helper()
	resolver := names{"ldap.example": {"127.0.0.1"}, "other.example": {"127.0.0.1"}}.resolver()
	_, port, _ := net.SplitHostPort(d.tls)
	path := ":" + port + "/" + url.PathEscape("cn=both,dc=example")
	trusting := client(t, Options{Roots: d.ca.Pool(), Resolver: resolver})
	if got, err := get(t, trusting, "ldaps://ldap.example"+path, 0); err != nil || got != string(want) {
		t.Errorf("%d octets, %v", len(got), err)
	}
	_, err := get(t, trusting, "ldaps://other.example"+path, 0)
	wantError(t, err, nil, "for another name")
	_, err = get(t, client(t, Options{Resolver: resolver}), "ldaps://ldap.example"+path, 0)
	wantError(t, err, nil, "does not chain to a trusted root")
	_, err = get(t, trusting, "ldap://ldap.example"+path, 0)
	wantError(t, err, nil, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = trusting.Get(ctx, "ldaps://ldap.example"+path, Validators{}, failing{}, 0)
	wantError(t, err, context.Canceled, "cancelled")
}
