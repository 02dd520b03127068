package fetch

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"net"
	"net/url"
	"testing"
	"time"

	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/testkit/slapd"
)

// directory is a private slapd.
type directory struct{ *slapd.Directory }

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
	d := directory{slapd.Start(t,
		slapd.Point("big", crlAttribute, big),
		slapd.Point("Small CA, Inc.?", crlAttribute, small),
		slapd.Point("authorities", "authorityRevocationList;binary", small),
		slapd.Point("delta", "deltaRevocationList;binary", small),
		slapd.Point("both", "authorityRevocationList;binary", other)+crlAttribute+":: "+base64.StdEncoding.EncodeToString(small)+"\n",
		slapd.Point("two", crlAttribute, small, other),
		slapd.Point("none", crlAttribute),
		slapd.Point("hidden", crlAttribute, small),
		"dn: cn=elsewhere,dc=example\nobjectClass: referral\nobjectClass: extensibleObject\ncn: elsewhere\nref: ldap://"+secret+".example/\n",
	)}
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
		_, err := get(t, c, "ldap://"+d.Plain+path, 0)
		wantError(t, err, nil, words)
	}
	_, err := get(t, c, "ldap://"+d.Plain+"/cn=big,dc=example", 1<<20)
	wantError(t, err, ErrTooLarge, "more than 1048576 octets")
	if got, err := get(t, c, "ldap://"+d.Plain+"/cn=big,dc=example", int64(len(big))); err != nil || got != string(big) {
		t.Errorf("%d octets, %v", len(got), err)
	}
	d.configured(t, small)
	d.inTLS(t, small)
}

// entriesOf fetches each of these, as ldap and as ldaps.
func (d directory) entriesOf(t *testing.T, want map[string][]byte) {
	t.Helper()
	c := client(t, Options{Roots: d.CA.Pool()})
	for path, want := range want {
		for _, base := range []string{"ldap://" + d.Plain, "ldaps://" + d.TLS} {
			if got, err := get(t, c, base+path, 0); err != nil || got != string(want) {
				t.Errorf("%s: %d octets of %d, %v", path, len(got), len(want), err)
			}
		}
	}
}

// configured is about URLs that name no server: the operator's may have a private address.
func (d directory) configured(t *testing.T, want []byte) {
	t.Helper()
	const nobody = "ldap:///cn=both,dc=example?certificateRevocationList;binary?base?objectClass=cRLDistributionPoint"
	_, port, _ := net.SplitHostPort(d.TLS)
	for _, server := range []string{d.Plain, "ldap://" + d.Plain, "ldaps://ldap.example:" + port} {
		c := newClient(t, Options{LDAPServer: server, Roots: d.CA.Pool(), Resolver: names{"ldap.example": {"127.0.0.1"}}.resolver()})
		if got, err := get(t, c, nobody, 0); err != nil || got != string(want) {
			t.Errorf("%s: %d octets, %v", server, len(got), err)
		}
		_, err := get(t, c, "ldap://"+d.Plain+"/cn=both,dc=example", 0)
		wantError(t, err, ErrForbiddenAddress, "loopback")
	}
	_, err := get(t, client(t, Options{}), nobody, 0)
	wantError(t, err, ErrUnsupported, "set [revocation] ldap_server")
}

func (d directory) inTLS(t *testing.T, want []byte) {
	t.Helper()
	resolver := names{"ldap.example": {"127.0.0.1"}, "other.example": {"127.0.0.1"}}.resolver()
	_, port, _ := net.SplitHostPort(d.TLS)
	path := ":" + port + "/" + url.PathEscape("cn=both,dc=example")
	trusting := client(t, Options{Roots: d.CA.Pool(), Resolver: resolver})
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
