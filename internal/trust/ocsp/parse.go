package ocsp

import (
	"crypto"
	"crypto/x509"
	oid "encoding/asn1"
	"errors"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// basic is a BasicOCSPResponse (RFC 6960 section 4.2.1): parsed, not judged.
type basic struct {
	tbs          []byte // ResponseData with its tag and length, as it is signed
	algorithm    x509.SignatureAlgorithm
	signature    []byte
	certificates []*x509.Certificate // the embedded ones that parse

	responderName []byte // DER; or
	responderKey  []byte // SHA-1 of the responder's public key
	produced      time.Time
	singles       []single
	critical      bool // there is a critical extension
}

// single is a SingleResponse.
type single struct {
	id                     certID
	status                 Status
	revokedAt              time.Time
	reason                 int
	thisUpdate, nextUpdate time.Time // nextUpdate is zero when absent
	critical               bool      // there is a critical extension
}

var errParse = errors.New("it does not parse")

// responderStatus is a response that is none: OCSPResponseStatus but successful.
type responderStatus int

func (s responderStatus) Error() string {
	switch s {
	case 1:
		return "the responder calls the request malformed"
	case 2:
		return "the responder has an internal error"
	case 3:
		return "the responder says: try later"
	case 5:
		return "the responder wants signed requests"
	case 6:
		return "the responder is not authorised to answer"
	}
	return "the responder answers with an unknown status"
}

var (
	oidBasic = oid.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}

	hashes = map[string]crypto.Hash{
		"1.3.14.3.2.26":          crypto.SHA1,
		"2.16.840.1.101.3.4.2.1": crypto.SHA256,
		"2.16.840.1.101.3.4.2.2": crypto.SHA384,
		"2.16.840.1.101.3.4.2.3": crypto.SHA512,
	}
)

func implicit(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific() }
func explicit(n uint8) asn1.Tag { return implicit(n).Constructed() }

// parse reads an OCSPResponse. Its error is errParse or a responderStatus.
func parse(response []byte) (*basic, error) {
	input := cryptobyte.String(response)
	var outer, wrapped, inner, der cryptobyte.String
	var status int
	if !input.ReadASN1(&outer, asn1.SEQUENCE) || !input.Empty() || !outer.ReadASN1Enum(&status) {
		return nil, errParse
	}
	if status != 0 {
		return nil, responderStatus(status)
	}
	var kind oid.ObjectIdentifier
	if !outer.ReadASN1(&wrapped, explicit(0)) || !outer.Empty() ||
		!wrapped.ReadASN1(&inner, asn1.SEQUENCE) || !wrapped.Empty() ||
		!inner.ReadASN1ObjectIdentifier(&kind) || !kind.Equal(oidBasic) ||
		!inner.ReadASN1(&der, asn1.OCTET_STRING) || !inner.Empty() {
		return nil, errParse
	}
	return parseBasic(der)
}

func parseBasic(der cryptobyte.String) (*basic, error) {
	b := new(basic)
	var response, tbs, algorithm cryptobyte.String
	if !der.ReadASN1(&response, asn1.SEQUENCE) || !der.Empty() ||
		!response.ReadASN1Element(&tbs, asn1.SEQUENCE) ||
		!response.ReadASN1(&algorithm, asn1.SEQUENCE) ||
		!response.ReadASN1BitStringAsBytes(&b.signature) ||
		!b.readCertificates(&response) || !response.Empty() {
		return nil, errParse
	}
	b.tbs, b.algorithm = tbs, signatureAlgorithm(algorithm)
	if !b.readData(tbs) {
		return nil, errParse
	}
	return b, nil
}

func (b *basic) readCertificates(s *cryptobyte.String) bool {
	var wrapped, list, der cryptobyte.String
	var present bool
	if !s.ReadOptionalASN1(&wrapped, &present, explicit(0)) || !present {
		return !present
	}
	if !wrapped.ReadASN1(&list, asn1.SEQUENCE) || !wrapped.Empty() {
		return false
	}
	for !list.Empty() {
		if !list.ReadASN1Element(&der, asn1.SEQUENCE) {
			return false
		}
		if c, err := x509.ParseCertificate(der); err == nil {
			b.certificates = append(b.certificates, c)
		}
	}
	return true
}

// readData reads a ResponseData.
func (b *basic) readData(tbs cryptobyte.String) bool {
	var data, version, id, responses cryptobyte.String
	var versioned bool
	if !tbs.ReadASN1(&data, asn1.SEQUENCE) || !data.ReadOptionalASN1(&version, &versioned, explicit(0)) {
		return false
	}
	var v int
	if versioned && (!version.ReadASN1Integer(&v) || v != 0 || !version.Empty()) {
		return false
	}
	switch {
	case data.PeekASN1Tag(explicit(1)):
		var name cryptobyte.String
		if !data.ReadASN1(&id, explicit(1)) || !id.ReadASN1Element(&name, asn1.SEQUENCE) || !id.Empty() {
			return false
		}
		b.responderName = name
	case !data.ReadASN1(&id, explicit(2)) || !id.ReadASN1Bytes(&b.responderKey, asn1.OCTET_STRING) || !id.Empty():
		return false
	}
	if !data.ReadASN1GeneralizedTime(&b.produced) || !data.ReadASN1(&responses, asn1.SEQUENCE) {
		return false
	}
	for !responses.Empty() {
		var s single
		if !s.read(&responses) {
			return false
		}
		b.singles = append(b.singles, s)
	}
	return readExtensions(&data, &b.critical) && data.Empty()
}

func (s *single) read(from *cryptobyte.String) bool {
	var response, next cryptobyte.String
	var present bool
	if !from.ReadASN1(&response, asn1.SEQUENCE) || !s.id.read(&response) || !s.readStatus(&response) ||
		!response.ReadASN1GeneralizedTime(&s.thisUpdate) || !response.ReadOptionalASN1(&next, &present, explicit(0)) {
		return false
	}
	if present && (!next.ReadASN1GeneralizedTime(&s.nextUpdate) || !next.Empty()) {
		return false
	}
	return readExtensions(&response, &s.critical) && response.Empty()
}

func (id *certID) read(from *cryptobyte.String) bool {
	var sequence, algorithm cryptobyte.String
	var hash oid.ObjectIdentifier
	id.serial = new(big.Int)
	if !from.ReadASN1(&sequence, asn1.SEQUENCE) ||
		!sequence.ReadASN1(&algorithm, asn1.SEQUENCE) || !algorithm.ReadASN1ObjectIdentifier(&hash) ||
		!sequence.ReadASN1Bytes(&id.issuerName, asn1.OCTET_STRING) ||
		!sequence.ReadASN1Bytes(&id.issuerKey, asn1.OCTET_STRING) ||
		!sequence.ReadASN1Integer(id.serial) || !sequence.Empty() {
		return false
	}
	id.hash = hashes[hash.String()] // 0 for one we do not know
	return true
}

// readStatus reads a CertStatus: good [0], revoked [1], unknown [2].
func (s *single) readStatus(from *cryptobyte.String) bool {
	var value cryptobyte.String
	var tag asn1.Tag
	if !from.ReadAnyASN1(&value, &tag) {
		return false
	}
	switch tag {
	case implicit(0):
		s.status = Good
		return value.Empty()
	case implicit(2):
		s.status = Unknown
		return value.Empty()
	case explicit(1): // RevokedInfo, which is constructed
		s.status = Revoked
		var reason cryptobyte.String
		var present bool
		if !value.ReadASN1GeneralizedTime(&s.revokedAt) || !value.ReadOptionalASN1(&reason, &present, explicit(0)) || !value.Empty() {
			return false
		}
		return !present || reason.ReadASN1Enum(&s.reason) && reason.Empty()
	}
	return false
}

// readExtensions reads Extensions [1], if there are any. None is known here, so a
// critical one is all that matters.
func readExtensions(from *cryptobyte.String, critical *bool) bool {
	var wrapped, list, extension cryptobyte.String
	var present bool
	if !from.ReadOptionalASN1(&wrapped, &present, explicit(1)) || !present {
		return !present
	}
	if !wrapped.ReadASN1(&list, asn1.SEQUENCE) || !wrapped.Empty() {
		return false
	}
	for !list.Empty() {
		var isCritical bool
		if !list.ReadASN1(&extension, asn1.SEQUENCE) || !extension.SkipASN1(asn1.OBJECT_IDENTIFIER) ||
			extension.PeekASN1Tag(asn1.BOOLEAN) && !extension.ReadASN1Boolean(&isCritical) ||
			!extension.SkipASN1(asn1.OCTET_STRING) || !extension.Empty() {
			return false
		}
		*critical = *critical || isCritical
	}
	return true
}
