package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"domain-secured/internal/testkit/crlmaker"
	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/trust"
)

// TestScript runs testdata/script. Besides what testscript knows, a script may say
//
//	exits CODE PROGRAM ARG...   run it, and expect that exit code
//	keys KEY...                 the JSON on stdout is an object, or are objects, with these keys at least
//	await FILE PATTERN          wait until the file has it
//	hangup FILE                 send SIGHUP to the process whose id is in the file
//	partners ZONE CERT=ADDR...  be the DNS with a zone, and a mail server at each address, all on one port, with
//	                            such a certificate ("-" for none), and add to c.toml where to find them
//
// and finds certificates in its folder (see scriptPKI), their fingerprints in
// the environment, c.toml and two lists, unless it brings its own.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setUpScript,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": scriptExits, "keys": scriptKeys, "await": scriptAwait, "hangup": scriptHangup, "partners": scriptPartners,
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Getuid() == 0, nil
			}
			return false, errors.New("unknown condition " + cond)
		},
	})
}

func setUpScript(env *testscript.Env) error {
	files, err := scriptPKI()
	if err != nil {
		return err
	}
	// Everyone may come in: some programs run as nobody.
	for _, dir := range []string{filepath.Dir(env.WorkDir), env.WorkDir} {
		if err := os.Chmod(dir, 0o755); err != nil {
			return err
		}
	}
	for name, data := range map[string]string{
		"c.toml":       "state_dir = \"state\"\n[defaults]\nroots = [\"root.pem\"]\nrevocation = \"off\"\n",
		"receive.list": "# partners\nwoodgrovebank.com # since 2019\n",
		"send.list":    "",
	} {
		name = filepath.Join(env.WorkDir, name)
		if _, err := os.Stat(name); err == nil {
			continue
		}
		if err := os.WriteFile(name, []byte(data), 0o644); err != nil {
			return err
		}
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(env.WorkDir, f.name), f.data, 0o644); err != nil {
			return err
		}
		if f.variable != "" {
			env.Setenv(f.variable, f.value)
		}
	}
	env.Setenv("GORACE", "atexit_sleep_ms=0") // a second for each program
	env.Setenv("SSL_CERT_FILE", filepath.Join(env.WorkDir, "root.pem"))
	return nil
}

// scriptFile is a file that every script finds, or a variable.
type scriptFile struct {
	name            string
	data            []byte
	variable, value string
	certificate     *pki.Certificate // with its key
}

// scriptPKI makes what the scripts import and explain, once: the name says what a
// certificate is. Good ones are for mail1.woodgrovebank.com, by an intermediate.
var scriptPKI = sync.OnceValues(func() (files []scriptFile, err error) {
	now := time.Now()
	long := now.Add(-1000 * time.Hour) // before every leaf
	root, err := pki.NewCA(pki.CAOptions{Name: "Woodgrove Root", NotBefore: long})
	if err != nil {
		return nil, err
	}
	intermediate, err := root.Intermediate(pki.CAOptions{Name: "Woodgrove Issuing CA", NotBefore: long})
	if err != nil {
		return nil, err
	}
	add := func(name string, data []byte) { files = append(files, scriptFile{name: name, data: data}) }
	add("root.pem", root.PEM())
	add("intermediate.pem", intermediate.PEM())
	good := []string{"mail1.woodgrovebank.com"}
	for _, c := range []struct {
		name string
		sign func(pki.LeafOptions) (*pki.Certificate, error)
		o    pki.LeafOptions
	}{
		{"good", intermediate.Leaf, pki.LeafOptions{DNSNames: good}},
		{"named", intermediate.Leaf, pki.LeafOptions{DNSNames: good, CRL: []string{"http://crl.woodgrovebank.example/ca.crl"}}},
		{"server", intermediate.Leaf, pki.LeafOptions{DNSNames: good, Usage: pki.UsageServer}},
		{"wrong", intermediate.Leaf, pki.LeafOptions{DNSNames: []string{"mail1.contoso.com"}}},
		{"deep", intermediate.Leaf, pki.LeafOptions{DNSNames: []string{"mail1.us.woodgrovebank.com"}}},
		{"cn", intermediate.Leaf, pki.LeafOptions{CommonNames: []string{"woodgrovebank.com"}}},
		{"weak", intermediate.Leaf, pki.LeafOptions{DNSNames: good, Key: pki.ECDSAP224}},
		{"expired", intermediate.Leaf, pki.LeafOptions{DNSNames: good, NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(-24 * time.Hour)}},
		{"early", intermediate.Leaf, pki.LeafOptions{DNSNames: good, NotBefore: now.Add(24 * time.Hour)}},
		{"self", pki.SelfSigned, pki.LeafOptions{DNSNames: good}},
		{"hostile", intermediate.Leaf, pki.LeafOptions{CommonNames: []string{"\x1b[31mred\nforged: yes"}, DNSNames: good}},
	} {
		leaf, err := c.sign(c.o)
		if err != nil {
			return nil, err
		}
		sum, key := trust.Fingerprint{}, trust.KeyFingerprint(leaf.Leaf)
		if read, err := trust.Read(leaf.DER); err == nil {
			sum = read[0].Fingerprint
		}
		alone := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.DER})
		files = append(files,
			scriptFile{c.name + ".pem", leaf.PEM(), c.name, hex.EncodeToString(sum[:]), leaf},
			scriptFile{c.name + "-alone.pem", alone, c.name + "_key", hex.EncodeToString(key[:]), nil})
		if c.name == "good" {
			if err := addLists(add, root, intermediate, leaf.Leaf.SerialNumber); err != nil {
				return nil, err
			}
			add("good.der", leaf.DER)
			add("good.key", leaf.KeyPEM())
			add("good-with-key.pem", append(leaf.PEM(), leaf.KeyPEM()...))
			add("cut-off.pem", leaf.PEM()[:400])
			block, _ := pem.Decode(leaf.KeyPEM())
			add("key.der", block.Bytes)
		}
	}
	at := func(name string) []byte {
		return files[slices.IndexFunc(files, func(f scriptFile) bool { return f.name == name })].data
	}
	add("two.pem", slices.Concat(at("good.pem"), at("wrong.pem")))
	add("garbage", []byte("no certificate\n"))
	add("empty", nil)
	add("large", bytes.Repeat([]byte("x"), 1<<20+1))
	return files, nil
})

// addLists adds CRLs: none.crl has nobody, revoked.crl and hold.crl have one
// certificate of the intermediate, ended.crl is out of date, forged.crl has the
// signature of somebody else, and root.crl is that of the root.
func addLists(add func(string, []byte), root, intermediate *pki.CA, serial *big.Int) error {
	by := func(ca *pki.CA) crlmaker.Options {
		return crlmaker.Options{Issuer: ca.Certificate.Leaf.RawSubject, Key: ca.Key, Extensions: []crlmaker.Extension{crlmaker.Number(7)}}
	}
	revoked, hold, ended, forged := by(intermediate), by(intermediate), by(intermediate), by(intermediate)
	revoked.Entries = crlmaker.Entries(serial)
	hold.Entries = crlmaker.Of(crlmaker.Entry{Serial: serial, Reason: 6})
	ended.ThisUpdate, ended.NextUpdate = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
	forged.Key = root.Key
	for name, list := range map[string]crlmaker.Options{
		"root.crl": by(root), "none.crl": by(intermediate), "revoked.crl": revoked, "hold.crl": hold, "ended.crl": ended, "forged.crl": forged,
	} {
		text, err := crlmaker.PEM(list)
		if err != nil {
			return err
		}
		add(name, text)
	}
	return nil
}

func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, not %d", got, want)
	}
}

func scriptKeys(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("keys knows no !")
	}
	text := []byte(ts.ReadFile("stdout"))
	var objects []map[string]any
	if err := json.Unmarshal(text, &objects); err != nil {
		objects = make([]map[string]any, 1)
		ts.Check(json.Unmarshal(text, &objects[0]))
	}
	for _, object := range objects {
		for _, key := range args {
			if _, there := object[key]; !there {
				ts.Fatalf("no key %q in %s", key, text)
			}
		}
	}
}

func scriptAwait(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await FILE PATTERN")
	}
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && pattern.Match(text) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s never has %s: %s", args[0], args[1], text)
		}
	}
}

func scriptHangup(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hangup FILE")
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace([]byte(ts.ReadFile(args[0])))))
	ts.Check(err)
	process, err := os.FindProcess(pid)
	ts.Check(err)
	ts.Check(process.Signal(syscall.SIGHUP))
}
