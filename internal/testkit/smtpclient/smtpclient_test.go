package smtpclient_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/testkit/mta"
	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/testkit/smtpclient"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script starts a server for one connection that says the lines, the first at once, each other one after a
// line from the client, up to its QUIT; an empty line says nothing. It returns its address.
func script(t *testing.T, lines ...string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		in := bufio.NewReader(conn)
		for _, line := range lines {
			if line != "" {
				fmt.Fprintf(conn, "%s\r\n", line)
			}
			if got, err := in.ReadString('\n'); err != nil || got == "QUIT\r\n" {
				return
			}
		}
		in.ReadString('\n') // silent, until the client goes
	}()
	t.Cleanup(func() {
		listener.Close()
		<-ended
	})
	return listener.Addr().String()
}

var letter = smtpclient.Mail{Sender: "alice@woodgrovebank.com", Recipients: []string{"bob@contoso.com"}, Data: []byte("Subject: hello\n\nHi\n")}

func TestRefusedAt(t *testing.T) {
	for _, test := range []struct {
		stage string
		lines []string
		tls   bool
		want  string
	}{
		{smtpclient.Connect, []string{"554 5.7.1 go away"}, false, "554 5.7.1 go away"},
		{smtpclient.EHLO, []string{"220 hi", "421-4.3.2 not\r\n421 4.3.2 now"}, false, "421 4.3.2 not 4.3.2 now"},
		{smtpclient.STARTTLS, []string{"220 hi", "250 ok", "454 4.7.0 no TLS today"}, true, "454 4.7.0 no TLS today"},
		{smtpclient.MAIL, []string{"220 hi", "250 ok", "450 4.7.1 later", "250 ok"}, false, "450 4.7.1 later"},
		{smtpclient.RCPT, []string{"220 hi", "250 ok", "250 ok", "550 no such user", "250 ok"}, false, "550 no such user"},
		{smtpclient.DATA, []string{"220 hi", "250 ok", "250 ok", "250 ok", "450 4.7.5 not proven", "250 ok"}, false, "450 4.7.5 not proven"},
		// The message has four lines, its final dot included.
		{smtpclient.Content, []string{"220 hi", "250 ok", "250 ok", "250 ok", "354 go on", "", "", "", "550 5.7.1 spam", "250 ok"}, false, "550 5.7.1 spam"},
	} {
		t.Run(test.stage, func(t *testing.T) {
			reply, err := smtpclient.Send(t.Context(), smtpclient.Options{Addr: script(t, test.lines...), TLS: test.tls, Timeout: 5 * time.Second}, letter)
			if err != nil {
				t.Fatal(err)
			}
			if reply.Stage != test.stage || reply.String() != test.want || reply.Accepted() {
				t.Errorf("at %s: %s", reply.Stage, reply)
			}
			want := ""
			if fields := strings.Fields(test.want); strings.Count(fields[1], ".") == 2 {
				want = fields[1]
			}
			if reply.Enhanced() != want {
				t.Errorf("enhanced code %q", reply.Enhanced())
			}
		})
	}
}

func TestNoReply(t *testing.T) {
	_, err := smtpclient.Send(t.Context(), smtpclient.Options{Addr: script(t, "220 hi"), Timeout: 50 * time.Millisecond}, letter)
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("a silent server: %v", err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := smtpclient.Send(ctx, smtpclient.Options{Addr: script(t, "220 hi")}, letter); err == nil {
		t.Error("a context that ended did not end the session")
	}

	if _, err := smtpclient.Send(t.Context(), smtpclient.Options{Addr: script(t, "220 hi", "250 ok", "220 go", "")}, smtpclient.Mail{Sender: "a\r\nb"}); err == nil {
		t.Error("a line break was sent")
	}
}

// TestSession sends several messages on one TLS connection, with a certificate whose issuer the server does
// not name.
func TestSession(t *testing.T) {
	ca, err := pki.NewCA(pki.CAOptions{Name: "contoso"})
	if err != nil {
		t.Fatal(err)
	}
	server, err := ca.Leaf(pki.LeafOptions{DNSNames: []string{"mx1.contoso.com"}})
	if err != nil {
		t.Fatal(err)
	}
	client, err := pki.SelfSigned(pki.LeafOptions{CommonNames: []string{"mail1.woodgrovebank.com"}})
	if err != nil {
		t.Fatal(err)
	}
	fake, err := mta.StartFake(t.Context(), mta.FakeOptions{Common: mta.Common{
		Domains: []string{"contoso.com"}, Certificate: server, ClientCA: ca.Certificate.Leaf,
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer fake.Close()

	certificate := client.TLSCertificate()
	session, err := smtpclient.Dial(t.Context(), smtpclient.Options{
		Addr: fake.Addr(), Hello: "mail1.woodgrovebank.com", TLS: true, Certificate: &certificate, MaxVersion: tls.VersionTLS12,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if state := session.TLS(); state == nil || state.Version != tls.VersionTLS12 {
		t.Errorf("TLS: %+v", state)
	}
	stranger := letter
	stranger.Recipients = []string{"bob@fabrikam.com"}
	for range 3 {
		if reply, err := session.Send(t.Context(), letter); err != nil || !reply.Accepted() {
			t.Fatalf("at %s: %s, %v", reply.Stage, reply, err)
		}
		if reply, err := session.Send(t.Context(), stranger); err != nil || reply.Stage != smtpclient.RCPT || reply.Code != 554 {
			t.Fatalf("at %s: %s, %v", reply.Stage, reply, err)
		}
	}
	if all, err := fake.Messages(); err != nil || len(all) != 3 {
		t.Errorf("%d messages, %v", len(all), err)
	}
}

// TestOneHello counts what a milter hears.
func TestOneHello(t *testing.T) {
	server, err := pki.SelfSigned(pki.LeafOptions{DNSNames: []string{"mx1.contoso.com"}})
	if err != nil {
		t.Fatal(err)
	}
	milter, err := mta.StartStandIn(t.Context(), mta.StandInOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer milter.Close()
	fake, err := mta.StartFake(t.Context(), mta.FakeOptions{
		Common: mta.Common{Domains: []string{"contoso.com"}, Certificate: server}, Milter: milter.Endpoint(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer fake.Close()
	for i, one := range []bool{true, false} {
		reply, err := smtpclient.Send(t.Context(), smtpclient.Options{Addr: fake.Addr(), Hello: "mail1.woodgrovebank.com", TLS: true, OneHello: one}, letter)
		if err != nil || !reply.Accepted() {
			t.Fatalf("%s, %v", reply, err)
		}
		sessions, err := milter.Sessions(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		hellos := 0
		for _, p := range sessions[i] {
			if p.String() == `H ["mail1.woodgrovebank.com"]` {
				hellos++
			}
		}
		if hellos != i+1 {
			t.Errorf("one hello %v: %d", one, hellos)
		}
	}
}
