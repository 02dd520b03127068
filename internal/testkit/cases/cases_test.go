package cases

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"domain-secured/internal/testkit/mta"
	"domain-secured/internal/testkit/smtpclient"

	"go.uber.org/goleak"
)

// binary builds domain-secured once for all tests of this package.
var binary = sync.OnceValues(func() (string, error) { return Build(context.Background(), binaryDir) })

var binaryDir string

func TestMain(m *testing.M) {
	var err error
	if binaryDir, err = os.MkdirTemp("", "domain-secured-build-"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(binaryDir)
		os.Exit(code)
	}))
}

// TestFake, TestPostfix and TestSendmail hold domain-secured to the cases.
func TestFake(t *testing.T) { testSite(t, Fake) }

func TestPostfix(t *testing.T) { testSite(t, Postfix) }

func TestSendmail(t *testing.T) { testSite(t, Sendmail) }

func testSite(t *testing.T, server Server) {
	if err := server.Find(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	site, err := Setup(t.Context(), SetupOptions{Binary: path, Server: server})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("domain-secured:\n%s\n%s:\n%s", site.Daemon.Log(), site.MTA.Name(), site.MTA.Log())
		}
		if err := site.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(site.Dir); !os.IsNotExist(err) {
			t.Errorf("the folder is left: %v", err)
		}
	})
	t.Run("cases", func(t *testing.T) {
		for _, c := range All() {
			t.Run(c.Name, func(t *testing.T) {
				t.Parallel()
				result, err := Run(t.Context(), site.MTA, site.World, c)
				if err != nil {
					t.Fatal(err)
				}
				if err := result.Check(c); err != nil {
					t.Error(err)
				}
			})
		}
	})
	if err := site.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	result, err := Run(t.Context(), site.MTA, site.World, All()[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := result.Check(All()[0]); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}

// TestCasesAreSound looks for what would make the cases say less than they seem to.
func TestCasesAreSound(t *testing.T) {
	w, err := NewWorld()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	names, used := map[string]bool{}, map[Kind]bool{"": true}
	for _, c := range All() {
		if names[c.Name] {
			t.Errorf("two cases %s", c.Name)
		}
		names[c.Name], used[c.Certificate] = true, true
		if c.Words == "" || len(c.Words) > 90 {
			t.Errorf("%s: words %q", c.Name, c.Words)
		}
		if c.Certificate != "" && (!c.TLS || w.Certificates[c.Certificate] == nil) {
			t.Errorf("%s: its certificate cannot be presented", c.Name)
		}
		if !c.Accepted && c.Stamp != "" || c.Stamp != "" && w.Certificates[c.Certificate] == nil {
			t.Errorf("%s: its stamp cannot be", c.Name)
		}
		if c.Accepted != (c.Code == 0) || c.Accepted != (c.Enhanced == "") || c.Accepted != (c.Reason == "") {
			t.Errorf("%s: accepted and refused", c.Name)
		}
	}
	for kind := range w.Certificates {
		if !used[kind] {
			t.Errorf("no case presents %s", kind)
		}
	}
}

// TestRunAndCheck has stand-ins for domain-secured answer rightly, and wrongly.
func TestRunAndCheck(t *testing.T) {
	w, err := NewWorld()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	policy, answer := standIn(t)
	milter, err := mta.StartStandIn(t.Context(), mta.StandInOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer milter.Close()
	server, err := mta.StartFake(t.Context(), mta.FakeOptions{
		Common: mta.Common{Domains: []string{"contoso.com"}, Certificate: w.Server}, Policy: policy, Milter: milter.Endpoint(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	check := func(c Case, action string, edits []mta.MilterPacket, ok bool) {
		t.Helper()
		answer(action)
		milter.Become(mta.StandInOptions{Actions: 1<<0 | 1<<4, Answer: func(told []mta.MilterPacket) []mta.MilterPacket {
			answers := []mta.MilterPacket{{Code: mta.MilterContinue}}
			if told[len(told)-1].Code == mta.MilterEnd {
				answers = slices.Concat(edits, answers)
			}
			return answers
		}})
		result, err := Run(t.Context(), server, w, c)
		if err != nil {
			t.Fatal(err)
		}
		if err := result.Check(c); (err == nil) != ok {
			t.Errorf("%s, answered %q and %q: %v", c.Name, action, edits, err)
		}
		if removed := result.Removed(c); ok && c.Accepted && removed != len(c.Forged) {
			t.Errorf("%s: %d forged removed, not %d", c.Name, removed, len(c.Forged))
		}
	}
	for _, c := range All() {
		if !c.Accepted {
			check(c, fmt.Sprintf("%d %s %s%s (words). Contact: postmaster@contoso.com", c.Code, c.Enhanced, Demand(c.Sender), c.Reason), nil, true)
			check(c, "DUNNO", nil, false)
			continue
		}
		remove := make([]mta.MilterPacket, len(c.Forged))
		for i := range remove {
			remove[i] = mta.ChangeHeader(uint32(len(remove)-i), stampName, "")
		}
		stamped := func(at uint32, stamp string) []mta.MilterPacket {
			return append(slices.Clone(remove), mta.InsertHeader(at, stampName, stamp))
		}
		check(c, "450 4.7.0 no", remove, false)
		stamp := w.Stamp(c)
		if stamp == "" {
			check(c, "DUNNO", remove, true)
			check(c, "DUNNO", stamped(0, "mx1.contoso.com; domain="+domain(c.Sender)), false)
		} else {
			check(c, "DUNNO", stamped(0, stamp), true)
			check(c, "DUNNO", remove, false)
			check(c, "DUNNO", stamped(1, stamp), false)
			check(c, "DUNNO", stamped(0, strings.Replace(stamp, "sha256:", "sha256:0", 1)), false)
			check(c, "DUNNO", append(stamped(0, stamp), mta.InsertHeader(0, stampName, stamp)), false)
		}
		if len(c.Forged) > 0 {
			check(c, "DUNNO", append(slices.Clone(remove[1:]), stamped(0, stamp)[len(remove):]...), false)
		}
		touched := stamped(0, stamp)
		if stamp == "" {
			touched = remove
		}
		check(c, "DUNNO", append(slices.Clone(touched), mta.ChangeHeader(1, "Subject", "changed")), false)
	}

	demanded := Case{Sender: bank, Code: 450, Enhanced: "4.7.5", Reason: "certificate-expired"}
	for text, ok := range map[string]bool{
		"4.7.5 <DATA>: Data command rejected: woodgrovebank.com requires mutual TLS here: certificate-expired":       true,
		"4.7.5 <DATA>: Data command rejected: woodgrovebank.com requires mutual TLS here: certificate-expired (now)": true,
		"4.7.5 woodgrovebank.com requires mutual TLS here: certificate-expired-long-ago":                             false,
		"4.7.1 woodgrovebank.com requires mutual TLS here: certificate-expired":                                      false,
		"4.7.5 fabrikam.com requires mutual TLS here: certificate-expired":                                           false,
	} {
		err := Result{Reply: smtpclient.Reply{Stage: smtpclient.DATA, Code: 450, Text: text}}.Check(demanded)
		if (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := (Result{Reply: smtpclient.Reply{Stage: smtpclient.DATA, Code: 550}, Arrived: &mta.Message{}}).Check(demanded); err == nil ||
		!strings.Contains(err.Error(), "code is 550, not 450") || !strings.Contains(err.Error(), "arrived is true, not false") {
		t.Errorf("all that is wrong is not said: %v", err)
	}
}

// standIn starts a policy service that answers with the action it was last told.
func standIn(t *testing.T) (address string, answer func(action string)) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	var mu sync.Mutex
	var action string
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				for lines := bufio.NewScanner(conn); lines.Scan(); {
					if lines.Text() == "" {
						mu.Lock()
						fmt.Fprintf(conn, "action=%s\n\n", action)
						mu.Unlock()
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		running.Wait()
	})
	return "inet:" + listener.Addr().String(), func(a string) {
		mu.Lock()
		defer mu.Unlock()
		action = a
	}
}
