package crl

import (
	"fmt"
	"syscall"
)

// mapInto maps the file into memory: a look into it then takes no system call. If
// that fails the file is read.
func (x *Index) mapInto(size int) {
	mapped, err := syscall.Mmap(int(x.file.Fd()), 0, size, syscall.PROT_READ, syscall.MAP_SHARED)
	if err == nil {
		x.mapped = mapped
	}
}

func (x *Index) unmap() {
	if x.mapped != nil {
		_ = syscall.Munmap(x.mapped) // fails only for what was not mapped
		x.mapped = nil
	}
}

// notReadable is deferred where mapped memory is read, after
// [debug.SetPanicOnFault]: a disk that fails, or a file that somebody cut off, is a
// fault there, and an error here.
func notReadable(err *error) {
	what := recover()
	if what == nil {
		return
	}
	fault, ok := what.(interface {
		error
		Addr() uintptr
	})
	if !ok {
		panic(what)
	}
	*err = fmt.Errorf("%w: it cannot be read: %w", ErrIndex, fault)
}
