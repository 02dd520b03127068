package postconf

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	mrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// needPostconf skips a test where there is no Postfix; on CI that is a failure.
func needPostconf(t *testing.T) {
	t.Helper()
	if _, err := find("postconf"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// needRoot skips a test that starts a Postfix where that takes another user; on CI that is a failure.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() == 0 {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("starting a Postfix needs root")
	}
	t.Skip("starting a Postfix needs root")
}

// instance is a private Postfix below a temporary directory.
type instance struct {
	t    *testing.T
	dir  string // configuration
	log  string
	main []string
	// services of master.cf that run smtpd: the line, and continuation lines with -o
	smtpd []string
}

// newInstance writes nothing yet. Files server.key and server.pem are made in its configuration directory.
func newInstance(t *testing.T) *instance {
	t.Helper()
	needPostconf(t)
	root := t.TempDir()
	if err := os.Chmod(filepath.Dir(root), 0o755); err != nil { // user postfix has to get in
		t.Fatal(err)
	}
	in := &instance{t: t, dir: filepath.Join(root, "etc"), log: filepath.Join(root, "maillog")}
	for _, d := range []string{"etc/dynamicmaps.cf.d", "etc/postfix-files.d", "spool", "data"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	in.write("dynamicmaps.cf", "")
	key, cert := keyPair(t, "mx.contoso.test")
	in.write("server.key", key)
	in.write("server.pem", cert)
	in.main = []string{
		"compatibility_level = 3.6",
		"queue_directory = " + root + "/spool",
		"data_directory = " + root + "/data",
		"maillog_file = " + in.log,
		"maillog_file_prefixes = " + root,
		"inet_interfaces = 127.0.0.1",
		"inet_protocols = ipv4",
		"myhostname = mx.contoso.test",
		"mydestination = contoso.test",
		"local_recipient_maps =",
		"alias_maps =",
		"alias_database =",
		"default_transport = discard",
		"local_transport = discard",
		"smtpd_peername_lookup = no",
		"service_throttle_time = 1s",
		"smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination",
	}
	return in
}

func (in *instance) write(name, text string) {
	in.t.Helper()
	p := filepath.Join(in.dir, name)
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		in.t.Fatal(err)
	}
	// Postfix reads a file again and again while it is younger than a second.
	old := time.Now().Add(-5 * time.Second)
	if err := os.Chtimes(p, old, old); err != nil {
		in.t.Fatal(err)
	}
}

// config writes main.cf and master.cf.
func (in *instance) config() {
	in.write("main.cf", strings.Join(in.main, "\n")+"\n")
	in.write("master.cf", strings.Join(in.smtpd, "\n")+`
cleanup   unix  n - n - 0 cleanup
pickup    unix  n - n 60 1 pickup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
virtual   unix  - n n - - virtual
anvil     unix  - - n - 1 anvil
postlog   unix-dgram n - n - 1 postlogd
`)
}

// start runs the instance until the test ends.
func (in *instance) start() {
	in.t.Helper()
	needRoot(in.t)
	in.config()
	if u, err := user.Lookup("postfix"); err == nil {
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(filepath.Join(filepath.Dir(in.dir), "data"), uid, gid); err != nil {
			in.t.Fatal(err)
		}
	}
	if out, err := in.control("start"); err != nil {
		in.t.Fatalf("postfix start: %v\n%s\n%s", err, out, in.logged())
	}
	in.t.Cleanup(in.stop)
}

func (in *instance) stop() { in.control("stop") }

func (in *instance) control(verb string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/usr/sbin/postfix", "-c", in.dir, verb)
	cmd.WaitDelay = time.Second
	return cmd.CombinedOutput()
}

// read is what the instance was configured with.
func (in *instance) read() *Settings {
	in.t.Helper()
	s, err := Read(context.Background(), in.dir)
	if err != nil {
		in.t.Fatal(err)
	}
	return s
}

func (in *instance) logged() string {
	b, _ := os.ReadFile(in.log)
	return string(b)
}

// freePorts are below those that the kernel hands out by itself, so that nothing else takes one before Postfix does.
func freePorts(t *testing.T, n int) (ports []string) {
	t.Helper()
	for port := 20_000 + mrand.IntN(8_000); len(ports) < n && port < 32_000; port++ {
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			continue
		}
		l.Close()
		ports = append(ports, strconv.Itoa(port))
	}
	if len(ports) < n {
		t.Fatal("no free ports")
	}
	return ports
}

func keyPair(t *testing.T, name string) (key, cert string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tpl := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	pk, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pk})), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
