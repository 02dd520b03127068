package ocsp

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"net/url"
	"strings"
	"testing"

	lib "golang.org/x/crypto/ocsp"
)

// TestRequest has the library make the same request.
func TestRequest(t *testing.T) {
	w := newWorld(t)
	for _, hash := range []crypto.Hash{0, crypto.SHA1, crypto.SHA256} {
		got, err := Request(w.leaf.Leaf, w.ca.Certificate.Leaf, hash)
		if err != nil {
			t.Fatal(err)
		}
		want, err := lib.CreateRequest(w.leaf.Leaf, w.ca.Certificate.Leaf, &lib.RequestOptions{Hash: hash})
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%v: %x, want %x, %v", hash, got, want, err)
		}
	}
	if _, err := Request(w.leaf.Leaf, w.ca.Certificate.Leaf, crypto.MD5); err == nil {
		t.Error("MD5 is taken")
	}
}

func TestGetURL(t *testing.T) {
	request := []byte{0xfb, 0xff, 0xbf, 0x00} // in base64 with +, / and =
	for server, want := range map[string]string{
		"http://ocsp.example":     "http://ocsp.example/%2B%2F%2B%2FAA%3D%3D",
		"http://ocsp.example/":    "http://ocsp.example/%2B%2F%2B%2FAA%3D%3D",
		"http://ocsp.example/a/b": "http://ocsp.example/a/b/%2B%2F%2B%2FAA%3D%3D",
		"http://ocsp.example/?a":  "", "http://ocsp.example/#a": "",
	} {
		got, ok := GetURL(server, request)
		if ok != (want != "") || got != want {
			t.Errorf("%s: %q, %v", server, got, ok)
		}
		if !ok {
			continue
		}
		u, err := url.Parse(got)
		if err != nil {
			t.Fatal(err)
		}
		encoded := strings.TrimPrefix(u.Path, strings.TrimSuffix(strings.TrimPrefix(server, "http://ocsp.example"), "/")+"/")
		if decoded, err := base64.StdEncoding.DecodeString(encoded); err != nil || !bytes.Equal(decoded, request) {
			t.Errorf("%s is read as %x, %v", got, decoded, err)
		}
	}
	server := "http://ocsp.example/"
	fits := 255 - len(server)
	fits = fits / 4 * 3 // octets that base64 has room for
	if u, ok := GetURL(server, make([]byte, fits)); !ok || len(u) > 255 {
		t.Errorf("%d octets do not fit: %d", fits, len(u))
	}
	if u, ok := GetURL(server, make([]byte, fits+3)); ok {
		t.Errorf("%d octets fit: %d", fits+3, len(u))
	}
}
