package mailqueue

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"domain-secured/internal/testkit/mta"
	"domain-secured/internal/testkit/smtpclient"
)

// TestRead reads the queue of a real Postfix.
func TestRead(t *testing.T) {
	if _, err := mta.FindPostfix(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	p, err := mta.StartPostfix(t.Context(), mta.PostfixOptions{
		Common: mta.Common{Domains: []string{"contoso.com"}},
		Main: []string{
			"mynetworks = 127.0.0.0/8", "smtpd_relay_restrictions = permit_mynetworks, reject",
			"transport_maps = inline:{ woodgrovebank.com=smtp:[127.0.0.1]:1 }",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	read := func() (messages []Message, warnings []string) {
		t.Helper()
		unread, warnings, err := Read(t.Context(), p.ConfigDir(), func(m *Message) { messages = append(messages, *m) })
		if err != nil || unread != 0 {
			t.Fatalf("%d not read, %v", unread, err)
		}
		return messages, warnings
	}
	if messages, warnings := read(); len(messages)+len(warnings) != 0 {
		t.Fatalf("an empty queue has %+v, %q", messages, warnings)
	}
	reply, err := smtpclient.Send(t.Context(), smtpclient.Options{Addr: p.Addr()}, smtpclient.Mail{
		Sender: "alice@contoso.com", Recipients: []string{"bob@woodgrovebank.com", `"a b"@woodgrovebank.com`}, Data: []byte("Subject: x\n\nx\n"),
	})
	if err != nil || !reply.Accepted() {
		t.Fatal(reply, err)
	}
	deadline := time.Now().Add(20 * time.Second)
	var m Message
	for m.Queue != "deferred" || m.Recipients[0].Reason == "" {
		if time.Now().After(deadline) {
			t.Fatalf("the message is not deferred: %+v\n%s", m, p.Log())
		}
		messages, _ := read()
		if len(messages) > 1 {
			t.Fatalf("%+v", messages)
		}
		for _, m = range messages { // none, if it went past between two queues
		}
	}
	if len(m.Recipients) != 2 || m.Recipients[0].Address != `"a b"@woodgrovebank.com` || m.Recipients[1].Address != "bob@woodgrovebank.com" || m.Recipients[0].Reason != "connect to 127.0.0.1[127.0.0.1]:1: Connection refused" ||
		time.Since(m.Arrived).Abs() > time.Minute || !strings.Contains(p.Log(), m.ID) {
		t.Errorf("%+v", m)
	}
}

func TestReadFails(t *testing.T) {
	if _, err := mta.FindPostfix(); err == nil {
		if _, _, err := Read(t.Context(), t.TempDir(), func(*Message) {}); err == nil || !strings.Contains(err.Error(), "postqueue: fatal: open ") {
			t.Errorf("a folder without main.cf: %v", err)
		}
	}
	t.Setenv("PATH", t.TempDir())
	old := places
	defer func() { places = old }()
	places = []string{"postqueue"}
	if _, _, err := Read(t.Context(), "", func(*Message) {}); !errors.Is(err, ErrNoPostqueue) {
		t.Errorf("without postqueue: %v", err)
	}
}

const line = `{"queue_name": "deferred", "queue_id": "E81CA9A7927", "arrival_time": 1795337349, "message_size": 333, "forced_expire": false, "sender": "alice@contoso.example", "recipients": [{"address": "bob@plain.example", "delay_reason": "TLS is required, but was not offered by host 127.0.0.1[127.0.0.1]"}]}`

func TestEach(t *testing.T) {
	long := strings.Replace(line, "bob", strings.Repeat("b", maxLine), 1)
	text := line + "\n\n" + long + "\n{}\nx\n" + strings.Replace(line, "1795337349", "-1", 1) + "\n" + line
	n := 0
	unread, err := each(strings.NewReader(text), func(m *Message) {
		n++
		if m.ID != "E81CA9A7927" || m.Arrived.Unix() != 1795337349 || len(m.Recipients) != 1 || m.Recipients[0].Address != "bob@plain.example" {
			t.Errorf("%+v", m)
		}
	})
	if n != 2 || unread != 4 || err != nil {
		t.Errorf("%d messages, %d not read, %v", n, unread, err)
	}
}

// TestOnce: seen on a busy machine, a message that was deferred between showq's look at
// active and its look at deferred.
func TestOnce(t *testing.T) {
	text := strings.Replace(line, "deferred", "active", 1) + "\n" + strings.Replace(line, "E81CA9A7927", "A84439A8356", 1) + "\n" + line + "\n"
	program := filepath.Join(t.TempDir(), "postqueue")
	if err := os.WriteFile(program, []byte("#!/bin/sh\ncat <<'END'\n"+text+"END\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	old := places
	defer func() { places = old }()
	places = []string{program}
	var got []string
	unread, _, err := Read(t.Context(), "", func(m *Message) { got = append(got, m.Queue+" "+m.ID) })
	if want := []string{"active E81CA9A7927", "deferred A84439A8356"}; !slices.Equal(got, want) || unread != 0 || err != nil {
		t.Errorf("%q, %d not read, %v; want %q", got, unread, err, want)
	}
}

// FuzzEach: every line that is not blank is a message, or counted.
func FuzzEach(f *testing.F) {
	f.Add([]byte(line + "\n" + line))
	f.Add([]byte(`{"queue_name":"hold","queue_id":"1","recipients":[{}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		want, got := 0, 0
		for l := range bytes.Lines(text) {
			if len(bytes.TrimSpace(l)) > 0 {
				want++
			}
		}
		unread, err := each(bytes.NewReader(text), func(m *Message) {
			got++
			if m.ID == "" || m.Queue == "" {
				t.Errorf("%+v", m)
			}
			if _, err := json.Marshal(fmt.Sprint(m)); err != nil {
				t.Error(err)
			}
		})
		if err != nil || got+unread != want {
			t.Errorf("%d messages and %d not read of %d lines, %v", got, unread, want, err)
		}
	})
}
