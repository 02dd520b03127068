package postconf

import (
	"bytes"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// mailbox has the instance deliver mail for box.test to a directory, and returns it.
func (in *instance) mailbox() string {
	in.t.Helper()
	root := filepath.Join(filepath.Dir(in.dir), "mail")
	if err := os.Mkdir(root, 0o777); err != nil {
		in.t.Fatal(err)
	}
	if err := os.Chmod(root, 0o777); err != nil {
		in.t.Fatal(err)
	}
	in.main = append(in.main,
		"virtual_mailbox_domains = box.test",
		"virtual_mailbox_base = "+root,
		"virtual_mailbox_maps = static:all/",
		"virtual_uid_maps = static:65534",
		"virtual_gid_maps = static:65534",
	)
	return filepath.Join(root, "all", "new")
}

// stamps waits for the message with this X-Claim, and returns its Domain-Secured headers.
func stamps(t *testing.T, mailbox, id string) string {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		names, _ := filepath.Glob(filepath.Join(mailbox, "*"))
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				continue
			}
			m, err := mail.ReadMessage(bytes.NewReader(b))
			if err == nil && m.Header.Get("X-Claim") == id {
				return strings.Join(m.Header["Domain-Secured"], " | ")
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("message %s was not delivered", id)
		}
	}
}
