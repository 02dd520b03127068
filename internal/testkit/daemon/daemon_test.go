package daemon

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain makes this test program its own daemon: with DAEMON set it behaves as that says.
func TestMain(m *testing.M) {
	if how := os.Getenv("DAEMON"); how != "" {
		os.Exit(run(how))
	}
	goleak.VerifyTestMain(m)
}

func run(how string) int {
	log := func(line string) { os.Stderr.WriteString(line) }
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM)
	log("already up\n")
	switch how {
	case "failing":
		log("no such file")
		return 78
	case "silent":
		<-signals
		return 0
	}
	log("level=INFO msg=rea")
	log("dy\n")
	for received := range signals {
		switch {
		case received == syscall.SIGHUP:
			log("reloaded\n")
		case how != "stubborn":
			log("bye\n")
			return 0
		}
	}
	return 1
}

func start(t *testing.T, how string) (*Daemon, error) {
	t.Helper()
	limit := 10 * time.Second
	if how == "silent" {
		limit = 100 * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	d, err := Start(ctx, Options{Binary: os.Args[0], Env: []string{"DAEMON=" + how}})
	if err == nil {
		t.Cleanup(func() { d.Kill() })
	}
	return d, err
}

func TestLife(t *testing.T) {
	d, err := start(t, "well")
	if err != nil {
		t.Fatal(err)
	}
	if line, err := d.WaitLog(t.Context(), "ready"); err != nil || line != "already up" {
		t.Errorf("%q, %v", line, err)
	}
	for range 2 {
		mark := d.Mark()
		if err := d.Hangup(); err != nil {
			t.Fatal(err)
		}
		if line, err := d.WaitLogFrom(t.Context(), mark, "load"); err != nil || line != "reloaded" {
			t.Errorf("%q, %v", line, err)
		}
	}
	for range 2 {
		if err := d.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	<-d.Exited()
	if _, err := d.WaitLog(t.Context(), "more"); err == nil || !strings.Contains(err.Error(), "it has ended: exit status 0") {
		t.Errorf("waiting for the log of what has ended: %v", err)
	}
	if want := "already up\nlevel=INFO msg=ready\nreloaded\nreloaded\nbye\n"; d.Log() != want {
		t.Errorf("log %q", d.Log())
	}
	if err := d.Kill(); err != nil {
		t.Errorf("killing what has ended: %v", err)
	}
}

func TestKill(t *testing.T) {
	d, err := start(t, "stubborn")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := d.Stop(ctx); err == nil || !strings.Contains(err.Error(), "did not stop in time") {
		t.Errorf("stop: %v", err)
	}
	if err := syscall.Kill(d.PID(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("it is still there: %v", err)
	}
}

func TestNotReady(t *testing.T) {
	if _, err := start(t, "failing"); err == nil || !strings.Contains(err.Error(), "exit status 78") || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("%v", err)
	}
	if _, err := start(t, "silent"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if _, err := Start(t.Context(), Options{Binary: "/nonexistent"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
