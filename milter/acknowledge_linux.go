package milter

import "syscall"

// acknowledge has the kernel acknowledge what was read, now. Sendmail sends
// macros and command in two writes, and its kernel holds the second back until
// the first is acknowledged: with the usual delay that is 40 ms for each command
// (RFC 1122 section 4.2.3.2, tcp(7) TCP_QUICKACK).
func acknowledge(fd int) {
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1) // slower without it, and no worse
}
