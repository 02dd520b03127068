package partner

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
)

const (
	maxPresented    = 20
	maxChain        = 256 << 10 // octets of all that is presented; crypto/tls takes no more either
	maxCAs          = 100
	maxSessionBytes = 1 << 20 // from a server, all in all
)

// offer is what a server may choose from.
type offer struct {
	maxVersion   uint16
	cipherSuites []uint16
}

// The offers. Up to TLS 1.2 the cipher suite says what kind of key the server's
// certificate has, and the certificate is not encrypted.
var (
	// everything there is: the look is at the certificate, and what is weak is said,
	// not hidden.
	everything = offer{tls.VersionTLS13, suites(func(string) bool { return true })}
	readable   = offer{tls.VersionTLS12, everything.cipherSuites}
	onlyECDSA  = offer{tls.VersionTLS12, suites(func(name string) bool { return strings.Contains(name, "_ECDSA_") })}
	onlyRSA    = offer{tls.VersionTLS12, suites(func(name string) bool { return strings.Contains(name, "_RSA_") })}
)

// suites returns the cipher suites of which choose likes the name.
func suites(choose func(name string) bool) (ids []uint16) {
	for _, suite := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		if choose(suite.Name) {
			ids = append(ids, suite.ID)
		}
	}
	return ids
}

// errTooMuch ends a session with a server that sends without end.
var errTooMuch = fmt.Errorf("it sent more than %d octets", maxSessionBytes)

// recorder is a connection that is read from within a limit, and that keeps what
// is read while it is told to.
type recorder struct {
	net.Conn
	left   int
	record bool
	heard  []byte
}

func (r *recorder) Read(b []byte) (int, error) {
	if r.left <= 0 {
		return 0, errTooMuch
	}
	n, err := r.Conn.Read(b[:min(len(b), r.left)])
	r.left -= n
	if r.record {
		r.heard = append(r.heard, b[:n]...)
	}
	return n, err
}

// errUnread: the handshake failed in TLS 1.3 before a certificate could be seen,
// which in TLS 1.2 can be, for it is not encrypted there.
var errUnread = errors.New("the certificate was not seen")

// handshake changes to TLS. What it found out is in the result even if there is an
// error. name is for SNI, "" for none.
func handshake(ctx context.Context, conn *recorder, name string, may offer, own *tls.Certificate) (*tls.Conn, *TLS, error) {
	found := new(TLS)
	config := &tls.Config{
		ServerName: name,
		// The certificate is what is looked for; whether it is any good is judged
		// elsewhere.
		InsecureSkipVerify: true,
		MinVersion:         tls.VersionTLS10,
		MaxVersion:         may.maxVersion,
		CipherSuites:       may.cipherSuites,
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
			found.keep(raw)
			return nil
		},
		GetClientCertificate: func(request *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			found.ClientCertificateRequested = true
			found.AcceptableCAs = authorities(request.AcceptableCAs)
			if own == nil {
				return new(tls.Certificate), nil
			}
			found.ClientCertificateSent = true
			return own, nil
		},
	}
	conn.record = true
	secured := tls.Client(conn, config)
	err := secured.HandshakeContext(ctx)
	conn.record = false
	state := secured.ConnectionState()
	if err == nil {
		found.Version = tls.VersionName(state.Version)
		found.Cipher = tls.CipherSuiteName(state.CipherSuite)
	} else if found.Presented == 0 {
		if state.Version == tls.VersionTLS13 {
			return nil, found, fmt.Errorf("%w: %w", errUnread, err)
		}
		found.keep(heardCertificates(conn.heard))
	}
	conn.heard = nil
	return secured, found, err
}

// keep takes the certificates as presented, within the limits.
func (t *TLS) keep(raw [][]byte) {
	t.Presented = len(raw)
	t.Chain = nil
	size := 0
	for _, der := range raw[:min(len(raw), maxPresented)] {
		if size += len(der); size > maxChain {
			break
		}
		t.Chain = append(t.Chain, newCertificate(der))
	}
}

// authorities makes names for people of the issuers that a request for a client
// certificate lists (RFC 8446 section 4.2.4).
func authorities(raw [][]byte) []string {
	var names []string
	for _, der := range raw[:min(len(raw), maxCAs)] {
		var name pkix.RDNSequence
		if rest, err := asn1.Unmarshal(der, &name); err != nil || len(rest) > 0 {
			names = append(names, fmt.Sprintf("%.50x", der))
			continue
		}
		names = append(names, printable(name.String()))
	}
	return names
}
