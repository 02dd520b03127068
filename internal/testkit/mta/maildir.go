package mta

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Mailbox returns the folder in which everything delivered ends up, a file a message.
func (p *Postfix) Mailbox() string { return filepath.Join(p.dir, "mail", "all", "new") }

// Messages returns everything delivered so far.
func (p *Postfix) Messages() ([]Message, error) {
	var all []Message
	err := p.unseen(map[string]bool{}, func(m Message) bool {
		all = append(all, m)
		return false
	})
	return all, err
}

// Delivered waits for a message that match likes.
func (p *Postfix) Delivered(ctx context.Context, match func(Message) bool) (Message, error) {
	var found Message
	seen := map[string]bool{}
	err := await(ctx, "a delivery by Postfix", func() (ok bool, err error) {
		err = p.unseen(seen, func(m Message) bool {
			if match(m) {
				found, ok = m, true
			}
			return ok
		})
		return ok, err
	})
	return found, err
}

// unseen calls see for each message not yet in seen, and adds it there, until see returns true.
func (p *Postfix) unseen(seen map[string]bool, see func(Message) bool) error {
	entries, err := os.ReadDir(p.Mailbox())
	if errors.Is(err, fs.ErrNotExist) {
		return nil // made with the first delivery
	}
	if err != nil {
		return fmt.Errorf("mailbox: %w", err)
	}
	for _, entry := range entries {
		if seen[entry.Name()] {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(p.Mailbox(), entry.Name()))
		if err != nil {
			return fmt.Errorf("mailbox: %w", err)
		}
		seen[entry.Name()] = true
		if see(parseMessage(raw)) {
			return nil
		}
	}
	return nil
}

// Idle waits until no message is in the queue. One that is deferred there keeps it waiting: nothing is in
// the way of a delivery here, so that is a fault worth seeing.
func (p *Postfix) Idle(ctx context.Context) error {
	return await(ctx, "Postfix's queue to be empty", func() (bool, error) {
		// In the order a message travels, so that none slips from a folder not yet looked at into one
		// already looked at; active again, for one that qmgr(8) takes back out of deferred.
		for _, queue := range []string{"maildrop", "incoming", "active", "deferred", "active"} {
			empty, err := holdsNoFile(filepath.Join(p.dir, "queue", queue))
			if !empty || err != nil {
				return false, err
			}
		}
		return true, nil
	})
}

// holdsNoFile reports whether no file is below dir. Folders that vanish meanwhile are no fault.
func holdsNoFile(dir string) (bool, error) {
	found := errors.New("found")
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && !entry.IsDir() {
			return found
		}
		return err
	})
	if err == found {
		return false, nil
	}
	return true, err
}
