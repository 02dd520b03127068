package mta

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"domain-secured/internal/testkit/smtpclient"
)

// TestContentFilter sends a message through a content filter and back into Postfix, at a service of its own.
func TestContentFilter(t *testing.T) {
	t.Parallel()
	needPostfix(t)
	c, _ := common(t)
	policy := newOracle(t, "tcp", "127.0.0.1:0")
	milter, err := StartStandIn(t.Context(), StandInOptions{Macros: allMacros})
	if err != nil {
		t.Fatal(err)
	}
	defer milter.Close()
	filter, err := StartFilter(t.Context(), func(content []byte) []byte {
		return append([]byte("X-Filtered: yes\n"), bytes.Replace(content, []byte("hello"), []byte("goodbye"), 1)...)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer filter.Close()
	host, port, _ := strings.Cut(filter.Addr(), ":")
	postfix := startPostfixOf(t, PostfixOptions{
		Common: c,
		Main: []string{
			askingAtData(policy), "smtpd_milters = " + milter.Endpoint(),
			fmt.Sprintf("content_filter = smtp:[%s]:%s", host, port),
		},
		Services: []Service{
			{Name: "reentry", Settings: []string{"content_filter =", "smtpd_data_restrictions =", "mynetworks = 127.0.0.1/32", "smtpd_relay_restrictions = permit_mynetworks, reject"}},
			{Name: "unused"},
		},
	})
	filter.PassTo(postfix.ServiceAddr("reentry"))

	m := letter
	m.Data, m.Parameters = dated, "BODY=8BITMIME"
	if reply := send(t, postfix, smtpclient.Options{TLS: true}, m); !reply.Accepted() {
		t.Fatal(reply)
	}
	got, err := postfix.Delivered(t.Context(), func(Message) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	if got.Header.Get("X-Filtered") != "yes" || got.Header.Get("Subject") != "goodbye world" || len(got.Header["Received"]) != 2 || string(got.Body) != body {
		t.Errorf("delivered:\n%s", got.Raw)
	}
	if !strings.Contains(postfix.Log(), "postfix/reentry/smtpd[") {
		t.Error("the service has no name in the log")
	}
	sessions, err := milter.Sessions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for port, wants := range map[string]int{postfix.Addr(): 1, postfix.ServiceAddr("reentry"): 1, postfix.ServiceAddr("unused"): 0} {
		_, port, _ = strings.Cut(port, ":")
		mails := 0
		for _, told := range sessions {
			isMail := func(p MilterPacket) bool { return p.Code == milterMail }
			ofPort := func(p MilterPacket) bool {
				return p.Code == milterMacro && strings.Contains(p.Data, "{daemon_port}\x00"+port+"\x00")
			}
			if slices.ContainsFunc(told, isMail) && slices.ContainsFunc(told, ofPort) {
				mails++
			}
		}
		if mails != wants {
			t.Errorf("at port %s the milter heard of %d messages, want %d", port, mails, wants)
		}
	}
}

// TestFilterRefused has the server behind the filter refuse, and then be gone.
func TestFilterRefused(t *testing.T) {
	t.Parallel()
	c, _ := common(t)
	policy := newOracle(t, "tcp", "127.0.0.1:0")
	policy.answer("action=450 4.7.1 no")
	server := startFake(t, c, policy)
	filter, err := StartFilter(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer filter.Close()
	filter.PassTo(server.Addr())
	send := func() smtpclient.Reply {
		reply, err := smtpclient.Send(t.Context(), smtpclient.Options{Addr: filter.Addr()}, letter)
		if err != nil {
			t.Fatal(err)
		}
		return reply
	}
	if reply := send(); reply.String() != "450 4.7.1 <DATA>: Data command rejected: no" {
		t.Error(reply)
	}
	policy.answer("action=DUNNO")
	if reply := send(); !reply.Accepted() {
		t.Error(reply)
	}
	server.Close()
	if reply := send(); reply.Code != 451 {
		t.Error(reply)
	}
}
