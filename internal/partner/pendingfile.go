package partner

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// pendingFile is the file's contents.
type pendingFile struct {
	Version int       `json:"version"`
	Pending []Unknown `json:"pending"`
}

const (
	pendingVersion = 1
	maxPendingFile = 1 << 20 // octets; 1000 of the longest entries have less
)

// ReadPending reads the list that a [Pending] keeps at path, also while it does,
// in its order. The error is [fs.ErrNotExist] if there is none.
func ReadPending(path string) ([]Unknown, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the list of unknown certificates: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPendingFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading the list of unknown certificates: %w", err)
	}
	list, err := parsePending(data)
	if err != nil {
		return nil, fmt.Errorf("the list of unknown certificates, %s: %w", path, err)
	}
	return list, nil
}

// parsePending reads all of a file or nothing of it.
func parsePending(data []byte) ([]Unknown, error) {
	if len(data) > maxPendingFile {
		return nil, fmt.Errorf("it has more than %d octets", maxPendingFile)
	}
	var file pendingFile
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&file); err != nil {
		return nil, fmt.Errorf("it is damaged: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("it is damaged: there is more after its end")
	}
	if file.Version != pendingVersion {
		return nil, fmt.Errorf("it has version %d, not %d", file.Version, pendingVersion)
	}
	if len(file.Pending) > maxPending {
		return nil, fmt.Errorf("it has more than %d entries", maxPending)
	}
	known := make(map[unknownKey]bool)
	for i, u := range file.Pending {
		key := unknownKey{u.Domain, u.Certificate}
		if name, err := cleanName(u.Domain); err != nil || name != u.Domain || known[key] || u.Certificate.IsZero() || u.Count < 1 ||
			u.FirstSeen.IsZero() || u.LastSeen.Before(u.FirstSeen) || u.Client.Zone() != "" {
			return nil, fmt.Errorf("its entry %d is damaged", i+1)
		}
		known[key] = true
	}
	return file.Pending, nil
}

// writePending writes the file whole or not at all. It holds nothing secret, and
// an operator who is not root may list it.
func writePending(path string, list []Unknown) error {
	data, err := json.MarshalIndent(pendingFile{Version: pendingVersion, Pending: list}, "", "\t")
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".pending-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // fails once it is renamed
	defer tmp.Close()
	if _, err := tmp.Write(append(data, '\n')); err != nil {
		return err
	}
	if err := errors.Join(tmp.Chmod(0o644), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
