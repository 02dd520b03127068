package door

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// words are requests that end with a full stop. The answer to one is itself in
// brackets.
var words = Protocol{Name: "test", Usual: 16, Longest: 100, First: time.Minute, Idle: time.Hour}

var errOdd = errors.New("there is a question mark")

// answerOne answers the first word.
func answerOne(out, in []byte) ([]byte, int, error) {
	n := bytes.IndexByte(in, '.') + 1
	if bytes.ContainsRune(in[:n], '?') {
		return out, 0, errOdd
	}
	if n > 0 {
		out = append(append(append(out, '['), in[:n]...), ']')
	}
	return out, n, nil
}

// answerMany answers all words there are.
func answerMany(out, in []byte) (_ []byte, whole int, err error) {
	for n := 1; n > 0 && err == nil && whole < len(in); whole += n {
		out, n, err = answerOne(out, in[whole:])
	}
	return out, whole, err
}

// converse holds a conversation with what drive does, and returns what was answered, how
// long it lasted and what was logged.
func converse(t *testing.T, answer Answer, drive func(net.Conn)) (answers string, lasted time.Duration, logged string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var log lines
		s := NewServer("test door", 10, nil, log.logger())
		ours, theirs := net.Pipe()
		began, ended := time.Now(), make(chan struct{})
		go func() {
			s.Converse(ours, &words, answer)
			lasted = time.Since(began)
			ours.Close()
			close(ended)
		}()
		var heard bytes.Buffer
		hearing := make(chan struct{})
		go func() {
			io.Copy(&heard, theirs)
			close(hearing)
		}()
		drive(theirs)
		<-hearing
		theirs.Close()
		<-ended
		answers = heard.String()
		_, logged, _ = strings.Cut(log.String(), "level=")
	})
	return answers, lasted, strings.TrimSpace(logged)
}

// say returns a client that says one thing a second and then falls silent.
func say(things ...string) func(net.Conn) {
	return func(c net.Conn) {
		for _, thing := range things {
			time.Sleep(time.Second)
			io.WriteString(c, thing)
		}
	}
}

// TestConverse: a client is given its time for each request and between them, and bounds
// of memory; the log has what a client does wrong, and nothing else.
func TestConverse(t *testing.T) {
	const (
		unfinished = `WARN msg="test door: closing a connection with an unfinished request" error="no end after 20s" unsaid=0`
		tooLong    = `WARN msg="test door: closing a connection that does not speak the test protocol" error="a request is longer than 100 octets" unsaid=0`
		odd        = `WARN msg="test door: closing a connection that does not speak the test protocol" error="there is a question mark" unsaid=0`
	)
	longest := strings.Repeat("x", words.Longest-1) + "."
	for _, c := range []struct {
		what   string
		drive  func(net.Conn)
		want   string
		lasted time.Duration
		logged string
	}{
		{"silent from the start", say(), "", words.First, ""},
		{"half a request", say("a"), "", time.Second + requestTime, unfinished},
		{"a trickle", say(strings.Split(strings.Repeat("x", 30), "")...), "", time.Second + requestTime, unfinished},
		{"idle after a request", say("a."), "[a.]", time.Second + words.Idle, ""},
		{"half a request after one", say("a.", "b"), "[a.]", 2*time.Second + requestTime, unfinished},
		{"half a request after one in two parts", say("a", ".", "b"), "[a.]", 3*time.Second + requestTime, unfinished},
		{"half a request behind one", say("a.b"), "[a.]", time.Second + requestTime, unfinished},
		{"idle after one in two parts", say("a", "."), "[a.]", 2*time.Second + words.Idle, ""},
		{"idle after one, and one in two parts", say("a.", "b", "."), "[a.][b.]", 3*time.Second + words.Idle, ""},
		{"idle after one in two parts, and one behind it", say("a.", "b", ".c."), "[a.][b.][c.]", 3*time.Second + words.Idle, ""},
		{"each cut in two", say("a", ".b", ".c", ".d"), "[a.][b.][c.]", 4*time.Second + requestTime, unfinished},
		{"idle deadline less than a minute old", func(c net.Conn) {
			io.WriteString(c, "a.")
			time.Sleep(renewTime)
			io.WriteString(c, "b.")
		}, "[a.][b.]", words.Idle, ""},
		{"idle deadline older than that", func(c net.Conn) {
			io.WriteString(c, "a.")
			time.Sleep(renewTime + time.Second)
			io.WriteString(c, "b.")
		}, "[a.][b.]", renewTime + time.Second + words.Idle, ""},
		{"the longest request", say(longest + longest + "a."), "[" + longest + "][" + longest + "][a.]", time.Second + words.Idle, ""},
		{"a longer one", say("a."+strings.Repeat("x", words.Longest), "."), "[a.]", time.Second, tooLong},
		{"something odd behind a request", say("a.?.b."), "[a.]", time.Second, odd},
		{"leaves", func(c net.Conn) { io.WriteString(c, "a."); synctest.Wait(); c.Close() }, "[a.]", 0, ""},
	} {
		for name, answer := range map[string]Answer{"one at a time": answerOne, "all at once": answerMany} {
			t.Run(c.what+", "+name, func(t *testing.T) {
				answers, lasted, logged := converse(t, answer, c.drive)
				if answers != c.want {
					t.Errorf("answers %q, want %q", answers, c.want)
				}
				if lasted != c.lasted {
					t.Errorf("lasted %v, want %v", lasted, c.lasted)
				}
				if logged != c.logged {
					t.Errorf("logged %s, want %s", logged, c.logged)
				}
			})
		}
	}
}

// TestConverseDeaf: who does not take answers is not waited for, once there are any.
func TestConverseDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewServer("test door", 10, nil, slog.New(slog.DiscardHandler))
		ours, theirs := net.Pipe()
		go say("a", ".")(theirs)
		began := time.Now()
		s.Converse(ours, &words, answerOne)
		if lasted := time.Since(began); lasted != 2*time.Second+writeTime {
			t.Errorf("lasted %v, want %v", lasted, 2*time.Second+writeTime)
		}
		ours.Close()
	})
}

// TestConverseGone: that a client leaves while it is answered is no fault of its own, and no warning.
func TestConverseGone(t *testing.T) {
	late := func(out, in []byte) ([]byte, int, error) {
		time.Sleep(2 * time.Second)
		return answerOne(out, in)
	}
	if _, lasted, logged := converse(t, late, func(c net.Conn) { say("a.")(c); time.Sleep(time.Second); c.Close() }); lasted != 3*time.Second || strings.Contains(logged, "WARN") {
		t.Errorf("lasted %v, logged %s", lasted, logged)
	}
}

// TestConverseShutdown: a request in hand is answered, and no other is waited for: not
// even where the deadline by which Shutdown wakes who waits is overwritten.
func TestConverseShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		var s *Server
		down := make(chan error, 1)
		s = NewServer("test door", 10, func(c net.Conn) {
			s.Converse(c, &words, func(out, in []byte) ([]byte, int, error) {
				go func() { down <- s.Shutdown(context.Background()) }()
				synctest.Wait()
				return answerOne(out, in)
			})
		}, slog.New(slog.DiscardHandler))
		began := time.Now()
		s.start(ours)
		io.WriteString(theirs, "a.")
		if answers, err := io.ReadAll(theirs); string(answers) != "[a.]" || err != nil {
			t.Errorf("answers %q, %v, want that to the request in hand", answers, err)
		}
		if err := <-down; err != nil || time.Since(began) != 0 {
			t.Errorf("shutdown: %v, after %v", err, time.Since(began))
		}
	})
}

// TestConverseMemory: memory is bounded, and what is larger than usual is given up.
func TestConverseMemory(t *testing.T) {
	var read, made []int
	converse(t, func(out, in []byte) ([]byte, int, error) {
		read, made = append(read, cap(in)), append(made, cap(out))
		out, n, err := answerOne(out, in)
		return append(out, strings.Repeat("!", 10*n)...), n, err
	}, func(c net.Conn) {
		for _, request := range []string{strings.Repeat("x", words.Longest-1) + ".", "a.", "b."} {
			for octet := range strings.SplitSeq(request, "") {
				io.WriteString(c, octet)
			}
			synctest.Wait()
		}
		c.Close()
	})
	if calls := words.Longest + 2 + 2; len(read) != calls {
		t.Fatalf("%d calls, want %d", len(read), calls)
	}
	for i, most := range read {
		if most > words.Longest || i >= words.Longest && most > words.Usual {
			t.Errorf("call %d: %d octets to read into", i, most)
		}
		if made[i] > 4*words.Usual || i == len(read)-1 && made[i] == 0 {
			t.Errorf("call %d: %d octets for answers", i, made[i])
		}
	}
}

// FuzzConverse: however requests are cut into pieces, the answers are the same.
func FuzzConverse(f *testing.F) {
	f.Add("a.bc.def.", []byte{1, 2, 3}, false)
	f.Add("a.b?.c.", []byte{4}, true)
	f.Add(strings.Repeat("x", 99)+"."+strings.Repeat("y", 100)+".", []byte{40, 80}, true)
	f.Fuzz(func(t *testing.T, text string, cuts []byte, one bool) {
		want := ""
		for rest := text; ; {
			word, behind, whole := strings.Cut(rest, ".")
			if len(word) >= words.Longest || !whole || strings.Contains(word, "?") {
				break
			}
			want, rest = want+"["+word+".]", behind
		}
		answer := answerMany
		if one {
			answer = answerOne
		}
		got, _, _ := converse(t, answer, func(c net.Conn) {
			for rest := text; rest != ""; {
				n := len(rest)
				if len(cuts) > 0 {
					n, cuts = min(int(cuts[0])+1, n), cuts[1:]
				}
				if _, err := io.WriteString(c, rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
			}
			synctest.Wait() // its last answers are to be heard
			c.Close()
		})
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	})
}
