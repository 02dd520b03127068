package mta

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/testkit/smtpclient"
)

// needSendmail is needPostfix for Sendmail.
func needSendmail(t *testing.T) {
	t.Helper()
	if err := FindSendmail(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

func startSendmail(t *testing.T, o SendmailOptions) *Sendmail {
	t.Helper()
	needSendmail(t)
	sendmail, err := StartSendmail(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("Sendmail:\n%s", sendmail.Log())
		}
		if err := sendmail.Close(); err != nil {
			t.Error(err)
		}
	})
	return sendmail
}

// TestSendmail has one take mail, tell a milter of it, and hand it on as it came.
func TestSendmail(t *testing.T) {
	t.Parallel()
	c, ca := common(t)
	milter, err := StartStandIn(t.Context(), StandInOptions{Macros: allMacros})
	if err != nil {
		t.Fatal(err)
	}
	defer milter.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(milter.Endpoint(), "inet:"), ":")
	sendmail := startSendmail(t, SendmailOptions{Common: c, Config: []string{
		"INPUT_MAIL_FILTER(`test', `S=inet:" + port + "@127.0.0.1, F=T')dnl",
	}})
	if !strings.HasPrefix(sendmail.Name(), "Sendmail 8.") {
		t.Errorf("it is called %q", sendmail.Name())
	}
	client, err := ca.Leaf(pki.LeafOptions{CommonNames: []string{"mail1.woodgrovebank.com"}})
	if err != nil {
		t.Fatal(err)
	}
	certificate := client.TLSCertificate()
	m := letter
	m.Data, m.Recipients = dated, []string{"bob@contoso.com", "carol@contoso.net"}
	if reply := send(t, sendmail, smtpclient.Options{TLS: true, Certificate: &certificate}, m); !reply.Accepted() {
		t.Fatalf("refused at %s: %s", reply.Stage, reply)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := sendmail.Idle(ctx); err != nil {
		t.Fatal(err)
	}
	all, err := sendmail.Messages()
	if err != nil || len(all) != 2 {
		t.Fatalf("%d messages: %v", len(all), err)
	}
	for _, got := range all {
		if got.Sender != m.Sender || !strings.Contains(got.Fields[EnvelopeFields].Value, "verify=OK") || !strings.HasSuffix(string(got.Raw), string(dated)) {
			t.Errorf("delivered from %q:\n%s", got.Sender, got.Raw)
		}
	}
	if sessions, err := milter.Sessions(ctx); err != nil || len(sessions) == 0 {
		t.Errorf("the milter heard of %d sessions: %v", len(sessions), err)
	}

	queue := filepath.Join(sendmail.dir, "mqueue")
	if len(processesIn(queue)) == 0 {
		t.Error("no process works in its queue")
	}
	if err := sendmail.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(sendmail.dir); !os.IsNotExist(err) || len(processesIn(queue)) > 0 {
		t.Errorf("it is left: %v", err)
	}
}

// TestSendmailDoesNotStart: what is wrong is said, and nothing is left.
func TestSendmailDoesNotStart(t *testing.T) {
	t.Parallel()
	needSendmail(t)
	c, _ := common(t)
	for config, want := range map[string]string{
		"FEATURE(`nonsense')dnl":   "nonsense",
		"LOCAL_CONFIG\nX,nonsense": "name required for mail filter",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		sendmail, err := StartSendmail(ctx, SendmailOptions{Common: c, Config: []string{config}})
		if err == nil {
			sendmail.Close()
			t.Errorf("%q: it started", config)
		} else if !strings.Contains(err.Error(), want) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%q: not a word of %q in: %v", config, want, err)
		}
	}
}
