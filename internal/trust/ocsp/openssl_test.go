package ocsp

import (
	"bufio"
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"domain-secured/internal/testkit/pki"
)

// openssl is a responder of openssl's: a folder with an index of certificates.
type openssl struct {
	program, dir string
	signer       *pki.Certificate
}

// newOpenSSL makes one of w's authority that signer answers for. status are lines'
// first fields: V for valid, R for revoked.
func newOpenSSL(t *testing.T, w *world, signer *pki.Certificate, entries map[*pki.Certificate]string) *openssl {
	t.Helper()
	program, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	o := &openssl{program: program, dir: t.TempDir(), signer: signer}
	var index strings.Builder
	for c, status := range entries {
		kind, revoked, _ := strings.Cut(status, " ")
		fmt.Fprintf(&index, "%s\t%s\t%s\t%s\tunknown\t/CN=x\n", kind, c.Leaf.NotAfter.UTC().Format("060102150405Z"), revoked, serialHex(c))
	}
	o.file(t, "index.txt", []byte(index.String()))
	o.file(t, "ca.pem", w.ca.PEM())
	o.file(t, "signer.pem", signer.PEM())
	o.file(t, "signer.key", signer.KeyPEM())
	return o
}

func serialHex(c *pki.Certificate) string {
	hex := fmt.Sprintf("%X", c.Leaf.SerialNumber)
	if len(hex)%2 == 1 {
		hex = "0" + hex
	}
	return hex
}

func (o *openssl) file(t *testing.T, name string, data []byte) string {
	t.Helper()
	name = filepath.Join(o.dir, name)
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func (o *openssl) command(args ...string) *exec.Cmd {
	c := exec.Command(o.program, append([]string{"ocsp", "-index", "index.txt", "-CA", "ca.pem", "-rsigner", "signer.pem", "-rkey", "signer.key"}, args...)...)
	c.Dir = o.dir
	return c
}

// ask has it answer a request, with further arguments.
func (o *openssl) ask(t *testing.T, request []byte, args ...string) []byte {
	t.Helper()
	o.file(t, "request", request)
	command := o.command(append([]string{"-reqin", "request", "-respout", "response"}, args...)...)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("openssl ocsp %q: %v\n%s", args, err, out)
	}
	response, err := os.ReadFile(filepath.Join(o.dir, "response"))
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func request(t *testing.T, w *world, c *pki.Certificate, hash crypto.Hash) []byte {
	t.Helper()
	der, err := Request(c.Leaf, w.ca.Certificate.Leaf, hash)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestOpenSSL(t *testing.T) {
	w := newWorld(t)
	revoked, onHold, unlisted := leaf(t, w.ca, pki.LeafOptions{}), leaf(t, w.ca, pki.LeafOptions{}), leaf(t, w.ca, pki.LeafOptions{})
	at := now.Format("060102150405Z")
	index := map[*pki.Certificate]string{w.leaf: "V", revoked: "R " + at + ",keyCompromise", onHold: "R " + at + ",certificateHold"}
	want := map[*pki.Certificate]Answer{
		w.leaf: {Status: Good}, revoked: {Status: Revoked, Reason: 1}, onHold: {Status: Revoked, Reason: 6, Hold: true}, unlisted: {Status: Unknown},
	}
	for _, signer := range []*pki.Certificate{&w.ca.Certificate, w.responder} {
		o := newOpenSSL(t, w, signer, index)
		for c, want := range want {
			for _, args := range [][]string{{"-nmin", "60"}, {"-ndays", "1", "-resp_key_id"}, {"-rmd", "sha384"}, {"-nmin", "60", "-resp_no_certs"}} {
				for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256} {
					answer, err := Check(o.ask(t, request(t, w, c, hash), args...), c.Leaf, w.ca.Certificate.Leaf, now, Options{})
					if signer == w.responder && args[len(args)-1] == "-resp_no_certs" {
						if !errors.Is(err, ErrUnusable) {
							t.Errorf("by nobody: %+v, %v", answer, err)
						}
						continue
					}
					if err != nil || answer.Status != want.Status || answer.Reason != want.Reason || answer.Hold != want.Hold ||
						answer.NextUpdate.IsZero() != (args[0] == "-rmd") || want.Status == Revoked && !answer.RevokedAt.Equal(now) ||
						(answer.Responder == nil) != (signer == &w.ca.Certificate) {
						t.Errorf("%q: %+v, want %+v, %v", args, answer, want, err)
					}
				}
			}
		}
		if _, err := Check(o.ask(t, request(t, w, w.leaf, 0), "-rmd", "sha1"), w.leaf.Leaf, w.ca.Certificate.Leaf, now, Options{}); !errors.Is(err, ErrUnusable) {
			t.Errorf("signed with SHA-1: %v", err)
		}
		// An answer about one certificate is none about another.
		if _, err := Check(o.ask(t, request(t, w, w.leaf, 0), "-nmin", "60"), revoked.Leaf, w.ca.Certificate.Leaf, now, Options{}); !errors.Is(err, ErrUnusable) {
			t.Errorf("about another: %v", err)
		}
	}
	// openssl does not look whether the signer may answer.
	o := newOpenSSL(t, w, w.leaf, index)
	if _, err := Check(o.ask(t, request(t, w, revoked, 0), "-nmin", "60"), revoked.Leaf, w.ca.Certificate.Leaf, now, Options{}); !errors.Is(err, ErrUnusable) {
		t.Errorf("signed by a neighbour: %v", err)
	}
}

// TestOpenSSLHTTP asks it over HTTP, both ways.
func TestOpenSSLHTTP(t *testing.T) {
	w := newWorld(t)
	o := newOpenSSL(t, w, w.responder, map[*pki.Certificate]string{w.leaf: "V"})
	command := o.command("-port", "0", "-nmin", "60")
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	}()
	line, err := bufio.NewReader(out).ReadString('\n') // ACCEPT [::]:41533 PID=20824
	fields := strings.Fields(line)
	if err != nil || len(fields) < 2 || fields[0] != "ACCEPT" {
		t.Fatalf("openssl says %q, %v", line, err)
	}
	_, port, err := net.SplitHostPort(fields[1])
	if err != nil {
		t.Fatal(err)
	}
	server := "http://127.0.0.1:" + port
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	der := request(t, w, w.leaf, 0)
	url, ok := GetURL(server, der)
	if !ok {
		t.Fatalf("%d octets are too many", len(url))
	}
	for method, ask := range map[string]func() (*http.Response, error){
		"GET":  func() (*http.Response, error) { return client.Get(url) },
		"POST": func() (*http.Response, error) { return client.Post(server, RequestType, bytes.NewReader(der)) },
	} {
		response, err := ask()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		answer, err := Check(body, w.leaf.Leaf, w.ca.Certificate.Leaf, now, Options{})
		if err != nil || answer.Status != Good || !answer.Responder.Equal(w.responder.Leaf) {
			t.Errorf("%s: %+v, %v", method, answer, err)
		}
	}
}
