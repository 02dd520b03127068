//go:build linux && !386 && !arm

package postconf

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"syscall"
	"unsafe"
)

// do runs f as this user and in this place, and returns when it is done. f is given what the kernel then checks, so
// what f may open smtp(8) may open.
//
// Linux keeps credentials, root and working directory per thread (credentials(7), unshare(2) CLONE_FS). So f has a
// thread of its own, which is not unlocked and ends with f: nothing has to be found in the chroot to be executed there.
func (i identity) do(f func()) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if syscall.Gettid() == os.Getpid() { // the first thread never ends: it is held, so that another is taken
			defer runtime.UnlockOSThread()
			done <- i.do(f)
			return
		}
		err := i.become()
		if err == nil {
			f()
		}
		done <- err
	}()
	return <-done
}

// become does with this thread what Postfix does with the process of smtp(8), in its order (chroot_uid.c). The calls
// of package syscall would change all threads.
func (i identity) become() error {
	if err := syscall.Unshare(syscall.CLONE_FS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := syscall.Chdir(i.dir); err != nil {
		return fmt.Errorf("going to %s: %w", i.dir, err)
	}
	if !i.root {
		groups := make([]uint32, len(i.groups))
		for n, g := range i.groups {
			groups[n] = uint32(g)
		}
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETGID, uintptr(i.gid), 0, 0); errno != 0 {
			return fmt.Errorf("setgid: %w", errno)
		}
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(unsafe.SliceData(groups))), 0); errno != 0 {
			return fmt.Errorf("setgroups: %w", errno)
		}
	}
	if i.chroot {
		if err := syscall.Chroot(i.dir); err != nil {
			return fmt.Errorf("chroot: %w", err)
		}
		if err := syscall.Chdir("/"); err != nil {
			return fmt.Errorf("going to %s: %w", i.dir, err)
		}
	}
	if i.root {
		return nil
	}
	// It is the last: with it go the capabilities (capabilities(7), "Effect of user ID changes on capabilities").
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SETUID, uintptr(i.uid), 0, 0); errno != 0 {
		return fmt.Errorf("setuid: %w", errno)
	}
	if now, err := syscall.Getgroups(); err != nil || syscall.Geteuid() != i.uid || syscall.Getegid() != i.gid || !slices.Equal(slices.Sorted(slices.Values(now)), i.groups) {
		return fmt.Errorf("becoming user %s did not work", i.user)
	}
	return nil
}
