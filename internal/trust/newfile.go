package trust

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// temporary begins the name of a file that is being written.
const temporary = ".new-"

// WriteNew writes a file that appears whole or not at all, and never in the place
// of another: the error is [fs.ErrExist] then. It is written beside, synced and
// given its name. A private key wants mode 0600, which it has from the start.
func WriteNew(name string, data []byte, mode fs.FileMode) error {
	dir := filepath.Dir(name)
	d, err := os.Open(dir) // before anything is there that could be left
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	defer d.Close()
	tmp, err := os.CreateTemp(dir, temporary+"*") // with mode 0600
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	if _, err := tmp.Write(data); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := tmp.Chmod(mode); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := tmp.Sync(); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	// Unlike rename(2), link(2) does not replace what has the name already.
	err = os.Link(tmp.Name(), name)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s: %w", name, fs.ErrExist)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := d.Sync(); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}
