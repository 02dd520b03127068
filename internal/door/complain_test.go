package door

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestComplain: a line a second, and none is lost count of.
func TestComplain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lines
		s := NewServer("test door", 10, echo, log.logger())
		for range 3 {
			s.Complain("a client is odd", errors.New("very"))
		}
		time.Sleep(time.Second)
		s.Complain("another one", nil)
		var said []string
		for line := range strings.Lines(log.String()) {
			_, line, _ = strings.Cut(line, "level=")
			said = append(said, strings.TrimSpace(line))
		}
		want := `WARN msg="test door: a client is odd" error=very unsaid=0, WARN msg="test door: another one" error=<nil> unsaid=2`
		if got := strings.Join(said, ", "); got != want {
			t.Errorf("log %s, want %s", got, want)
		}
	})
}

func TestComplaints(t *testing.T) {
	var c complaints
	now := time.Unix(1000, 0)
	var said []string
	for _, ms := range []int{0, 1, 500, 999, 1000, 1001, 5000} {
		if unsaid, say := c.say(now.Add(time.Duration(ms) * time.Millisecond)); say {
			said = append(said, fmt.Sprintf("%d after %d", ms, unsaid))
		}
	}
	if got, want := strings.Join(said, ", "), "0 after 0, 1000 after 3, 5000 after 1"; got != want {
		t.Errorf("said at %s, want %s", got, want)
	}
}
