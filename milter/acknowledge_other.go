//go:build !linux

package milter

// acknowledge does nothing where the kernel cannot be told to.
func acknowledge(int) {}
