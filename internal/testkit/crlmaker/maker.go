// Package crlmaker writes certificate revocation lists of any size and with
// whatever is wrong with them that a test needs. It shares no code with what it is
// to test.
package crlmaker

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/big"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Options describe a list. Issuer and Key are needed, everything else is optional:
// without it the list is of version 2, was issued an hour ago, ends in a week, is
// empty and has no extensions but the CRL number 1.
type Options struct {
	Issuer []byte // DER of Name: a certificate's RawSubject
	Key    crypto.Signer
	// Algorithm is what fits the key if it is zero. SHA-1 works, too.
	Algorithm x509.SignatureAlgorithm

	Version1               bool
	ThisUpdate, NextUpdate time.Time
	NoNextUpdate           bool
	Generalized            bool // times as GeneralizedTime, always
	// Entries is gone through three times, and has to give the same each time.
	Entries    iter.Seq[Entry]
	Extensions []Extension
	NoNumber   bool

	// What makes it wrong.
	Inner    []byte // in place of the signed AlgorithmIdentifier
	Outer    []byte // in place of the other one
	BadSig   bool   // the signature is of something else
	Trailing []byte // after the last signed field, signed
	After    []byte // after the list
}

// An Entry is one certificate on the list.
type Entry struct {
	Serial *big.Int
	// RawSerial is an INTEGER's content in place of Serial.
	RawSerial  []byte
	Reason     int    // a reason code extension, unless it is zero
	Issuer     []byte // a certificate issuer extension, unless it is nil: DER of Name
	Extensions []Extension
}

// Entries makes entries of serial numbers, for no reason.
func Entries(serials ...*big.Int) iter.Seq[Entry] {
	var all []Entry
	for _, serial := range serials {
		all = append(all, Entry{Serial: serial})
	}
	return Of(all...)
}

// Of makes a sequence of entries.
func Of(entries ...Entry) iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		for _, e := range entries {
			if !yield(e) {
				return
			}
		}
	}
}

// Bytes returns a list as DER.
func Bytes(o Options) ([]byte, error) {
	var b bytes.Buffer
	err := Write(&b, o)
	return b.Bytes(), err
}

// PEM returns a list as PEM.
func PEM(o Options) ([]byte, error) {
	der, err := Bytes(o)
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), err
}

// Write writes a list, and never has more of it in memory than an entry (but for
// Ed25519, which signs all at once).
func Write(w io.Writer, o Options) error {
	if o.Key == nil || len(o.Issuer) == 0 {
		return errors.New("make a CRL: no issuer or no key")
	}
	chosen, err := o.algorithm()
	if err != nil {
		return fmt.Errorf("make a CRL: %w", err)
	}
	p := &parts{o: o, inner: chosen.der, outer: chosen.der}
	if o.Inner != nil {
		p.inner, p.outer = o.Inner, o.Inner
	}
	if o.Outer != nil {
		p.outer = o.Outer
	}
	if err := p.measure(); err != nil {
		return fmt.Errorf("make a CRL: %w", err)
	}
	signature, err := p.sign(chosen)
	if err != nil {
		return fmt.Errorf("make a CRL: %w", err)
	}
	var end cryptobyte.Builder
	end.AddBytes(p.outer)
	end.AddASN1BitString(signature)
	last, err := end.Bytes()
	if err != nil {
		return fmt.Errorf("make a CRL: %w", err)
	}
	out := bufio.NewWriterSize(w, 1<<16)
	_, _ = out.Write(header(asn1.SEQUENCE, len(header(asn1.SEQUENCE, p.signed))+p.signed+len(last)))
	if err := p.write(out); err != nil {
		return err
	}
	_, _ = out.Write(last)
	_, _ = out.Write(o.After)
	return out.Flush()
}

// parts are a list before it is put together.
type parts struct {
	o            Options
	inner, outer []byte
	before       []byte // what is signed before the entries
	entries      int    // octets
	after        []byte // what is signed after the entries
	signed       int    // octets of all that, without a header

	content, scratch []byte // of the last entry
}

func (p *parts) measure() error {
	var before cryptobyte.Builder
	if !p.o.Version1 {
		before.AddASN1Int64(1)
	}
	before.AddBytes(p.inner)
	before.AddBytes(p.o.Issuer)
	addTime(&before, orIn(p.o.ThisUpdate, -time.Hour), p.o.Generalized)
	if !p.o.NoNextUpdate {
		addTime(&before, orIn(p.o.NextUpdate, 7*24*time.Hour), p.o.Generalized)
	}
	var err error
	if p.before, err = before.Bytes(); err != nil {
		return err
	}
	if p.o.Entries != nil {
		for e := range p.o.Entries {
			octets, err := p.entry(e)
			if err != nil {
				return err
			}
			p.entries += len(octets)
		}
		p.before = append(p.before, header(asn1.SEQUENCE, p.entries)...)
	}
	var after cryptobyte.Builder
	extensions := p.o.Extensions
	numbered := func(x Extension) bool { return x.ID == Number(1).ID }
	if !p.o.Version1 && !p.o.NoNumber && !slices.ContainsFunc(extensions, numbered) {
		extensions = append([]Extension{Number(1)}, extensions...)
	}
	if len(extensions) > 0 {
		after.AddASN1(asn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { addExtensions(b, extensions) })
	}
	after.AddBytes(p.o.Trailing)
	p.after, err = after.Bytes()
	p.signed = len(p.before) + p.entries + len(p.after)
	return err
}

// write writes TBSCertList.
func (p *parts) write(w io.Writer) error {
	out := bufio.NewWriterSize(w, 1<<16)
	_, _ = out.Write(header(asn1.SEQUENCE, p.signed))
	_, _ = out.Write(p.before)
	if p.o.Entries != nil {
		for e := range p.o.Entries {
			octets, err := p.entry(e)
			if err != nil {
				return err
			}
			_, _ = out.Write(octets)
		}
	}
	_, _ = out.Write(p.after)
	return out.Flush()
}

func (p *parts) sign(a algorithm) ([]byte, error) {
	message := new(bytes.Buffer)
	if a.hash == 0 {
		if err := p.write(message); err != nil {
			return nil, err
		}
	} else {
		h := a.hash.New()
		if err := p.write(h); err != nil {
			return nil, err
		}
		message.Write(h.Sum(nil))
	}
	if p.o.BadSig {
		message.Bytes()[0] ^= 1
	}
	return p.o.Key.Sign(rand.Reader, message.Bytes(), a.options)
}

// entry returns an entry, which holds until the next one.
func (p *parts) entry(e Entry) ([]byte, error) {
	b := cryptobyte.NewBuilder(p.content[:0])
	if e.RawSerial != nil {
		b.AddASN1(asn1.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes(e.RawSerial) })
	} else {
		b.AddASN1BigInt(e.Serial)
	}
	b.AddBytes(revoked)
	switch {
	case e.Issuer == nil && len(e.Extensions) == 0 && e.Reason == 0:
	case e.Issuer == nil && len(e.Extensions) == 0: // millions of them
		b.AddBytes(reasonAlone)
		b.AddUint8(uint8(e.Reason))
	default:
		var all []Extension
		if e.Issuer != nil {
			all = append(all, CertificateIssuer(e.Issuer))
		}
		if e.Reason != 0 {
			all = append(all, Extension{ID: "2.5.29.21", Value: []byte{0x0a, 1, byte(e.Reason)}})
		}
		addExtensions(b, append(all, e.Extensions...))
	}
	content, err := b.Bytes()
	if err != nil {
		return nil, err
	}
	p.content = content
	p.scratch = append(append(p.scratch[:0], header(asn1.SEQUENCE, len(content))...), content...)
	return p.scratch, nil
}

// reasonAlone are extensions that are a reason code, whose octet follows.
var reasonAlone = []byte{0x30, 0x0c, 0x30, 0x0a, 0x06, 0x03, 0x55, 0x1d, 0x15, 0x04, 0x03, 0x0a, 0x01}

// revoked is a UTCTime, in 2026.
var revoked = []byte("\x17\x0d260102030405Z")

func header(tag asn1.Tag, content int) []byte {
	if content < 0x80 {
		return []byte{byte(tag), byte(content)}
	}
	length := big.NewInt(int64(content)).Bytes()
	return append([]byte{byte(tag), 0x80 | byte(len(length))}, length...)
}

func addTime(b *cryptobyte.Builder, t time.Time, generalized bool) {
	if t = t.UTC(); generalized || t.Year() >= 2050 {
		b.AddASN1GeneralizedTime(t.Truncate(time.Second))
		return
	}
	b.AddASN1UTCTime(t)
}

// orIn returns t, or the moment d from now when t is not set.
func orIn(t time.Time, d time.Duration) time.Time {
	if t.IsZero() {
		return time.Now().Add(d)
	}
	return t
}
