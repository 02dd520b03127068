package trust

import (
	"io/fs"
	"syscall"
)

func stateOf(info fs.FileInfo) fileState {
	state := fileState{modified: info.ModTime(), size: info.Size()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		state.inode = sys.Ino
	}
	return state
}
