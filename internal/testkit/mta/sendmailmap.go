package mta

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// MakeSendmailMap makes a hash map of text, as makemap(8) takes it, for a Sendmail to read at path. It fails with
// ErrNoSendmail where StartSendmail would.
func MakeSendmailMap(ctx context.Context, path, text string) error {
	files, err := findSendmail()
	if err != nil {
		return err
	}
	c := exec.CommandContext(ctx, filepath.Join(filepath.Dir(files.program), "makemap"), "-C", os.DevNull, "hash", path)
	c.Env = files.environment()
	c.Dir = filepath.Dir(path)
	c.Stdin = strings.NewReader(text)
	out, err := c.CombinedOutput()
	if err != nil {
		return fmt.Errorf("makemap %s: %w: %s", path, err, bytes.TrimSpace(out))
	}
	if _, err := os.Stat(path + ".db"); err != nil {
		return errors.Join(fmt.Errorf("makemap %s made nothing: %s", path, bytes.TrimSpace(out)), err)
	}
	return nil
}
