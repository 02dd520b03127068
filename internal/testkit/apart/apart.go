//go:build linux

// Package apart runs a test in a network and a mount namespace of its own: there port 25
// and every address of loopback are free, nothing leaves, and /etc/resolv.conf names a
// DNS server of the test's. It takes root.
package apart

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// inside has the name of the test that is run apart.
const inside = "DOMAIN_SECURED_TEST_APART"

// Nameserver is the address, without its port 53, that /etc/resolv.conf names.
const Nameserver = "127.0.0.53"

// ErrNotPossible is for where namespaces cannot be made.
var ErrNotPossible = errors.New("no namespace of its own can be had here")

// Run runs body in namespaces of its own: it has this same program run the test once
// more, in there. The error is ErrNotPossible, and body has not been run then.
func Run(t *testing.T, body func()) error {
	t.Helper()
	if os.Getenv(inside) == t.Name() {
		if err := settle(t.TempDir()); err != nil {
			t.Fatal(err)
		}
		body()
		return nil
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: not root", ErrNotPossible)
	}
	pattern := "^" + t.Name() + "$"
	if given := flag.Lookup("test.run").Value.String(); strings.Contains(given, "/") {
		pattern = given // who works on one subtest
	}
	args := []string{"-test.run=" + pattern, fmt.Sprintf("-test.v=%v", testing.Verbose())}
	if end, ok := t.Deadline(); ok {
		args = append(args, "-test.timeout="+time.Until(end).String())
	}
	c := exec.CommandContext(t.Context(), os.Args[0], args...)
	c.Env = append(os.Environ(), inside+"="+t.Name())
	// Go makes mounts private with CLONE_NEWNS (syscall.SysProcAttr).
	c.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET}
	out, err := c.CombinedOutput()
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", ErrNotPossible, err)
	case err != nil:
		t.Errorf("apart: %v\n%s", err, out)
	case testing.Verbose():
		t.Logf("apart:\n%s", out)
	}
	return nil
}

// settle makes the namespaces of this process fit to live in.
func settle(dir string) error {
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("loopback up: %w", err)
	}
	own := filepath.Join(dir, "resolv.conf")
	if err := os.WriteFile(own, []byte("nameserver "+Nameserver+"\n"), 0o644); err != nil {
		return err
	}
	there, err := filepath.EvalSymlinks("/etc/resolv.conf")
	if err != nil {
		return err
	}
	if err := syscall.Mount(own, there, "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount a resolv.conf: %w", err)
	}
	return nil
}

// loopbackUp does what "ip link set lo up" does: netdevice(7).
func loopbackUp() error {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(socket)
	var request [40]byte
	copy(request[:syscall.IFNAMSIZ], "lo")
	binary.NativeEndian.PutUint16(request[syscall.IFNAMSIZ:], syscall.IFF_UP|syscall.IFF_RUNNING)
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(socket), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return errno
	}
	return nil
}
