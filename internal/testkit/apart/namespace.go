//go:build linux

// Package apart runs a test, or this program, in a network and a mount namespace of its own:
// there port 25 and every address of loopback are free, nothing leaves, and /etc/resolv.conf
// names a DNS server of its own. It takes root.
package apart

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"unsafe"
)

// inside has the name of what is run apart.
const inside = "DOMAIN_SECURED_TEST_APART"

// Nameserver is the address, without its port 53, that /etc/resolv.conf names.
const Nameserver = "127.0.0.53"

// ErrNotPossible is for where namespaces cannot be made.
var ErrNotPossible = errors.New("no namespace of its own can be had here")

// Inside reports whether this is the program that [Command] made under that name.
func Inside(name string) bool { return os.Getenv(inside) == name }

// Command returns this same program, not started yet, to be run with these arguments in
// namespaces of its own. In there it is [Inside] that name, and has to [Settle] first. The
// error is ErrNotPossible; if [Refused] is so of the one of starting it, it is not, either.
func Command(ctx context.Context, name string, args ...string) (*exec.Cmd, error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("%w: not root", ErrNotPossible)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := exec.CommandContext(ctx, self, args...)
	c.Env = append(os.Environ(), inside+"="+name)
	// Go makes mounts private with CLONE_NEWNS (syscall.SysProcAttr).
	c.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET}
	return c, nil
}

// Refused reports whether a command could not be started for want of the right to make
// namespaces, which root in a container may lack.
func Refused(err error) bool { return errors.Is(err, fs.ErrPermission) }

// Settle makes the namespaces of this process fit to live in. It keeps a file in dir.
func Settle(dir string) error {
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
