package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"domain-secured/internal/testkit/pki"
)

// TestInterrupted: a signal while something is being fetched leaves no folder, and no
// answer that could be taken for one.
func TestInterrupted(t *testing.T) {
	asked := make(chan struct{}, 10)
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-hang
	}))
	defer server.Close()
	defer close(hang)
	ca := must(pki.NewCA(pki.CAOptions{}))
	leaf := must(ca.Leaf(pki.LeafOptions{DNSNames: []string{"mail1.woodgrovebank.com"}, CRL: []string{server.URL}}))
	dir, temporary := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", temporary)
	file := func(name string, data []byte) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	file("receive.list", []byte("woodgrovebank.com\n"))
	file("send.list", nil)
	config := file("c.toml", []byte("state_dir = \"state\"\n[probe]\nallow_private = true\n[defaults]\nroots = [\"root.pem\"]\n[own]\ncertificates = [\"leaf.pem\"]\n"))
	file("root.pem", ca.PEM())
	certificate := file("leaf.pem", leaf.PEM())
	for _, args := range [][]string{
		{"cert", "verify", certificate},
		{"check"},
		{"explain", "--fetch", "--sender", "alice@woodgrovebank.com", "--tls", "TLSv1.3", "--certificate", certificate},
	} {
		t.Run(args[0], func(t *testing.T) {
			var out, words bytes.Buffer
			code := make(chan int)
			go func() {
				code <- run(context.Background(), append(args, "--config", config), streams{strings.NewReader(""), &out, &words})
			}()
			select {
			case <-asked:
			case <-time.After(20 * time.Second):
				t.Fatal("nothing is fetched")
			}
			if left, _ := os.ReadDir(temporary); len(left) != 1 {
				t.Errorf("%d temporary folders", len(left))
			}
			if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
			if code := <-code; code != exitNotNow || out.Len() > 0 || !strings.Contains(words.String(), "interrupted") {
				t.Errorf("exit code %d\n%s%s", code, &out, &words)
			}
			if left, _ := os.ReadDir(temporary); len(left) != 0 {
				t.Errorf("%d temporary folders are left", len(left))
			}
		})
	}
}
