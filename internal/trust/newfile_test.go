package trust

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestWriteNew(t *testing.T) {
	dir := t.TempDir()
	for what, mode := range map[string]fs.FileMode{"private": 0o600, "public": 0o644} {
		name := filepath.Join(dir, what)
		if err := WriteNew(name, []byte(what), mode); err != nil {
			t.Fatal(err)
		}
		if data, err := os.ReadFile(name); err != nil || string(data) != what {
			t.Errorf("%s: %q, %v", what, data, err)
		}
		if info, err := os.Lstat(name); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v", what, info.Mode(), err)
		}
		if err := WriteNew(name, []byte("other"), mode); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s again: %v", what, err)
		}
		if data, err := os.ReadFile(name); err != nil || string(data) != what {
			t.Errorf("%s again: now %q, %v", what, data, err)
		}
	}
	// A link to what is not there would be written through by open(2).
	if err := os.Symlink(filepath.Join(dir, "target"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := WriteNew(filepath.Join(dir, "link"), nil, 0o600); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a link: %v", err)
	}
	if err := WriteNew(filepath.Join(dir, "none", "key"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "writing ") {
		t.Errorf("no such folder: %v", err)
	}
	if left := names(t, dir); len(left) != 3 {
		t.Errorf("left behind: %q", left)
	}
}

// TestWriteNewAtOnce: of many who write the same file one does, and its contents
// are what is there.
func TestWriteNewAtOnce(t *testing.T) {
	name := filepath.Join(t.TempDir(), "key")
	var wait sync.WaitGroup
	var winner atomic.Int32
	for i := range 20 {
		wait.Go(func() {
			err := WriteNew(name, bytes.Repeat([]byte{byte(i)}, 1000), 0o600)
			switch {
			case err == nil && !winner.CompareAndSwap(0, int32(i+1)):
				t.Error("two did")
			case err != nil && !errors.Is(err, fs.ErrExist):
				t.Error(err)
			}
		})
	}
	wait.Wait()
	data, err := os.ReadFile(name)
	if want := bytes.Repeat([]byte{byte(winner.Load() - 1)}, 1000); err != nil || !bytes.Equal(data, want) {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}
