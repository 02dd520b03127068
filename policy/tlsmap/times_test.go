package tlsmap

import (
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// Of every door.
const (
	requestTime = 20 * time.Second
	renewTime   = time.Minute
)

// pipe has a server handle one end of a pipe, and returns the other.
func pipe(t *testing.T) (c net.Conn, ended <-chan struct{}) {
	ours, theirs := net.Pipe()
	s := NewServer(insisterFunc(byName), Version{3, 7}, slog.New(slog.DiscardHandler))
	done := make(chan struct{})
	go func() {
		s.handle(theirs)
		theirs.Close()
		close(done)
	}()
	t.Cleanup(func() { ours.Close() })
	return ours, done
}

// lasts measures how long a connection is kept on which nothing more is said.
func lasts(c net.Conn, ended <-chan struct{}) time.Duration {
	begin := time.Now()
	<-ended
	c.Close()
	return time.Since(begin)
}

// TestTimes: between requests a client may be silent for longer than any Postfix is, for
// closing first would cost it a try. Within one it may not.
func TestTimes(t *testing.T) {
	for _, c := range []struct {
		name string
		says []string
		want time.Duration
	}{
		{"says nothing", nil, firstTime},
		{"stops within the first", []string{"14:send"}, requestTime},
		{"idle", []string{netstring("send unlisted.example")}, idleTime},
		{"stops within the second", []string{netstring("send unlisted.example"), "14:"}, requestTime},
		{"idle after one, and one in two parts", []string{netstring("send unlisted.example"), "21:send ", "unlisted.example,"}, idleTime},
		{"idle after one in two parts", []string{"21:send ", "unlisted.example,"}, idleTime},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn, ended := pipe(t)
				go io.Copy(io.Discard, conn)
				for _, text := range c.says {
					time.Sleep(time.Second)
					if _, err := io.WriteString(conn, text); err != nil {
						t.Fatal(err)
					}
				}
				synctest.Wait()
				if got := lasts(conn, ended); got < c.want-2*time.Second || got > c.want+renewTime {
					t.Errorf("closed after %v, want %v", got, c.want)
				}
			})
		})
	}
}
