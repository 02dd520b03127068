package mta

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
)

// A Queued message waits in Postfix's queue. The fields are those of postqueue(1), -j.
type Queued struct {
	ID         string `json:"queue_id"`
	Queue      string `json:"queue_name"` // "deferred", "active", ...
	Sender     string `json:"sender"`
	Recipients []struct {
		Address string `json:"address"`
		Reason  string `json:"delay_reason"` // why it is there still, "" before the first try
	} `json:"recipients"`
}

// Queue returns what waits. A message that went from one queue to another meanwhile, so
// that showq(8) met it in both, is given as it was met last.
func (p *Postfix) Queue(ctx context.Context) ([]Queued, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	c := exec.CommandContext(ctx, filepath.Join(filepath.Dir(p.program), "postqueue"), "-c", p.ConfigDir(), "-j")
	c.Env = environment()
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("postqueue: %w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	var all []Queued
	for in := json.NewDecoder(bytes.NewReader(out)); ; {
		var q Queued
		if err := in.Decode(&q); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("read Postfix's queue: %w", err)
		}
		again := func(o Queued) bool { return o.ID == q.ID }
		all = append(slices.DeleteFunc(all, again), q)
	}
}
