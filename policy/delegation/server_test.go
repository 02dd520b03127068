package delegation

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"domain-secured/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// judgeFunc is a judge without rules.
type judgeFunc func(*policy.Facts) policy.Verdict

func (j judgeFunc) Envelope(f *policy.Facts) policy.Verdict { return j(f) }

func (judgeFunc) Content(*policy.Facts, *policy.Verdict, *policy.From) policy.Ending {
	panic("a policy service never hears the content")
}

// bySender refuses what comes from refuse@, panics for panic@ and lets all else be.
func bySender(f *policy.Facts) policy.Verdict {
	switch local, _, _ := strings.Cut(f.Sender, "@"); local {
	case "refuse":
		return policy.Verdict{Action: policy.ActionTempfail, Reply: policy.Reply{Code: "450", Enhanced: "4.7.0", Text: "because"}}
	case "reject":
		return policy.Verdict{Action: policy.ActionReject, Reply: policy.Reply{Code: "550", Enhanced: "5.7.5", Text: "for good"}}
	case "test":
		return policy.Verdict{Action: policy.ActionNone, Reply: policy.Reply{Code: "450", Enhanced: "4.7.0", Text: "because"}}
	case "pass":
		return policy.Verdict{Action: policy.ActionAccept, Result: policy.ResultPass}
	case "panic":
		panic("as asked")
	}
	return policy.Verdict{Action: policy.ActionNone}
}

// start serves on a listener of the test's own, and returns its address.
func start(t *testing.T, network, address string) net.Addr {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(judgeFunc(bySender), slog.New(slog.DiscardHandler))
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return l.Addr()
}

// client is one connection of an smtpd.
type client struct {
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, addr net.Addr) *client {
	t.Helper()
	c, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(30 * time.Second))
	return &client{c, bufio.NewReader(c)}
}

func (c *client) send(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

// expect reads one answer.
func (c *client) expect(t *testing.T, want string) {
	t.Helper()
	line, err := c.r.ReadString('\n')
	if err != nil {
		t.Fatalf("reading an answer: %v, want %q", err, want)
	}
	if empty, err := c.r.ReadString('\n'); empty != "\n" || err != nil {
		t.Fatalf("after %q comes %q, %v, want an empty line", line, empty, err)
	}
	if line != want+"\n" {
		t.Errorf("answer %q, want %q", line, want)
	}
}

func (c *client) expectClosed(t *testing.T) {
	t.Helper()
	if rest, err := io.ReadAll(c.r); len(rest) > 0 || isTimeout(err) {
		t.Errorf("read %q, %v, want the connection closed without an answer", rest, err)
	}
}

func isTimeout(err error) bool {
	timeout, ok := err.(net.Error)
	return ok && timeout.Timeout()
}

func TestAnswers(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		address := "127.0.0.1:0"
		if network == "unix" {
			address = filepath.Join(t.TempDir(), "s")
		}
		c := dial(t, start(t, network, address))
		for sender, want := range map[string]string{
			"refuse@x":   "action=450 4.7.0 because",
			"reject@x":   "action=550 5.7.5 for good",
			"test@x":     "action=DUNNO",
			"pass@x":     "action=DUNNO", // a pass permits nothing
			"nobody@x":   "action=DUNNO",
			"":           "action=DUNNO",
			"refuse@ü.x": "action=450 4.7.0 because",
		} {
			c.send(t, request("sender="+sender)+"\n")
			c.expect(t, want)
		}
	}
}

func TestEveryState(t *testing.T) {
	c := dial(t, start(t, "tcp", "127.0.0.1:0"))
	for _, state := range []string{"CONNECT", "EHLO", "HELO", "MAIL", "RCPT", "DATA", "END-OF-MESSAGE", "VRFY", "ETRN", "BDAT", ""} {
		c.send(t, request("protocol_state="+state, "queue_id=", "sender=refuse@x")+"\n")
		c.expect(t, "action=450 4.7.0 because")
	}
}

func TestPipelined(t *testing.T) {
	c := dial(t, start(t, "tcp", "127.0.0.1:0"))
	var all strings.Builder
	for i := range 200 {
		all.WriteString(request("sender="+[]string{"refuse@x", "nobody@x"}[i%2]) + "\n")
	}
	go io.WriteString(c, all.String())
	for i := range 200 {
		c.expect(t, []string{"action=450 4.7.0 because", "action=DUNNO"}[i%2])
	}
}

func TestByteByByte(t *testing.T) {
	c := dial(t, start(t, "tcp", "127.0.0.1:0"))
	for range 2 {
		for _, b := range []byte(request("sender=refuse@x") + "\n") {
			c.send(t, string(b))
		}
		c.expect(t, "action=450 4.7.0 because")
	}
}

func TestLongestRequest(t *testing.T) {
	c := dial(t, start(t, "tcp", "127.0.0.1:0"))
	text := request("sender=refuse@x")
	text += "new=" + strings.Repeat("x", maxRequest-len(text)-10) + "\n\n"
	c.send(t, text+text)
	c.expect(t, "action=450 4.7.0 because")
	c.expect(t, "action=450 4.7.0 because")
}

// TestWrong sends what Postfix never would. None of it is let through, and the
// server goes on.
func TestWrong(t *testing.T) {
	addr := start(t, "tcp", "127.0.0.1:0")
	for what, text := range map[string]string{
		"nothing but line feeds":  "\n\n\n\n",
		"HTTP":                    "GET / HTTP/1.1\r\nHost: x\r\n\r\n\n\n",
		"5 MB without an end":     "sender=" + strings.Repeat("x", 5<<20),
		"5 MB of lines":           strings.Repeat("x=y\n", 5<<18),
		"200,000 attributes":      strings.TrimSuffix(request(), "\n") + strings.Repeat("\nx=y", 200_000) + "\n\n",
		"two senders":             request() + "sender=nobody@x\n\n",
		"a NUL":                   request("sender=nobody\x00@x") + "\n",
		"no equals sign":          request() + "garbage\n\n",
		"no request":              "sender=nobody@x\n\n",
		"a panic in the judgment": request("sender=panic@x") + "\n",
	} {
		t.Run(what, func(t *testing.T) {
			c := dial(t, addr)
			go io.WriteString(c, text) // it may never be read to its end
			c.expectClosed(t)
		})
	}
	c := dial(t, addr)
	c.send(t, request("sender=refuse@x")+"\n")
	c.expect(t, "action=450 4.7.0 because")
}

func TestTruncated(t *testing.T) {
	addr := start(t, "tcp", "127.0.0.1:0")
	text := request("sender=refuse@x") + "\n"
	for cut := 0; cut < len(text); cut += 7 {
		c := dial(t, addr)
		c.send(t, text[:cut])
		c.Conn.(*net.TCPConn).CloseWrite()
		c.expectClosed(t)
	}
}

// TestHalfOpen: those who connect and fall silent do not keep out those who ask.
func TestHalfOpen(t *testing.T) {
	addr := start(t, "tcp", "127.0.0.1:0")
	var silent sync.WaitGroup
	for i := range 2000 {
		c := dial(t, addr)
		if i%2 == 0 {
			silent.Go(func() { io.WriteString(c, "request=smtpd_access_policy\nsender=") })
		}
	}
	silent.Wait()
	c := dial(t, addr)
	c.send(t, request("sender=refuse@x")+"\n")
	c.expect(t, "action=450 4.7.0 because")
}

const requestTime = 20 * time.Second // of every door

// TestTimes: a request has 20 s from its first octet, however it trickles in; a
// connection may be idle for long, but not for ever.
func TestTimes(t *testing.T) {
	for _, c := range []struct {
		what  string
		drive func(net.Conn)
		lives time.Duration
	}{
		{"silent from the start", func(net.Conn) {}, firstTime},
		{"a trickle", func(c net.Conn) {
			for {
				if _, err := io.WriteString(c, "x"); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}, requestTime},
		{"idle after a request", func(c net.Conn) {
			io.WriteString(c, request()+"\n")
			io.CopyN(io.Discard, c, int64(len("action=DUNNO\n\n")))
		}, idleTime},
		{"a request, then half of one", func(c net.Conn) {
			io.WriteString(c, request()+"\n")
			io.CopyN(io.Discard, c, int64(len("action=DUNNO\n\n")))
			time.Sleep(10 * time.Minute)
			io.WriteString(c, "request=")
		}, 10*time.Minute + requestTime},
		{"a request in two halves, then idle", func(c net.Conn) {
			io.WriteString(c, "request=smtpd_access_policy\n")
			time.Sleep(10 * time.Second)
			io.WriteString(c, "sender=\n\n")
			io.CopyN(io.Discard, c, int64(len("action=DUNNO\n\n")))
		}, 10*time.Second + idleTime},
		{"whole requests, each cut in two", func(c net.Conn) {
			io.WriteString(c, "request=smtpd_access_policy\n")
			for range 39 {
				time.Sleep(time.Second)
				io.WriteString(c, "sender=\n\nrequest=smtpd_access_policy\n")
				io.CopyN(io.Discard, c, int64(len("action=DUNNO\n\n")))
			}
		}, 39*time.Second + requestTime},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := NewServer(judgeFunc(bySender), slog.New(slog.DiscardHandler))
				ours, theirs := net.Pipe()
				began := time.Now()
				var driver sync.WaitGroup
				driver.Go(func() { c.drive(theirs) })
				s.handle(ours)
				ours.Close()
				if lived := time.Since(began); lived < c.lives || lived > c.lives+time.Second {
					t.Errorf("closed after %v, want %v", lived, c.lives)
				}
				theirs.Close()
				driver.Wait()
			})
		})
	}
}

// TestShutdown: a request in hand is answered, and nothing is lost.
func TestShutdown(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	s := NewServer(judgeFunc(func(f *policy.Facts) policy.Verdict {
		close(asked)
		<-answer
		return bySender(f)
	}), slog.New(slog.DiscardHandler))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	idle, busy := dial(t, l.Addr()), dial(t, l.Addr())
	busy.send(t, request("sender=refuse@x")+"\n")
	<-asked
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(t.Context()) }()
	idle.expectClosed(t)
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
	close(answer)
	busy.expect(t, "action=450 4.7.0 because")
	busy.expectClosed(t)
	if err := <-down; err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("somebody still listens")
	}
}
