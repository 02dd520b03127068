package sendmailcf

import (
	"encoding/pem"
	"regexp"
	"strings"
	"testing"

	"domain-secured/internal/testkit/mta"
	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/testkit/smtpclient"
)

func crlPEM(der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}) }

var verified = regexp.MustCompile(`verify=([A-Z]+)`)

// verify returns what a Sendmail with the same lists and authorities, and without a milter, says of a certificate.
func verify(t *testing.T, r *rig, s *Settings, client *pki.Certificate) string {
	t.Helper()
	sendmail := r.start(define("confCRL", s.option("CRLFile")), define("confCACERT", s.option(caCert)))
	pair := client.TLSCertificate()
	reply, err := smtpclient.Send(t.Context(), smtpclient.Options{Addr: sendmail.Addr(), TLS: true, Certificate: &pair}, mail)
	if err != nil || !reply.Accepted() {
		t.Fatalf("%v, %v", reply, err)
	}
	m, err := sendmail.Delivered(t.Context(), func(mta.Message) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	found := verified.FindStringSubmatch(strings.Join(m.Header["Received"], " "))
	if found == nil {
		t.Fatalf("no verify in\n%s", m.Raw)
	}
	return found[1]
}
