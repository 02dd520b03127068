package gate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/trust"
	"domain-secured/internal/trust/revocation"
	"domain-secured/policy"
)

// TestCheckOwn: what partners would find wrong with a certificate of ours is said,
// each thing once, and nothing about one that is well.
func TestCheckOwn(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	file := func(name string, certificates ...*pki.Certificate) string {
		path := filepath.Join(dir, name)
		var text []byte
		for _, c := range certificates {
			text = append(append(text, c.KeyPEM()...), c.PEM()...)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	self, err := pki.SelfSigned(pki.LeafOptions{DNSNames: []string{"mx1.contoso.com"}})
	if err != nil {
		t.Fatal(err)
	}
	o := pki.LeafOptions{DNSNames: []string{"mx1.contoso.com"}}
	short, long, ended := o, o, o
	short.NotBefore, short.NotAfter = w.now.Add(-3*24*time.Hour), w.now.Add(2*24*time.Hour) // needs no revocation
	long.NotBefore, long.NotAfter = w.now.Add(-300*24*time.Hour), w.now.Add(20*24*time.Hour)
	ended.NotBefore, ended.NotAfter = w.now.Add(-3*24*time.Hour), w.now.Add(-time.Hour)
	for _, c := range []struct {
		file string
		want []string
	}{
		{file("short", w.issue(t, short)), nil},
		{file("week", w.issue(t, o)), []string{`"mx1.contoso.com" would be refused: revocation-unknown`}},
		{file("long", w.issue(t, long)), []string{`"mx1.contoso.com" is valid until `, "revocation-unknown"}},
		{file("ended", w.issue(t, ended)), []string{"certificate-expired"}},
		{file("both kinds", w.issue(t, short), self), []string{"certificate-not-trusted"}},
		{filepath.Join(dir, "missing"), []string{"it cannot be read: "}},
		{dir, []string{"it cannot be read: "}},
	} {
		got := w.CheckOwn(t.Context(), []string{c.file}, w.now)
		if len(got) != len(c.want) {
			t.Errorf("%s: %q", c.file, got)
			continue
		}
		for i, want := range c.want {
			if !strings.HasPrefix(got[i], "[own] "+c.file+": ") || !strings.Contains(got[i], want) {
				t.Errorf("%s: %q, wanted %q", c.file, got[i], want)
			}
		}
	}
	// Where partners are trusted by pins alone there are no default roots.
	w.partner.Roots, w.partner.Trust = nil, policy.TrustPins
	if got := w.CheckOwn(t.Context(), []string{filepath.Join(dir, "short")}, w.now); len(got) != 1 || !strings.Contains(got[0], "certificate-not-trusted") {
		t.Errorf("%q", got)
	}
}

// TestCheckOwnOutlivesPanics over what an issuer serves: it is asked for in the
// background, where a panic would end the daemon.
func TestCheckOwnOutlivesPanics(t *testing.T) {
	w := newWorld(t)
	out := w.loggingAll()
	file := filepath.Join(t.TempDir(), "own")
	if err := os.WriteFile(file, w.issue(t, pki.LeafOptions{DNSNames: []string{"mx1.contoso.com"}}).PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	breaks := false
	checker := revocation.New(revocation.Options{
		Dir: t.TempDir(), Log: w.log, Paths: trust.SignerPaths, Clock: func() time.Time {
			if breaks {
				panic("as asked")
			}
			return w.now
		},
	}, revocation.Settings{Order: []string{revocation.CRL}})
	defer checker.Close()
	w.CheckRevocation(checker)
	breaks = true
	got := w.CheckOwn(t.Context(), []string{file, file + ".missing"}, w.now)
	if len(got) != 2 || !strings.HasSuffix(got[0], "it cannot be judged: a fault of domain-secured itself, see its log") || !strings.Contains(got[1], "cannot be read") {
		t.Errorf("%q", got)
	}
	if text := out.String(); strings.Count(text, "level=ERROR") != 1 || !strings.Contains(text, "as asked") {
		t.Errorf("log:\n%s", text)
	}
}
