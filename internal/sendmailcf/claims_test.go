package sendmailcf

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"domain-secured/internal/finding"
	"domain-secured/internal/testkit/crlmaker"
	"domain-secured/internal/testkit/mta"
	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/testkit/smtpclient"
)

// nobody is a user who is not root.
const nobody = 65534

// a rig is what a claim is tried with: a folder of files, and how a Sendmail is told of them.
type rig struct {
	t      *testing.T
	dir    string
	server *pki.Certificate
}

func newRig(t *testing.T) *rig {
	t.Helper()
	if err := mta.FindSendmail(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	// Not t.TempDir: a folder above it is one that others may write to.
	dir, err := os.MkdirTemp("", "sendmailcf-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	server, err := pki.SelfSigned(pki.LeafOptions{CommonNames: []string{"mx1.contoso.com"}})
	if err != nil {
		t.Fatal(err)
	}
	return &rig{t, dir, server}
}

// file writes one and returns its path. The folder that it is in gets the mode folder, if that is not 0.
func (r *rig) file(name string, content []byte, mode os.FileMode, owner int, folder os.FileMode) string {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	err := errors.Join(
		os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o600), os.Chmod(path, mode), os.Chown(path, owner, 0),
	)
	if folder != 0 {
		err = errors.Join(err, os.Chmod(filepath.Dir(path), folder))
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return path
}

func (r *rig) start(config ...string) *mta.Sendmail {
	r.t.Helper()
	s, err := mta.StartSendmail(r.t.Context(), mta.SendmailOptions{
		Common: mta.Common{Hostname: "mx1.contoso.com", Domains: []string{"contoso.com"}, Certificate: r.server}, Config: config,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			r.t.Error(err)
		}
	})
	return s
}

func define(name, value string) string { return "define(`" + name + "', `" + value + "')dnl" }

const forgiving = "AssumeSafeChown,TrustStickyBit"

// filter is a line as it should be, of a milter that nobody is.
const filter = "INPUT_MAIL_FILTER(`domain-secured', `S=inet:1@127.0.0.1, F=T, T=C:10s;S:10s;R:10s;E:1m')dnl"

var wanted = Want{MilterListen: "inet:127.0.0.1:1"}

// errorsIn returns the parameters of the errors among findings.
func errorsIn(findings []finding.Finding) (parameters []string) {
	for _, f := range findings {
		if f.Severity == finding.Error {
			parameters = append(parameters, f.Parameter)
		}
	}
	return parameters
}

// TestTLSClaims: what is an error keeps Sendmail from offering TLS, or from being of use with it; and what is none does
// not.
func TestTLSClaims(t *testing.T) {
	r := newRig(t)
	key, certificate := r.server.KeyPEM(), r.server.PEM()
	other, err := pki.SelfSigned(pki.LeafOptions{CommonNames: []string{"other"}})
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(r.dir, "link")
	if err := os.Symlink(r.file("target", key, 0o600, 0, 0), link); err != nil {
		t.Fatal(err)
	}
	sha256 := define("confCERT_FINGERPRINT_ALGORITHM", "sha256")
	forgive := func(words string) string { return define("confDONT_BLAME_SENDMAIL", forgiving+","+words) }
	for _, c := range []struct {
		name   string
		fault  string // the parameter of the error, "" for none
		config []string
	}{
		{"as it should be", "", nil},
		{"key readable by its group", serverKey, []string{define("confSERVER_KEY", r.file("k1", key, 0o640, 0, 0))}},
		{"the same, forgiven", "", []string{define("confSERVER_KEY", r.file("k1", key, 0o640, 0, 0)), forgive("GroupReadableKeyFile")}},
		{"key readable by all, forgiven for the group", serverKey, []string{define("confSERVER_KEY", r.file("k2", key, 0o644, 0, 0)), forgive("GroupReadableKeyFile")}},
		{"key readable by others", serverKey, []string{define("confSERVER_KEY", r.file("k3", key, 0o604, 0, 0))}},
		{"key writable by its group", serverKey, []string{define("confSERVER_KEY", r.file("k4", key, 0o620, 0, 0))}},
		{"key read-only", "", []string{define("confSERVER_KEY", r.file("k5", key, 0o400, 0, 0))}},
		{"another's key", serverKey, []string{define("confSERVER_KEY", r.file("k6", key, 0o600, nobody, 0))}},
		{"the key of TrustedUser", "", []string{define("confSERVER_KEY", r.file("k7", key, 0o600, nobody, 0)), define("confTRUSTED_USER", "nobody")}},
		{"key in a folder of a group's", serverKey, []string{define("confSERVER_KEY", r.file("g1/key", key, 0o600, 0, 0o775))}},
		{"the same, forgiven", "", []string{define("confSERVER_KEY", r.file("g1/key", key, 0o600, 0, 0o775)), forgive("GroupWritableDirPathSafe")}},
		{"key in a folder of everybody's", serverKey, []string{define("confSERVER_KEY", r.file("w1/key", key, 0o600, 0, 0o777))}},
		{"key two below a folder of a group's", serverKey, []string{define("confSERVER_KEY", r.file("g2/a/key", key, 0o600, 0, 0)), r.chmod("g2", 0o775)}},
		{"key behind a link", "", []string{define("confSERVER_KEY", link)}},
		{"no key", serverKey, []string{define("confSERVER_KEY", filepath.Join(r.dir, "missing"))}},
		{"garbage for a key", serverKey, []string{define("confSERVER_KEY", r.file("k8", []byte("garbage"), 0o600, 0, 0))}},
		{"the key of another certificate", serverKey, []string{define("confSERVER_KEY", r.file("k9", other.KeyPEM(), 0o600, 0, 0))}},
		{"key not set", serverKey, []string{"undefine(`confSERVER_KEY')dnl"}},
		{"no certificate", serverCert, []string{define("confSERVER_CERT", filepath.Join(r.dir, "missing"))}},
		{"garbage for a certificate", serverCert, []string{define("confSERVER_CERT", r.file("c1", []byte("garbage"), 0o644, 0, 0))}},
		{"certificate writable by all", serverCert, []string{define("confSERVER_CERT", r.file("c2", certificate, 0o666, 0, 0))}},
		{"certificate writable by its group", serverCert, []string{define("confSERVER_CERT", r.file("c3", certificate, 0o664, 0, 0))}},
		{"another's certificate", serverCert, []string{define("confSERVER_CERT", r.file("c4", certificate, 0o644, nobody, 0))}},
		{"certificate in a folder of a group's", serverCert, []string{define("confSERVER_CERT", r.file("g3/c", certificate, 0o644, 0, 0o775))}},
		{"certificate not set", serverCert, []string{"undefine(`confSERVER_CERT')dnl"}},
		{"no authorities", caCert, []string{define("confCACERT", filepath.Join(r.dir, "missing"))}},
		{"garbage for authorities", caCert, []string{define("confCACERT", r.file("a1", []byte("garbage"), 0o644, 0, 0))}},
		{"authorities writable by all", caCert, []string{define("confCACERT", r.file("a2", certificate, 0o666, 0, 0))}},
		{"authorities in a folder of a group's", caCert, []string{define("confCACERT", r.file("g4/c", certificate, 0o644, 0, 0o775))}},
		{"another's authorities", caCert, []string{define("confCACERT", r.file("a3", certificate, 0o644, nobody, 0))}},
		{"authorities not set", caCert, []string{"undefine(`confCACERT')dnl"}},
		{"folder of authorities not set", caPath, []string{"undefine(`confCACERT_PATH')dnl"}},
		{"folder of authorities missing", "", []string{define("confCACERT_PATH", filepath.Join(r.dir, "missing"))}},
		{"fingerprints of a kind nobody knows", "CertFingerprintAlgorithm", []string{define("confCERT_FINGERPRINT_ALGORITHM", "nonsense")}},
		{"SHA-512", "CertFingerprintAlgorithm", []string{define("confCERT_FINGERPRINT_ALGORITHM", "sha512")}},
		{"another spelling", "", []string{define("confCERT_FINGERPRINT_ALGORITHM", "SHA256")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &rig{t, r.dir, r.server}
			s := r.start(append([]string{sha256}, c.config...)...)
			settings, err := Read(s.ConfigFile())
			if err != nil {
				t.Fatal(err)
			}
			found := Check(settings, wanted)
			want := []string{"InputMailFilters"} // it would offer no TLS, since nobody answers there
			if c.fault != "" {
				want = append(want, c.fault)
			}
			if got := errorsIn(found); !slices.Equal(got, want) {
				t.Errorf("errors about %q, want %q: %v", got, want, found)
			}
			pair := r.server.TLSCertificate()
			session, err := smtpclient.Dial(t.Context(), smtpclient.Options{Addr: s.Addr(), TLS: true, Certificate: &pair})
			if err == nil {
				session.Close()
			}
			if (err == nil) != (c.fault == "") {
				t.Errorf("TLS with Sendmail: %v", err)
			}
		})
	}
}

// TestFeatureClaims: what is said to be taken from clients is, by the access map or a rule, and nothing else is.
func TestFeatureClaims(t *testing.T) {
	r := newRig(t)
	const own, ownRule = "Srv_Features:127.0.0.1\t", "LOCAL_SRV_FEATURES\nR$*\t$# "
	for _, c := range []struct {
		name    string
		access  string // "" for no map
		ruleset string
		said    string // how severe it is, "" for nothing
		tls     bool   // is offered
		verify  string // of who presents a certificate, as Sendmail says
	}{
		{name: "no map", tls: true, verify: "FAIL"},
		{name: "nothing of the kind", access: "Connect:192.0.2.1\tREJECT\nTLS_Clt:192.0.2.1\tVERIFY\n", tls: true, verify: "FAIL"},
		{name: "no STARTTLS", access: own + "S\n", said: "warning"},
		{name: "no certificate", access: "# a list\n" + own + "V\n", said: "warning", tls: true, verify: "NOT"},
		{name: "another case", access: "SRV_FEATURES:127.0.0.1 A V\n", said: "warning", tls: true, verify: "NOT"},
		{name: "in small letters", access: own + "s v\n", tls: true, verify: "FAIL"},
		{name: "in one word", access: own + "AVS\n", tls: true, verify: "FAIL"},
		{name: "of a network", access: "Srv_Features:127\tS\n", said: "warning"},
		{name: "of all", access: "Srv_Features:\tV\n", said: "error", tls: true, verify: "NOT"},
		{name: "a rule", ruleset: ownRule + "S", said: "warning"},
		{name: "a rule about certificates", ruleset: ownRule + "A V", said: "warning", tls: true, verify: "NOT"},
		{name: "a rule about something else", ruleset: ownRule + "A", tls: true, verify: "FAIL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := mta.SendmailOptions{Common: mta.Common{Hostname: "mx1.contoso.com", Domains: []string{"contoso.com"}, Certificate: r.server}}
			if c.access != "" {
				path := (&rig{t, r.dir, r.server}).file("access", []byte(c.access), 0o644, 0, 0)
				if err := mta.MakeSendmailMap(t.Context(), path, c.access); err != nil {
					t.Fatal(err)
				}
				o.Config = append(o.Config, "FEATURE(`access_db', `hash -T<TMPF> "+path+"')dnl")
			}
			if c.ruleset != "" {
				o.Rulesets = append(o.Rulesets, c.ruleset)
			}
			s, err := mta.StartSendmail(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}()
			settings, err := Read(s.ConfigFile())
			if err != nil {
				t.Fatal(err)
			}
			var said []string
			for _, f := range Check(settings, wanted) {
				if f.Parameter == "srv_features" {
					said = append(said, f.Severity.String())
				}
			}
			if got := strings.Join(said, " "); got != c.said {
				t.Errorf("it says %q, want %q", got, c.said)
			}
			other, err := pki.SelfSigned(pki.LeafOptions{CommonNames: []string{"mail1.fabrikam.com"}})
			if err != nil {
				t.Fatal(err)
			}
			pair := other.TLSCertificate()
			reply, err := smtpclient.Send(t.Context(), smtpclient.Options{Addr: s.Addr(), TLS: true, Certificate: &pair}, mail)
			if (err == nil && reply.Accepted()) != c.tls {
				t.Fatalf("with TLS: %v, %v, want %v", reply, err, c.tls)
			}
			if !c.tls {
				return
			}
			m, err := s.Delivered(t.Context(), func(mta.Message) bool { return true })
			if err != nil {
				t.Fatal(err)
			}
			if found := verified.FindStringSubmatch(strings.Join(m.Header["Received"], " ")); found == nil || found[1] != c.verify {
				t.Errorf("verify is %q, want %s", found, c.verify)
			}
		})
	}
}

// TestDaemonClaims: a daemon may do without TLS, and without our filter.
func TestDaemonClaims(t *testing.T) {
	r := newRig(t)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	_, port, _ := strings.Cut(addr, ":")
	for options, c := range map[string]struct {
		fault string
		mail  int // the reply to MAIL
		tls   int // the reply to STARTTLS
	}{
		"":                                  {"", 451, 454},
		", M=S":                             {"DaemonPortOptions", 451, 503},
		", InputMailFilters=domain-secured": {"", 451, 454},
		", InputMailFilters=other":          {"DaemonPortOptions", 250, 220},
	} {
		t.Run(options, func(t *testing.T) {
			r := &rig{t, r.dir, r.server}
			s := r.start(define("confCERT_FINGERPRINT_ALGORITHM", "sha256"), filter, "MAIL_FILTER(`other', `S=inet:1@127.0.0.1')dnl",
				"DAEMON_OPTIONS(`Name=x, Addr=127.0.0.1, Port="+port+options+"')dnl")
			settings, err := Read(s.ConfigFile())
			if err != nil {
				t.Fatal(err)
			}
			found := Check(settings, wanted)
			if got := strings.Join(errorsIn(found), " "); got != c.fault {
				t.Errorf("errors about %q, want %q: %v", got, c.fault, found)
			}
			reply, err := smtpclient.Send(t.Context(), smtpclient.Options{Addr: addr}, mail)
			if err != nil || reply.Code != c.mail && !(c.mail == 250 && reply.Accepted()) {
				t.Errorf("reply %v, %v, want %d", reply, err, c.mail)
			}
			reply, err = smtpclient.Send(t.Context(), smtpclient.Options{Addr: addr, TLS: true}, mail)
			if err != nil || (c.tls == 220) != reply.Accepted() || c.tls != 220 && reply.Code != c.tls {
				t.Errorf("with TLS: reply %v, %v, want %d", reply, err, c.tls)
			}
		})
	}
}

var mail = smtpclient.Mail{Sender: "a@fabrikam.com", Recipients: []string{"bob@contoso.com"}, Data: []byte("Subject: x\n\n")}

// chmod changes the mode of a folder, and is no line.
func (r *rig) chmod(name string, mode os.FileMode) string {
	r.t.Helper()
	if err := os.Chmod(filepath.Join(r.dir, name), mode); err != nil {
		r.t.Fatal(err)
	}
	return "dnl"
}

// TestMilterClaims: what is an error lets mail in while nobody answers at the milter's socket; and what is none does
// not.
func TestMilterClaims(t *testing.T) {
	change := func(old, new string) []string { return []string{strings.Replace(filter, old, new, 1)} }
	for _, c := range []struct {
		name   string
		fault  string
		code   int // of the reply to MAIL
		config []string
	}{
		{"as it should be", "", 451, []string{filter}},
		{"F=4", "", 421, change("F=T", "F=4")},
		{"F=R", "", 554, change("F=T", "F=R")},
		{"no F", "InputMailFilters", 250, change(" F=T,", "")},
		{"an empty F", "InputMailFilters", 250, change("F=T", "F=")},
		{"no filter", "InputMailFilters", 250, nil},
		{"only known", "InputMailFilters", 250, change("INPUT_MAIL", "MAIL")},
		{"only known, and asked by name", "", 451, append(change("INPUT_MAIL", "MAIL"), define("confINPUT_MAIL_FILTERS", "domain-secured"))},
		{"behind another", "", 451, append([]string{"INPUT_MAIL_FILTER(`other', `S=inet:2@127.0.0.1')dnl"}, filter)},
		{"spelled out", "", 451, change("S=inet:1@127.0.0.1, F=T", "Socket=inet:1@127.0.0.1, Flags=T")},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			s := r.start(append(c.config, define("confCERT_FINGERPRINT_ALGORITHM", "sha256"))...)
			settings, err := Read(s.ConfigFile())
			if err != nil {
				t.Fatal(err)
			}
			found := Check(settings, wanted)
			var want []string
			if c.fault != "" {
				want = []string{c.fault}
			}
			if got := errorsIn(found); !slices.Equal(got, want) {
				t.Errorf("errors about %q, want %q: %v", got, want, found)
			}
			reply, err := smtpclient.Send(t.Context(), smtpclient.Options{Addr: s.Addr()}, mail)
			if err != nil || reply.Code != c.code {
				t.Errorf("reply %v, %v, want %d", reply, err, c.code)
			}
		})
	}
}

// TestCRLClaims: of the lists that are errors Sendmail takes no notice.
func TestCRLClaims(t *testing.T) {
	r := newRig(t)
	ca, err := pki.NewCA(pki.CAOptions{Name: "Woodgrove CA"})
	if err != nil {
		t.Fatal(err)
	}
	another, err := pki.NewCA(pki.CAOptions{Name: "Fabrikam CA"})
	if err != nil {
		t.Fatal(err)
	}
	client, err := ca.Leaf(pki.LeafOptions{CommonNames: []string{"mail1.woodgrovebank.com"}})
	if err != nil {
		t.Fatal(err)
	}
	list := func(ca *pki.CA) []byte {
		der, err := crlmaker.Bytes(crlmaker.Options{
			Issuer: ca.Certificate.Leaf.RawSubject, Key: ca.Key, Entries: crlmaker.Entries(client.Leaf.SerialNumber), Extensions: []crlmaker.Extension{crlmaker.Number(1)},
		})
		if err != nil {
			t.Fatal(err)
		}
		return crlPEM(der)
	}
	for _, c := range []struct {
		name    string
		content []byte
		fault   bool
	}{
		{"the authority's", list(ca), false},
		{"the authority's behind another's", slices.Concat(list(another), list(ca)), true},
		{"garbage", []byte("garbage"), true},
		{"not there", nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &rig{t, r.dir, r.server}
			path := filepath.Join(r.dir, "missing")
			if c.content != nil {
				path = r.file("crl", c.content, 0o644, 0, 0)
			}
			s := r.start(filter, define("confCERT_FINGERPRINT_ALGORITHM", "sha256"), define("confCRL", path),
				define("confCACERT", r.file("ca", ca.Certificate.PEM(), 0o644, 0, 0)))
			settings, err := Read(s.ConfigFile())
			if err != nil {
				t.Fatal(err)
			}
			relying := wanted
			relying.MTAEvidence = true
			if got := errorsIn(Check(settings, relying)); (len(got) > 0) != c.fault {
				t.Errorf("errors about %q", got)
			}
			if got := errorsIn(Check(settings, wanted)); len(got) > 0 {
				t.Errorf("errors about %q, and nobody relies on it", got)
			}
			verdict := verify(t, r, settings, client)
			if revoked := verdict == "FAIL"; revoked == c.fault {
				t.Errorf("Sendmail says %s of a revoked certificate", verdict)
			}
		})
	}
}
