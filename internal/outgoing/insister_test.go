package outgoing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"
	"weak"

	"domain-secured/internal/testkit/dnsserver"
	"domain-secured/policy"
)

const zone = bank + ". 600 IN MX 10 mail1." + bank + ".\n" + bank + ". 600 IN MX 20 mail2." + bank + ".\nmail1." + bank + " A 127.0.0.2\nmail2." + bank + " A 127.0.0.3\n"

// TestLastGood: what was seen stays good while the DNS or a server does not answer, and is
// judged anew all the same.
func TestLastGood(t *testing.T) {
	w := newWorld(t)
	w.records(t, zone)
	first, server := w.serve(t, "127.0.0.2", "mail1."+bank)
	second, _ := w.serve(t, "127.0.0.3", "mail2."+bank)
	insistsOn(t, w.ask(), first, second)

	w.dns.Behave(bank, "MX", dnsserver.ServFail, 0)
	w.dns.Behave("mail2."+bank, "", dnsserver.Silent, 0)
	server.Close()
	w.later(20 * time.Minute)
	insistsOn(t, w.ask(), first, second)
	if n := w.logged.count("level=WARN"); n != 0 {
		t.Errorf("%d warnings", n)
	}

	// The partner's new certificate takes the place of the old one at its address.
	w.dns.Behave(bank, "MX", dnsserver.Answer, 0)
	w.dns.Behave("mail2."+bank, "", dnsserver.Answer, 0)
	renewed, server := w.serve(t, "127.0.0.2", "mail1."+bank)
	w.later(20 * time.Minute)
	insistsOn(t, w.ask(), renewed, second)

	// What has expired meanwhile is not good any more, seen or not.
	server.Close()
	w.later(40 * 24 * time.Hour)
	waits(t, w.ask(), "certificate-expired")

	// A host that has gone takes its certificate along, and an answer that there is none
	// is an answer.
	w.dns.Remove(bank, "MX")
	w.records(t, bank+". 600 IN MX 0 .\n")
	w.later(20 * time.Minute)
	waits(t, w.ask(), "no-mail")
}

// TestNothingKnown: without anything good mail waits, and is told why; not for longer
// than what is wrong lasts.
func TestNothingKnown(t *testing.T) {
	w := newWorld(t)
	w.dns.Behave(bank, "MX", dnsserver.ServFail, 0)
	waits(t, w.ask(), "dns-bogus")
	asked := w.dns.Asked(bank, "MX")
	waits(t, w.ask(), "dns-bogus")
	if w.dns.Asked(bank, "MX") != asked {
		t.Error("the DNS was asked again at once")
	}
	w.dns.Behave(bank, "MX", dnsserver.Answer, 0)
	w.records(t, zone)
	w.later(time.Minute)
	waits(t, w.ask(), "connect-failed")
	c, _ := w.serve(t, "127.0.0.3", "mail2."+bank)
	w.later(time.Minute)
	insistsOn(t, w.ask(), c)
	if counts := w.Counts(); counts.Vetted != 1 || counts.Waiting["dns-bogus"] != 2 || counts.Waiting["connect-failed"] != 1 {
		t.Errorf("%+v", counts)
	}
}

// TestBackground: who asks while an answer ages has it at once, and the next one has
// another.
func TestBackground(t *testing.T) {
	w := newWorld(t)
	w.records(t, zone)
	old, server := w.serve(t, "127.0.0.2", "mail1."+bank)
	insistsOn(t, w.ask(), old)
	for range 10 {
		insistsOn(t, w.ask(), old)
	}
	if n := w.dns.Asked(bank, "MX"); n != 1 {
		t.Errorf("asked %d times for MX records", n)
	}
	server.Close()
	renewed, _ := w.serve(t, "127.0.0.2", "mail1."+bank)
	w.later(6 * time.Minute)
	insistsOn(t, w.ask(), old)
	w.settle()
	insistsOn(t, w.ask(), renewed)
	if n := w.logged.count(" domain=" + bank); n != 2 {
		t.Errorf("%d lines, want one for each certificate", n)
	}
}

// TestSettings: other settings hold at once, without a look.
func TestSettings(t *testing.T) {
	w := newWorld(t)
	w.records(t, zone)
	c, _ := w.serve(t, "127.0.0.2", "mail1."+bank)
	insistsOn(t, w.ask(), c)
	asked := w.dns.Asked("mail1."+bank, "A")

	w.partner.NameMatch = policy.NameMatchStrict
	w.reload(t)
	waits(t, w.ask(), "certificate-host-mismatch")
	w.partner.NameMatch, w.partner.SendVerify = policy.NameMatchExchange, policy.SendVerifyNames
	w.reload(t)
	if d := w.ask(); d.Wait != "" || strings.Join(d.Names, " ") != bank+" mail1."+bank+" mail2."+bank || d.RootsFile != "" {
		t.Errorf("%+v", d)
	}
	w.partner.Roots.PEM = []byte("roots")
	w.reload(t)
	waits(t, w.ask(), NoRootsFile)
	w.partner.SendVerify = policy.SendVerifyPins
	w.reload(t)
	waits(t, w.ask(), NoPins)
	w.partner.Pins = []policy.Hash{{1}}
	w.reload(t)
	if d := w.ask(); d.Wait != "" || len(d.Fingerprints) != 1 || d.MinTLS != 0x0303 || d.MinBits != 128 {
		t.Errorf("%+v", d)
	}
	for _, mode := range []policy.Mode{policy.ModeTesting, policy.ModeOff} {
		w.partner.Mode = mode
		w.reload(t)
		for range 3 {
			if d := w.ask(); d != nil {
				t.Errorf("%s: %+v", mode, d)
			}
		}
		w.settle()
	}
	if n := w.logged.count("testing: mail leaves"); n != 1 {
		t.Errorf("testing is said %d times", n)
	}
	w.partner.Mode, w.partner.SendVerify = policy.ModeEnforce, policy.SendVerifyVetted
	w.reload(t)
	insistsOn(t, w.ask(), c)
	if again := w.dns.Asked("mail1."+bank, "A"); again != asked {
		t.Errorf("the servers were looked at %d times more", again-asked)
	}
	if d := w.Insist(policy.Destination{Name: "contoso.com"}); d != nil {
		t.Errorf("%+v", d)
	}
	if counts := w.Counts(); counts.Testing != 3 || counts.Off != 3 || counts.Unlisted != 1 || counts.Names != 1 || counts.Pins != 1 || counts.Vetted != 2 {
		t.Errorf("%+v", counts)
	}
}

// TestHost: a host in place of a domain is looked at itself, at its port.
func TestHost(t *testing.T) {
	w := newWorld(t)
	port := w.outside.Port
	w.records(t, bank+" A 127.0.0.2\n"+bank+" MX 10 nowhere.example\n")
	c, _ := w.serve(t, "127.0.0.2", bank)
	w.outside.Port = 1
	insistsOn(t, w.Insist(policy.Destination{Name: "WoodgroveBank.COM", Host: true, Port: port}), c)
	if n := w.dns.Asked(bank, "MX"); n != 0 {
		t.Errorf("asked %d times for MX records", n)
	}
}

// TestPanic: a fault of our own makes mail wait.
func TestPanic(t *testing.T) {
	w := newWorld(t)
	w.records(t, zone)
	w.inspector = nil
	w.serve(t, "127.0.0.2", "mail1."+bank)
	waits(t, w.ask(), "internal-error")
	w.settings.Store(&Settings{}) // no snapshot
	waits(t, w.ask(), "internal-error")
	w.inspector = w.gate.Inspector(nil)
}

// TestMany: what is remembered is bounded, and what is asked for stays.
func TestMany(t *testing.T) {
	w := newWorld(t)
	w.partner.SendVerify, w.partner.Pins, w.partner.Subdomains = policy.SendVerifyPins, []policy.Hash{{1}}, true
	w.reload(t)
	var work sync.WaitGroup
	for part := range 4 {
		work.Go(func() {
			for n := range maxKept/2 + 10 {
				if d := w.Insist(policy.Destination{Name: fmt.Sprintf("d%d.%d.%s", n, part, bank)}); d == nil || len(d.Fingerprints) != 1 {
					t.Errorf("%+v", d)
				}
			}
		})
	}
	work.Wait()
	if n := len(w.destinations); n != maxKept {
		t.Errorf("%d are remembered", n)
	}
}

// TestLongName: what no mail can be sent to is listed all the same, and takes no room.
func TestLongName(t *testing.T) {
	w := newWorld(t)
	long := policy.Destination{Name: strings.Repeat("x_", 40_000) + "." + bank}
	waits(t, w.Insist(long), "bad-name")
	w.partner.Mode = policy.ModeTesting
	w.reload(t)
	if d := w.Insist(long); d != nil || len(w.destinations) > 0 {
		t.Errorf("%+v, %d are remembered", d, len(w.destinations))
	}
}

// TestOldSettings: an answer that nobody asks for again does not keep the list by which
// it was made, which may be of a million domains.
func TestOldSettings(t *testing.T) {
	w := newWorld(t)
	w.partner.SendVerify = policy.SendVerifyNames
	w.reload(t)
	d := w.ask()
	own, _ := w.settings.Load().Snapshot.Send.Find(bank)
	if d.Wait != "" || unsafe.StringData(d.Names[0]) == unsafe.StringData(own) {
		t.Errorf("%+v, of the list's own text", d)
	}
	before := weak.Make(w.settings.Load().Snapshot)
	w.settle()
	w.reload(t)
	runtime.GC()
	if before.Value() != nil {
		t.Error("the settings before are kept")
	}
}

// TestForgotten: what was forgotten before its turn came is not looked at: whatever is
// asked for while servers do not answer, no more waits than is remembered.
func TestForgotten(t *testing.T) {
	w := newWorld(t)
	w.partner.Mode, w.partner.SendVerify, w.partner.Pins = policy.ModeTesting, policy.SendVerifyPins, []policy.Hash{{1}}
	w.reload(t)
	for range atOnce {
		w.slots <- struct{}{}
	}
	var all []*destination
	for port := range uint16(2) {
		w.Insist(policy.Destination{Name: bank, Port: port})
		w.Insister.mu.RLock()
		all = append(all, w.destinations[key{bank, false, port}])
		w.Insister.mu.RUnlock()
	}
	w.Insister.mu.Lock()
	delete(w.destinations, all[0].key)
	w.Insister.mu.Unlock()
	for range atOnce {
		<-w.slots
	}
	w.work.Wait()
	if all[0].answer.Load() != nil || all[1].answer.Load() == nil {
		t.Error("the wrong one was looked at")
	}
}

// TestClosing: who asks while the daemon ends is told to come again.
func TestClosing(t *testing.T) {
	w := newWorld(t)
	w.Close()
	waits(t, w.ask(), NotLookedAt)
}

func TestBundles(t *testing.T) {
	dir := t.TempDir()
	own := filepath.Join(dir, "spool", "domain-secured")
	b := Bundles{Dir: own, QueueDirectory: filepath.Join(dir, "spool")}
	roots := &policy.Roots{ID: policy.Hash{0xab}, PEM: []byte("text")}
	if _, err := b.write(roots); err == nil {
		t.Error("written where there is no folder")
	}
	if err := os.MkdirAll(own, 0o755); err != nil {
		t.Fatal(err)
	}
	seen, err := b.write(roots)
	if err != nil || seen != "domain-secured/roots-ab"+strings.Repeat("0", 30)+".pem" {
		t.Errorf("%q, %v", seen, err)
	}
	elsewhere := Bundles{Dir: own, QueueDirectory: "/var/spool/postfix"}
	if seen, err = elsewhere.write(roots); err != nil || filepath.Dir(seen) != own {
		t.Errorf("%q, %v", seen, err)
	}
	info, err := os.Stat(seen)
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v", info, err)
	}
	// What somebody spoiled is put right.
	if err := os.WriteFile(seen, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.write(roots); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(seen); string(text) != "text" {
		t.Errorf("%q, %v", text, err)
	}
	// It stays for as long as the settings before need it, and what is not ours for ever.
	if err := os.WriteFile(filepath.Join(own, "ours.pem"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// What is being written is left alone, and what was given up is not.
	for _, name := range []string{".new-1", ".new-2"} {
		if err := os.WriteFile(filepath.Join(own, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(filepath.Join(own, ".new-2"), time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := b.tidy(policy.NewSnapshot(nil, nil, &policy.Partner{Roots: roots}, nil, nil), nil); err != nil {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(own, ".new-1")); err != nil {
		t.Errorf("what is being written was removed: %v", err)
	}
	with := policy.NewSnapshot(nil, nil, &policy.Partner{Roots: roots}, nil, nil)
	without := policy.NewSnapshot(nil, nil, &policy.Partner{}, nil, nil)
	for _, c := range []struct {
		now, before *policy.Snapshot
		left        int
	}{{with, without, 2}, {without, with, 2}, {without, without, 1}} {
		if err := b.tidy(c.now, &Settings{Snapshot: c.before}); err != nil {
			t.Error(err)
		}
		if entries, _ := os.ReadDir(own); len(entries) != c.left {
			t.Errorf("%v are left", entries)
		}
	}
}

// TestRootsBeforeMail: the files that partners on the list need are there before mail
// asks for them, and no others. One that cannot be written is said at once.
func TestRootsBeforeMail(t *testing.T) {
	w := newWorld(t)
	b := Bundles{Dir: filepath.Join(t.TempDir(), "roots")}
	partners := make(map[string]*policy.Partner)
	for i, p := range []policy.Partner{
		{Domain: "names.example"},
		{Domain: "vetted.example", SendVerify: policy.SendVerifyVetted},
		{Domain: "testing.example", Mode: policy.ModeTesting},
		{Domain: "unlisted.example"},
	} {
		p.Mode, p.SendVerify = cmp.Or(p.Mode, policy.ModeEnforce), cmp.Or(p.SendVerify, policy.SendVerifyNames)
		p.Roots = &policy.Roots{ID: policy.Hash{1, byte(i)}, PEM: []byte(p.Domain)}
		partners[p.Domain] = &p
	}
	defaults := *partners["names.example"]
	defaults.Roots = &policy.Roots{ID: policy.Hash{2}, PEM: []byte("defaults")}
	list, err := policy.ParseList("names.example\nvetted.example\ntesting.example\nplain.example\n")
	if err != nil {
		t.Fatal(err)
	}
	settings := Settings{Snapshot: policy.NewSnapshot(nil, list, &defaults, partners, nil), Bundles: b}
	w.Use(settings)
	if w.logged.count(NoRootsFile) != 1 {
		t.Error("it is not in the log that there is no folder")
	}
	if err := os.Mkdir(b.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	w.Use(settings)
	var texts []string
	entries, err := os.ReadDir(b.Dir)
	for _, entry := range entries {
		text, problem := os.ReadFile(filepath.Join(b.Dir, entry.Name()))
		texts, err = append(texts, string(text)), errors.Join(err, problem)
	}
	if !slices.Equal(texts, []string{"names.example", "defaults"}) || err != nil {
		t.Errorf("%q, %v", texts, err)
	}
}

// TestPanicWhileMaking: an answer is made beside the doors, where a panic would end the
// daemon. Mail waits then, also where something else was answered before, and not for
// ever.
func TestPanicWhileMaking(t *testing.T) {
	w := newWorld(t)
	w.records(t, zone)
	first, _ := w.serve(t, "127.0.0.2", "mail1."+bank)
	second, _ := w.serve(t, "127.0.0.3", "mail2."+bank)
	insistsOn(t, w.ask(), first, second)
	w.settle()
	good := w.Insister.log
	w.Insister.log = slog.New(breaking{good.Handler()})
	w.partner.MinBits++ // which is worth a line
	w.reload(t)
	w.make(w.destination(key{name: bank}, w.clock()))
	waits(t, w.ask(), "internal-error")
	if w.logged.count("panic while looking at a partner") == 0 || w.logged.count("as asked") == 0 {
		t.Error("it is not in the log")
	}
	w.Insister.log = good
	w.later(retryTime)
	insistsOn(t, w.ask(), first, second)
}

// breaking is a log that panics over what is not an error.
type breaking struct{ slog.Handler }

func (b breaking) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelError {
		panic("as asked")
	}
	return b.Handler.Handle(ctx, r)
}
