package outgoing_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/testkit/mta"
	"domain-secured/internal/testkit/smtpclient"
)

// routes of Sendmail's mailertable: they put something in the place of a domain's MX hosts.
const routes = "together.example	relay:[127.77.99.20]\n" +
	"beside.example	relay:[127.77.99.20]\n" +
	"unlisted-beside.example	relay:[127.77.99.20]\n" +
	"routed.example	smtp:[127.77.99.21]\n" +
	"byhost.example	smtp:[mail1.byhost.example]\n" +
	"elsewhere.example	smtp:bob@plainothers.example\n" +
	".below.example	program:host\n" +
	"around.covered.example	smtp:bob@plainothers.example\n" +
	"mail.below.example	esmtp:mail.below.example\n"

// program is a mailer that needs no server: it keeps what it is given.
const program = "MAILER_DEFINITIONS\nMprogram,\tP=/usr/bin/tee, F=lsDFMn, S=EnvFromSMTP, R=EnvToSMTP, U=root:root, A=tee -a %s/kept-$u\n"

// startSendmail has contoso.com send by Sendmail, as contrib/sendmail says, with more lines for sendmail.mc.
func (s *site) startSendmail(t *testing.T, name string, config ...string) *mta.Sendmail {
	t.Helper()
	return s.startSendmailWith(t, name, sendingLines(t), config...)
}

// sendingLines are those of contrib/sendmail.
func sendingLines(t *testing.T) string {
	t.Helper()
	lines, err := os.ReadFile("../../contrib/sendmail/sending.mc")
	if err != nil {
		t.Fatal(err)
	}
	return string(lines)
}

// startSendmailWith is startSendmail with other lines in place of those in contrib.
func (s *site) startSendmailWith(t *testing.T, name, lines string, config ...string) *mta.Sendmail {
	t.Helper()
	dir := s.path(name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	table := filepath.Join(dir, "mailertable")
	if err := errors.Join(os.WriteFile(table, []byte(routes), 0o644), mta.MakeSendmailMap(t.Context(), table, routes)); err != nil {
		t.Fatal(err)
	}
	services := filepath.Join(dir, "services")
	if err := os.WriteFile(services, []byte("hosts files dns\naliases files\npasswd files\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	sendmail, err := mta.StartSendmail(t.Context(), mta.SendmailOptions{
		Common: mta.Common{Hostname: "mx1.contoso.com", Domains: []string{"contoso.com"}, Certificate: s.ours, ClientCA: s.root.Certificate.Leaf},
		Dir:    dir,
		Config: append([]string{
			"undefine(`SMART_HOST')dnl",
			"undefine(`RELAY_MAILER_ARGS')dnl",
			"define(`confSERVICE_SWITCH_FILE', `" + services + "')dnl",
			"FEATURE(`mailertable', `hash " + table + "')dnl",
			"define(`confCLIENT_CERT', `" + dir + "/tls/server.pem')dnl",
			"define(`confCLIENT_KEY', `" + dir + "/tls/server.key')dnl",
			"define(`confDOUBLE_BOUNCE_ADDRESS', `postmaster@others.example')dnl",
			// What waits is tried every second. There are many, and one process will do.
			"define(`confMAX_QUEUE_CHILDREN', `2')dnl",
		}, config...),
		Rulesets: []string{lines, fmt.Sprintf(program, dir)},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sendmail.Close(); err != nil {
			t.Error(err)
		}
	})
	return sendmail
}

// mailed is a message that was handed to Sendmail.
type mailed struct {
	site  *site
	queue string
	id    string // of its header
}

// mail hands Sendmail a message.
func (s *site) mail(t *testing.T, by *mta.Sendmail, sender string, recipients ...string) mailed {
	t.Helper()
	m := mailed{s, filepath.Join(filepath.Dir(by.ConfigFile()), "mqueue"), "<" + rand.Text() + "@contoso.com>"}
	reply, err := smtpclient.Send(t.Context(), smtpclient.Options{Addr: by.Addr()},
		smtpclient.Mail{Sender: sender, Recipients: recipients, Data: []byte("Message-ID: " + m.id + "\nSubject: hi\n\nhi\n")})
	if err != nil || !reply.Accepted() {
		t.Fatalf("to %q: %v, %v", recipients, reply, err)
	}
	return m
}

// arrived reports whether a domain's server has taken it for a recipient.
func (m mailed) arrived(t *testing.T, domain, recipient string) bool {
	t.Helper()
	server := m.site.servers[domain]
	if server == nil { // not started yet
		return false
	}
	messages, err := server.Messages()
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(messages, func(got mta.Message) bool {
		return got.Header.Get("Message-ID") == m.id && strings.EqualFold(got.Recipient, recipient)
	})
}

// queued returns Sendmail's queue file of it: "" if there is none.
func (m mailed) queued(t *testing.T) string {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(m.queue, "qf*"))
	for _, name := range files {
		content, err := os.ReadFile(name)
		switch {
		case errors.Is(err, os.ErrNotExist): // it was just delivered
		case err != nil:
			t.Fatal(err)
		case strings.Contains(string(content), m.id):
			return string(content)
		}
	}
	return ""
}

// waits returns why it waits for a recipient, by the queue file: "" if it does not, or was not tried yet.
func waits(queued, recipient string) (why string) {
	there := false
	for line := range strings.Lines(queued) {
		line = strings.TrimRight(line, "\n")
		switch line[:min(1, len(line))] {
		case "M": // of its last try
			why = line[1:]
		case "R":
			there = there || strings.Contains(strings.ToLower(line), strings.ToLower(recipient))
		}
	}
	if !there {
		return ""
	}
	return why
}

// outcome waits until it has left for a recipient, or waits for a reason that has these words.
func (m mailed) outcome(t *testing.T, recipient string, because ...string) (why string) {
	t.Helper()
	_, domain, _ := strings.Cut(recipient, "@")
	domain = strings.ToLower(domain)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 60*time.Second)
	defer cancel()
	for tick := time.Tick(10 * time.Millisecond); ; {
		if m.arrived(t, domain, recipient) {
			return ""
		}
		why = waits(m.queued(t), recipient)
		if why != "" && (because == nil || slices.ContainsFunc(because, func(word string) bool { return strings.Contains(why, word) })) {
			return why
		}
		select {
		case <-tick:
		case <-ctx.Done():
			t.Fatalf("no outcome for %s: %q, want %q", recipient, why, because)
		}
	}
}

// leaves waits until it has left for a recipient.
func (m mailed) leaves(t *testing.T, recipient string) {
	t.Helper()
	if why := m.outcome(t, recipient, "\x00"); why != "" {
		t.Errorf("for %s: %s", recipient, why)
	}
}

// waitsFor waits until it waits for a recipient, and says why.
func (m mailed) waitsFor(t *testing.T, recipient, reason string) {
	t.Helper()
	if why := m.outcome(t, recipient, reason); why == "" {
		t.Errorf("for %s: it was sent, want %q", recipient, reason)
	}
}

// purgeSendmail empties its queue, but for what it is at: that is tried once more at most.
func (s *site) purgeSendmail(t *testing.T) {
	t.Helper()
	for _, kind := range []string{"qf", "df", "xf"} { // a message is what has a qf file
		files, _ := filepath.Glob(s.path("sendmail/mqueue/" + kind + "*"))
		for _, name := range files {
			if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Error(err)
			}
		}
	}
}

// at starts a server for domains at an address, without records in the DNS.
func (s *site) at(t *testing.T, address string, o mta.FakeOptions, domains ...string) *mta.Fake {
	t.Helper()
	o.Listen = net.JoinHostPort(address, "25")
	o.Domains = domains
	o.Hostname = fmt.Sprintf("mail.%s", domains[0])
	server, err := mta.StartFake(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	for _, domain := range domains {
		s.servers[domain] = server
	}
	return server
}
