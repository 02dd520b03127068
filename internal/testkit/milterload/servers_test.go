package milterload

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"domain-secured/internal/testkit/cases"
	"domain-secured/internal/testkit/pki"
)

// A server is a milter that runs.
type server struct {
	name             string
	network, address string
	end              syscall.Signal
	pid              int
}

// milter returns the server as smtpd_milters in postconf(5) has it.
func (s *server) milter() string {
	if s.network == "tcp" {
		return "inet:" + s.address
	}
	return "unix:" + s.address
}

// run starts a program with its output in a file, not in a pipe that this process would have to read while it
// measures, and waits until the program answers. The end of the test ends it.
func run(tb testing.TB, s *server, program string, args ...string) *server {
	tb.Helper()
	log, err := os.Create(filepath.Join(tb.TempDir(), s.name+".log"))
	if err != nil {
		tb.Fatal(err)
	}
	defer log.Close()
	command := exec.Command(program, args...)
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		tb.Fatal(err)
	}
	s.pid = command.Process.Pid
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	tail := func() string {
		text, _ := os.ReadFile(log.Name()) // only to say more
		return string(text[max(0, len(text)-2000):])
	}
	tb.Cleanup(func() {
		command.Process.Signal(s.end) // it may have ended
		select {
		case err := <-ended:
			if err != nil && s.end == syscall.SIGTERM {
				tb.Errorf("%s ended with %v: %s", s.name, err, tail())
			}
		case <-time.After(40 * time.Second):
			command.Process.Kill()
			tb.Errorf("%s did not stop: %s", s.name, tail())
		}
	})
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(20 * time.Second)
	for {
		if conn, err := Dial(Peer{Network: s.network, Address: s.address}); err == nil {
			conn.Close()
			return s
		}
		select {
		case err := <-ended:
			ended <- err
			tb.Fatalf("%s has ended: %v: %s", s.name, err, tail())
		case <-limit:
			tb.Fatalf("%s does not answer: %s", s.name, tail())
		case <-tick.C:
		}
	}
}

// place chooses where a milter listens: network "unix" or "tcp".
func place(tb testing.TB, name, network string) *server {
	tb.Helper()
	s := &server{name: name, network: network, end: syscall.SIGTERM}
	if network == "unix" {
		s.address = filepath.Join(openDir(tb), "socket")
		return s
	}
	// libmilter wants a number. Another process might take it before the milter does.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	s.address = l.Addr().String()
	return s
}

// openDir makes a folder that Postfix's user can pass, with a path short enough for a socket in it.
func openDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "milterload-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// needLibmilter says whether the C filter can be built: without libmilter's headers it skips a test, unless on
// CI, and fails a benchmark.
func needLibmilter(tb testing.TB) {
	tb.Helper()
	const header = "/usr/include/libmilter/mfapi.h"
	if _, err := os.Stat(header); err == nil {
		return
	}
	if _, benchmark := tb.(*testing.B); benchmark || os.Getenv("CI") != "" {
		tb.Fatalf("no %s: install libmilter-dev", header)
	}
	tb.Skipf("no %s: install libmilter-dev", header)
}

// filterName is the C filter's, in tables.
const filterName = "C"

// buildFilter compiles the C filter.
func buildFilter(tb testing.TB) string {
	tb.Helper()
	needLibmilter(tb)
	path := filepath.Join(tb.TempDir(), "filter")
	out, err := exec.Command("cc", "-O2", "-o", path, filepath.Join("testdata", "filter.c"), "-lmilter", "-lpthread").CombinedOutput()
	if err != nil {
		tb.Fatalf("compile the C filter (install gcc, libc6-dev and libmilter-dev): %v\n%s", err, out)
	}
	return path
}

// startFilter starts the C filter: with every callback and libmilter's defaults, or as answer says.
func startFilter(tb testing.TB, network string, answer *Answer) *server {
	tb.Helper()
	s := place(tb, filterName, network)
	s.end = syscall.SIGKILL // libmilter looks for SIGTERM every five seconds, and there is nothing to lose
	args := []string{"-a"}
	if answer != nil {
		args = []string{"-n", fmt.Sprint(answer.Protocol)}
		for stage, list := range answer.Macros {
			args = append(args, "-m", fmt.Sprintf("%d=%s", stage, list))
		}
	}
	socket := "unix:" + s.address
	if network == "tcp" {
		host, port, _ := net.SplitHostPort(s.address)
		socket = "inet:" + port + "@" + host
	}
	return run(tb, s, buildFilter(tb), append(args, socket)...)
}

// Senders: of a domain that is not on the receive list, and of one that is.
const (
	unlisted = "erin@fabrikam.com"
	listed   = "alice@woodgrovebank.com"
)

// A site is domain-secured's configuration, and a partner's certificate.
type site struct {
	dir, binary, config string
	root                *pki.CA
	leaf                *pki.Certificate
}

// newSite makes certificates and writes the configuration: woodgrovebank.com is listed, and its certificate
// imported. Its milter listens on s, its policy service on policy, "" for none.
func newSite(tb testing.TB, s *server, policy string) *site {
	tb.Helper()
	w := &site{dir: openDir(tb)}
	root, err := pki.NewCA(pki.CAOptions{Name: "Woodgrove Bank CA"})
	if err != nil {
		tb.Fatal(err)
	}
	w.root = root
	const host = "mail1.woodgrovebank.com"
	if w.leaf, err = root.Leaf(pki.LeafOptions{CommonNames: []string{host}, DNSNames: []string{host}}); err != nil {
		tb.Fatal(err)
	}
	w.config = filepath.Join(w.dir, "domain-secured.toml")
	for name, content := range map[string][]byte{
		"domain-secured.toml": fmt.Appendf(nil, configuration, s.milter(), policy),
		"receive.list":        []byte("woodgrovebank.com\n"),
		"send.list":           nil,
		"root.pem":            root.PEM(),
		"leaf.pem":            w.leaf.PEM(),
	} {
		if err := os.WriteFile(filepath.Join(w.dir, name), content, 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	if w.binary, err = cases.Build(context.Background(), tb.TempDir()); err != nil {
		tb.Fatal(err)
	}
	out, err := exec.Command(w.binary, "cert", "import", filepath.Join(w.dir, "leaf.pem"), "--config", w.config).CombinedOutput()
	if err != nil {
		tb.Fatalf("cert import: %v\n%s", err, out)
	}
	return w
}

const configuration = `hostname = "mx1.contoso.com"
state_dir = "state"

[milter]
listen = %q
unix_mode = "0666" # Postfix's user must get at it

[policy]
listen = %q

[tlsmap]
listen = ""

[http]
listen = ""

[defaults]
mode = "enforce"
revocation = "off" # there is nothing to ask here
roots = ["root.pem"]
`

// startOurs starts domain-secured.
func startOurs(tb testing.TB, network, policy string) (*server, *site) {
	tb.Helper()
	s := place(tb, "domain-secured", network)
	w := newSite(tb, s, policy)
	return run(tb, s, w.binary, "serve", "--config", w.config), w
}

// client is the partner's server, with its certificate.
func (w *site) client() Client {
	return Client{Hello: "mail1.woodgrovebank.com", Address: "192.0.2.7", Port: 41142, TLS: Presenting(w.leaf)}
}

// answerOf asks a milter what it negotiates.
func answerOf(tb testing.TB, s *server) Answer {
	tb.Helper()
	c, err := Dial(Peer{Network: s.network, Address: s.address})
	if err != nil {
		tb.Fatal(err)
	}
	c.Close()
	return c.Answer
}

// String says in words what a milter negotiated.
func (a Answer) String() string {
	var lists strings.Builder
	for stage := range 7 {
		if list, asked := a.Macros[stage]; asked {
			fmt.Fprintf(&lists, ", %d=%q", stage, list)
		}
	}
	return fmt.Sprintf("version %d, actions %#x, protocol %#x%s", a.Version, a.Actions, a.Protocol, lists.String())
}
