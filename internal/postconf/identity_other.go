//go:build !linux || 386 || arm

package postconf

import "errors"

// do cannot be done where a thread cannot be another user than its process.
func (identity) do(func()) error { return errors.New("not on this kind of machine") }
