package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// openTerminal returns the two ends of a pseudo-terminal (pts(4)).
func openTerminal(t *testing.T) (keyboard, terminal *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keyboard.Close() })
	var unlock, number int32
	control(t, keyboard, syscall.TIOCSPTLCK, unsafe.Pointer(&unlock))
	control(t, keyboard, syscall.TIOCGPTN, unsafe.Pointer(&number))
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return keyboard, terminal
}

func control(t *testing.T, f *os.File, request uintptr, value unsafe.Pointer) {
	t.Helper()
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), request, uintptr(value)); errno != 0 {
		t.Fatal(errno)
	}
}

func echoes(t *testing.T, terminal *os.File) bool {
	t.Helper()
	var state syscall.Termios
	control(t, terminal, syscall.TCGETS, unsafe.Pointer(&state))
	return state.Lflag&syscall.ECHO != 0
}

func awaitEcho(t *testing.T, terminal *os.File, want bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); echoes(t, terminal) != want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the terminal never has echo %v", want)
		}
	}
}

// TestPrompt: what is typed is the password, and is not shown; after that the
// terminal is as it was, also if the person would rather not.
func TestPrompt(t *testing.T) {
	for _, c := range []struct {
		what      string
		act       func(keyboard *os.File) error
		want      string
		interrupt bool
	}{
		{"an answer", func(k *os.File) error { _, err := k.WriteString("sec ret\n"); return err }, "sec ret", false},
		{"an empty answer", func(k *os.File) error { _, err := k.WriteString("\n"); return err }, "", false},
		{"an interrupt", func(*os.File) error { return syscall.Kill(os.Getpid(), syscall.SIGINT) }, "", true},
	} {
		t.Run(c.what, func(t *testing.T) {
			keyboard, terminal := openTerminal(t)
			var words bytes.Buffer
			p := &passwords{c: &call{streams: streams{in: terminal, err: &words}, ctx: t.Context()}}
			var wait sync.WaitGroup
			var word string
			var err error
			wait.Go(func() { word, err = p.of("mail1.p12")() })
			awaitEcho(t, terminal, false)
			if err := c.act(keyboard); err != nil {
				t.Fatal(err)
			}
			wait.Wait()
			var e *exit
			if c.interrupt != errors.As(err, &e) || word != c.want {
				t.Errorf("%q, %v", word, err)
			}
			if words.String() != "password of mail1.p12: \n" {
				t.Errorf("it says %q", words.String())
			}
			awaitEcho(t, terminal, true)
			// What the terminal shows is the line feed at most.
			if _, err := terminal.WriteString("end"); err != nil {
				t.Fatal(err)
			}
			shown := make([]byte, 100)
			var all string
			for !strings.Contains(all, "end") {
				n, err := keyboard.Read(shown)
				if err != nil {
					t.Fatal(err)
				}
				all += string(shown[:n])
			}
			if strings.Contains(all, "sec") {
				t.Errorf("it shows %q", all)
			}
		})
	}
}
