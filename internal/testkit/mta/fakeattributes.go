package mta

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"domain-secured/internal/testkit/pki"
)

// attributes returns the request that Postfix 3.7 makes at DATA, in its order; see SMTPD_POLICY_README.
func (s *fakeSession) attributes() string {
	client, server := s.conn.RemoteAddr().(*net.TCPAddr), s.conn.LocalAddr().(*net.TCPAddr)
	recipient := ""
	if len(s.recipients) == 1 {
		recipient = s.recipients[0]
	}
	var b strings.Builder
	add := func(name, value string) {
		// A line break would end the attribute; smtpd(8) has none in its values either.
		b.WriteString(name + "=" + strings.NewReplacer("\n", "?", "\r", "?").Replace(value) + "\n")
	}
	add("request", "smtpd_access_policy")
	add("protocol_state", "DATA")
	add("protocol_name", s.protocol)
	add("client_address", client.IP.String())
	add("client_name", "unknown")
	add("client_port", strconv.Itoa(client.Port))
	add("reverse_client_name", "unknown")
	add("server_address", server.IP.String())
	add("server_port", strconv.Itoa(server.Port))
	add("helo_name", s.hello)
	add("sender", s.sender)
	add("recipient", recipient)
	add("recipient_count", strconv.Itoa(len(s.recipients)))
	add("queue_id", s.queueID)
	add("instance", s.instance)
	add("size", s.size)
	add("etrn_domain", "")
	add("stress", "")
	add("sasl_method", "")
	add("sasl_username", "")
	add("sasl_sender", "")
	certificate := certificateOf(s.tls, s.fake.options.ClientCA)
	add("ccert_subject", xtext(certificate.subject))
	add("ccert_issuer", xtext(certificate.issuer))
	add("ccert_fingerprint", certificate.fingerprint)
	add("ccert_pubkey_fingerprint", certificate.keyFingerprint)
	protocol, cipher, bits := tlsAttributes(s.tls)
	add("encryption_protocol", protocol)
	add("encryption_cipher", cipher)
	add("encryption_keysize", strconv.Itoa(bits))
	add("policy_context", s.fake.options.PolicyContext)
	b.WriteByte('\n')
	return b.String()
}

type certificateValues struct {
	trusted                     bool
	subject, issuer             string // their common names
	fingerprint, keyFingerprint string
}

// certificateOf tells of the client's certificate what Postfix tells: fingerprints always, names only if it is
// trusted, that is if the chain leads to ca and the certificate is one for clients.
func certificateOf(state *tls.ConnectionState, ca *x509.Certificate) (v certificateValues) {
	if state == nil || len(state.PeerCertificates) == 0 {
		return v
	}
	leaf := state.PeerCertificates[0]
	v.fingerprint = pki.Fingerprint(leaf.Raw)
	v.keyFingerprint = pki.Fingerprint(leaf.RawSubjectPublicKeyInfo)
	if ca == nil {
		return v
	}
	if _, err := leaf.Verify(x509.VerifyOptions{
		Roots:         pool(ca),
		Intermediates: pool(state.PeerCertificates[1:]...),
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}); err != nil {
		return v
	}
	v.trusted = true
	v.subject = attribute(leaf.Subject, commonName)
	v.issuer = or(attribute(leaf.Issuer, commonName), attribute(leaf.Issuer, organization))
	return v
}

var (
	commonName   = asn1.ObjectIdentifier{2, 5, 4, 3}
	organization = asn1.ObjectIdentifier{2, 5, 4, 10}
)

// attribute returns the first value of its kind, "" if Postfix would not show it.
func attribute(name pkix.Name, kind asn1.ObjectIdentifier) string {
	for _, a := range name.Names {
		if a.Type.Equal(kind) {
			text, _ := a.Value.(string)
			unprintable := func(r rune) bool { return r == utf8.RuneError || unicode.IsControl(r) }
			if len(text) >= 256 || strings.ContainsFunc(text, unprintable) {
				return ""
			}
			return text
		}
	}
	return ""
}

// xtext encodes as RFC 3461 has it: +XX for a plus sign and everything outside printable ASCII. Unlike
// there, Postfix leaves "=" alone.
func xtext(text string) string {
	var b strings.Builder
	for _, octet := range []byte(text) {
		if octet > ' ' && octet < 0x7f && octet != '+' {
			b.WriteByte(octet)
		} else {
			fmt.Fprintf(&b, "+%02X", octet)
		}
	}
	return b.String()
}

// tlsAttributes names protocol and cipher as OpenSSL does, with the bits of the cipher's key.
func tlsAttributes(state *tls.ConnectionState) (protocol, cipher string, bits int) {
	if state == nil {
		return "", "", 0
	}
	protocol = strings.Replace(tls.VersionName(state.Version), "TLS ", "TLSv", 1)
	protocol = strings.TrimSuffix(protocol, ".0") // OpenSSL says TLSv1
	cipher = tls.CipherSuiteName(state.CipherSuite)
	bits = 256
	if strings.Contains(cipher, "AES_128") {
		bits = 128
	}
	if state.Version < tls.VersionTLS13 {
		// TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 is ECDHE-RSA-AES128-GCM-SHA256 there.
		cipher = strings.NewReplacer("TLS_RSA_WITH_", "", "TLS_", "", "WITH_", "", "AES_", "AES", "_CBC", "", "POLY1305_SHA256", "POLY1305", "_", "-").Replace(cipher)
	}
	return protocol, cipher, bits
}

func pool(certificates ...*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certificates {
		p.AddCert(c)
	}
	return p
}
