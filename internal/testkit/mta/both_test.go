package mta

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"domain-secured/internal/testkit/pki"
	"domain-secured/internal/testkit/smtpclient"
)

// A tried server has a policy service and a milter of its own.
type tried struct {
	MTA
	policy   *oracle
	milter   *StandIn
	sessions int
}

type both struct {
	ca            *pki.CA
	fake, postfix *tried
}

func newBoth(t *testing.T) both {
	t.Helper()
	needPostfix(t)
	c, ca := common(t)
	start := func(run func(*tried) MTA) *tried {
		milter, err := StartStandIn(t.Context(), StandInOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(milter.Close)
		s := &tried{policy: newOracle(t, "tcp", "127.0.0.1:0"), milter: milter}
		s.MTA = run(s)
		return s
	}
	return both{
		ca: ca,
		fake: start(func(s *tried) MTA {
			return startFakeOf(t, FakeOptions{Common: c, Policy: s.policy.String(), PolicyContext: "data", Milter: s.milter.Endpoint()})
		}),
		postfix: start(func(s *tried) MTA {
			return startPostfix(t, c, askingAtData(s.policy), fmt.Sprintf("smtpd_milters = { %s, default_action=tempfail }", s.milter.Endpoint()))
		}),
	}
}

// A held session, and what came of it.
type held struct {
	told    []string // to the milter, without what differs by nature
	replies []string // to each message
	arrived []string // messages without what differs by nature, sorted
}

// hello in place of a message has the client say EHLO again.
var hello = smtpclient.Mail{}

// hold holds one session with a server whose milter and policy service behave as told.
func (s *tried) hold(t *testing.T, milter StandInOptions, policy string, client smtpclient.Options, mails ...smtpclient.Mail) (h held) {
	t.Helper()
	s.milter.Become(milter)
	s.policy.answer("action=" + policy)
	before := s.ended(t)
	s.sessions++
	client.Addr, client.Hello = s.Addr(), fmt.Sprintf("mail%d.woodgrovebank.com", s.sessions)
	session, err := smtpclient.Dial(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mails {
		var reply smtpclient.Reply
		if m.Data == nil {
			reply, err = session.Hello(t.Context(), "another.woodgrovebank.com")
		} else {
			reply, err = session.Send(t.Context(), m)
		}
		switch {
		case err != nil:
			h.replies = append(h.replies, "hung up")
		case reply.Accepted():
			h.replies = append(h.replies, "accepted") // the text names the queue id
		case m.Data == nil:
			h.replies = append(h.replies, fmt.Sprint(reply.Code)) // the extensions differ
		default:
			h.replies = append(h.replies, reply.Stage+": "+reply.String())
		}
	}
	session.Close()
	if err := s.Idle(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, err := s.Messages()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		own := slices.IndexFunc(m.Fields, func(f Field) bool { return f.Is("Received") && strings.Contains(f.Value, client.Hello) })
		if own >= 0 {
			m.Fields[own].Value = " …"
			h.arrived = append(h.arrived, fmt.Sprintf("%q\n%q", m.Fields, m.Body))
		}
	}
	slices.Sort(h.arrived)
	for _, session := range s.ended(t)[len(before):] {
		h.told = append(h.told, comparable(session)...)
	}
	return h
}

func (s *tried) ended(t *testing.T) [][]MilterPacket {
	t.Helper()
	sessions, err := s.milter.Sessions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return sessions
}

// firstDifference says where two lists differ, "" where they do not.
func firstDifference(fake, postfix []string) string {
	for i := range max(len(fake), len(postfix)) {
		var sides [2]string
		for side, list := range [2][]string{fake, postfix} {
			sides[side] = "nothing"
			if i < len(list) {
				sides[side] = list[i]
			}
		}
		if sides[0] != sides[1] {
			return fmt.Sprintf("number %d is\n%s\nwith the fake, and with Postfix\n%s", i+1, sides[0], sides[1])
		}
	}
	return ""
}

// comparable returns the lines of a session with a milter without what differs by nature.
func comparable(told []MilterPacket) (lines []string) {
	for _, p := range told {
		if name, address, ok := strings.Cut(p.Data, "\x004"); ok && p.Code == milterConnect {
			p.Data = name + "\x004…" + address[2:] // without the port
		}
		line := p.String()
		for _, nature := range byMilterNature {
			line = nature.form.ReplaceAllString(line, nature.instead)
		}
		// How often it says that a message is over when there is none anyway, nobody relies on.
		if p.Code == milterAbort && lines[len(lines)-1] == line {
			continue
		}
		lines = append(lines, line)
	}
	return lines
}

var byMilterNature = []struct {
	form    *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`("D?[TLNBER]?i" )"[0-9A-F]{6,15}"`), "$1…"},
	{regexp.MustCompile(`"({client_port}|{daemon_port})" "\d{1,5}"`), `"$1" …`},
	{regexp.MustCompile(`"(.?{cipher})" "TLS_(AES|CHACHA20)_[0-9A-Z_]+"`), `"$1" …`},
	{regexp.MustCompile(`"({cipher_bits})" "(128|256)"`), `"$1" …`},
	{regexp.MustCompile(`"Postfix( [0-9.]+)?"`), `"Postfix …"`},
}
