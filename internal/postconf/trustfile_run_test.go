package postconf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"domain-secured/internal/testkit/apart"
	"domain-secured/policy"
)

// trustCase is one way to keep a file of authorities from smtp(8): what Check says of it, and what to do so that mail
// leaves.
type trustCase struct {
	name    string
	main    []string
	service string // master.cf
	dir     string // where the file is; %Q is the queue directory, %D a folder beside it
	seen    string // tlsmap.queue_directory; %Q if empty
	spoil   func(t *testing.T, path string)
	says    []string // parts of the problem, nil for none; %F is the file, %d its directory
	line    string
	warning bool
	right   func(t *testing.T, path string)
	moved   string // in place of right: the directory that the line is about
}

const (
	chrooted = "smtp unix - - y - - smtp"
	free     = "smtp unix - - n - - smtp"
	asRoot   = "smtp unix - n y - - smtp"
)

// exported is a table in place of the daemon.
var exported = []string{"smtp_tls_policy_maps = inline:{ { good.test = secure match=good.test tafile=roots/roots.pem }, { impostor.test = secure }, { pinned.test = secure } }"}

func chmod(mode os.FileMode, up int) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		for range up {
			path = filepath.Dir(path)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
}

func removed(up int) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		for range up {
			path = filepath.Dir(path)
		}
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
}

var trustCases = []trustCase{
	{name: "as it should be", service: chrooted, dir: "%Q/roots"},
	{name: "not chrooted", service: free, dir: "%Q/roots"},
	{name: "beside the queue, not chrooted", service: free, dir: "%D/roots"},
	{name: "file is the owner's", service: chrooted, dir: "%Q/roots", spoil: chmod(0o600, 0),
		says: []string{"user postfix may not read the file %F (-rw------- root:root): chmod o+r %F"}, right: chmod(0o604, 0)},
	{name: "file is the owner's, not chrooted", service: free, dir: "%D/roots", spoil: chmod(0o600, 0),
		says: []string{"user postfix may not read the file %F (-rw------- root:root): chmod o+r %F"}, right: chmod(0o604, 0)},
	{name: "file is the owner's, and smtp(8) is root", service: asRoot, dir: "%Q/roots", spoil: chmod(0o600, 0)},
	{name: "directory", service: chrooted, dir: "%Q/roots", spoil: chmod(0o700, 1),
		says: []string{"user postfix may not pass the directory %d (drwx------ root:root): chmod o+x %d"}, right: chmod(0o701, 1)},
	{name: "directory above", service: free, dir: "%D/above/roots", spoil: chmod(0o744, 2),
		says: []string{"may not pass the directory %D/above (drwxr--r-- root:root): chmod o+x %D/above"}, right: chmod(0o711, 2)},
	{name: "directory above, chrooted", service: chrooted, dir: "%Q/above/roots", spoil: chmod(0o744, 2),
		says: []string{"may not pass the directory %Q/above (drwxr--r-- root:root): chmod o+x %Q/above"}, right: chmod(0o711, 2)},
	{name: "directory of another group", service: chrooted, dir: "%Q/roots", spoil: chmod(0o750, 1),
		says: []string{"may not pass the directory %d (drwxr-x--- root:root)"}, right: func(t *testing.T, path string) {
			// The system has user postfix in this group, besides its first one.
			if err := os.Chown(filepath.Dir(path), 0, extraGroup); err != nil {
				t.Fatal(err)
			}
		}},
	{name: "access control list", service: chrooted, dir: "%Q/roots", spoil: denyPostfix,
		says: []string{"user postfix may not read the file %F (-rw-r--r-- root:root), although its mode lets it", "getfacl %F"},
		right: func(t *testing.T, path string) {
			if err := syscall.Removexattr(path, "system.posix_acl_access"); err != nil {
				t.Fatal(err)
			}
		}},
	{name: "link out of the chroot", service: chrooted, dir: "%Q/roots", spoil: func(t *testing.T, path string) {
		out := filepath.Join(filepath.Dir(filepath.Dir(filepath.Dir(path))), "out.pem")
		if err := errors.Join(os.Rename(path, out), os.Symlink(out, path)); err != nil {
			t.Fatal(err)
		}
	}, says: []string{"locked into %Q, and a link on the way to %F leads out"}, right: func(t *testing.T, path string) {
		out := filepath.Join(filepath.Dir(filepath.Dir(filepath.Dir(path))), "out.pem")
		if err := os.Rename(out, path); err != nil {
			t.Fatal(err)
		}
	}},
	{name: "out of the chroot", service: chrooted, dir: "%D/roots", says: []string{"locked into %Q, and %F is not in there"},
		line: "[tlsmap]\ntafile_dir = \"%Q/domain-secured\"\nqueue_directory = \"%Q\"", moved: "%Q/domain-secured"},
	{name: "another queue directory", service: chrooted, dir: "%Q/roots", seen: "/var/spool/other", says: []string{"it works in %Q and is told %F"},
		line: "[tlsmap]\nqueue_directory = \"%Q\"", moved: "%Q/roots"},
	{name: "another queue directory, not chrooted", service: free, dir: "%Q/roots", seen: "/var/spool/other"},
	{name: "a queue directory above", service: free, dir: "%Q/roots", seen: "%D", says: []string{"it works in %Q and is told postfix/queue/roots/"},
		line: "[tlsmap]\nqueue_directory = \"%Q\"", moved: "%Q/roots"},
	{name: "missing", service: chrooted, dir: "%Q/roots", spoil: removed(0), warning: true,
		says: []string{"there is no file %F, which the daemon writes"}, moved: "%Q/roots"},
	{name: "missing, not chrooted", service: free, dir: "%D/roots", spoil: removed(0), warning: true,
		says: []string{"there is no file %F, which the daemon writes"}, moved: "%D/roots"},
	{name: "exported", main: exported, service: chrooted, dir: "%Q/roots"},
	{name: "exported, missing", main: exported, service: chrooted, dir: "%Q/roots", spoil: removed(0),
		says: []string{`there is no file %F, which "export postfix" writes: make the table anew`}, moved: "%Q/roots"},
	{name: "directory missing", service: chrooted, dir: "%Q/roots", spoil: removed(1),
		says: []string{"there is no directory %d: make it"}, moved: "%Q/roots"},
	{name: "missing, and out of the chroot", service: chrooted, dir: "%D/roots", spoil: removed(0), says: []string{"locked into %Q, and %F is not in there"},
		line: "[tlsmap]\ntafile_dir = \"%Q/domain-secured\"\nqueue_directory = \"%Q\"", moved: "%Q/domain-secured"},
	{name: "missing, and directory", service: chrooted, dir: "%Q/roots", spoil: func(t *testing.T, path string) {
		removed(0)(t, path)
		chmod(0o700, 1)(t, path)
	}, says: []string{"user postfix may not pass the directory %d (drwx------ root:root)"}, right: chmod(0o755, 1), moved: "%Q/roots"},
	{name: "of another authority", service: chrooted, dir: "%Q/roots", spoil: func(t *testing.T, path string) {
		_, other := keyPair(t, "other.test")
		if err := os.WriteFile(path, []byte(other), 0o644); err != nil {
			t.Fatal(err)
		}
	}, says: []string{"%F does not hold what the configuration has"}, moved: "%Q/roots"},
	{name: "a directory in its place", service: chrooted, dir: "%Q/roots", spoil: func(t *testing.T, path string) {
		if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o755)); err != nil {
			t.Fatal(err)
		}
	}, says: []string{"%F: it is no regular file"}, right: func(t *testing.T, path string) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}, moved: "%Q/roots"},
}

// TestTrustFiles keeps files of authorities from a real smtp(8), in all the ways there are, and looks whether Check
// says so, whether mail waits, and whether it leaves when what Check says was done.
func TestTrustFiles(t *testing.T) {
	needPostconf(t)
	needRoot(t)
	err := apart.Run(t, func() {
		joinGroup(t)
		s := newSendingSite(t)
		resolver, err := os.ReadFile("/etc/resolv.conf")
		etc := filepath.Join(s.queue(), "etc")
		if err := errors.Join(err, os.MkdirAll(etc, 0o755), os.WriteFile(filepath.Join(etc, "resolv.conf"), resolver, 0o644)); err != nil {
			t.Fatal(err)
		}
		for _, c := range trustCases {
			t.Run(c.name, func(t *testing.T) {
				mark := len(s.postfix.Log())
				t.Cleanup(func() {
					if t.Failed() {
						t.Log(s.postfix.Log()[mark:])
					}
					s.run(t, "postsuper", "-d", "ALL")
				})
				s.tryTrustFile(t, c)
			})
		}
	})
	if err != nil && (!errors.Is(err, apart.ErrNotPossible) || os.Getenv("CI") != "") {
		t.Fatal(err)
	} else if err != nil {
		t.Skip(err)
	}
}

func (s *sendingSite) queue() string { return filepath.Join(s.dir, "postfix", "queue") }

func (s *sendingSite) tryTrustFile(t *testing.T, c trustCase) {
	if c.seen == "" {
		c.seen = "%Q"
	}
	fill := strings.NewReplacer("%Q", s.queue(), "%D", s.dir)
	file := s.putTrustFile(t, fill.Replace(c.dir), fill.Replace(c.seen))
	if c.spoil != nil {
		c.spoil(t, file.Path)
	}
	settings := s.configure(t, c.main, []string{c.service})
	settings.OpenTrustFiles(t.Context(), []TrustFile{file})
	found := s.findings(settings)
	line, log := s.send(t, "good.test")
	if c.says == nil {
		if len(found) > 0 || !strings.Contains(line, gone) {
			t.Errorf("findings: %v: %s", found, line)
		}
		return
	}
	// smtp(8) has a file with other authorities, and finds out only when it has seen the server.
	if !strings.Contains(line, "status=deferred") || !strings.Contains(log, "client TLS configuration problem") && !strings.Contains(line, "not verified") {
		t.Errorf("want it deferred: %s", line)
	}
	severity := Error
	if c.warning {
		severity = Warning
	}
	if len(found) != 1 || found[0].Severity != severity || !strings.HasPrefix(found[0].Problem, "mail for good.test waits, as Postfix cannot read the partner's roots: ") {
		t.Fatalf("findings: %v", found)
	}
	fill = strings.NewReplacer("%Q", s.queue(), "%D", s.dir, "%F", file.Path, "%d", filepath.Dir(file.Path))
	for _, part := range c.says {
		if part = fill.Replace(part); !strings.Contains(found[0].Problem, part) {
			t.Errorf("no %q in %q", part, found[0].Problem)
		}
	}
	if found[0].Line != fill.Replace(c.line) || (c.line != "") != (found[0].File == tomlFile) {
		t.Errorf("line %q for %q", found[0].Line, found[0].File)
	}
	if c.right != nil {
		c.right(t, file.Path)
	}
	if c.moved != "" {
		file = s.putTrustFile(t, fill.Replace(c.moved), s.queue())
	}
	settings.OpenTrustFiles(t.Context(), []TrustFile{file})
	if found := s.findings(settings); len(found) > 0 {
		t.Errorf("put right: %v", found)
	}
	if line, _ := s.send(t, "good.test"); !strings.Contains(line, gone) {
		t.Errorf("put right: %s", line)
	}
}

// putTrustFile writes a file with the root of good.test, and has the door tell of it.
func (s *sendingSite) putTrustFile(t *testing.T, dir, queue string) TrustFile {
	t.Helper()
	root, err := os.ReadFile(filepath.Join(s.dir, "root.pem"))
	f := TrustFile{Path: filepath.Join(dir, "roots.pem"), Told: filepath.Join(dir, "roots.pem"), Text: root, Domains: []string{"good.test"}}
	if err := errors.Join(err, os.MkdirAll(dir, 0o755), os.WriteFile(f.Path, root, 0o644)); err != nil {
		t.Fatal(err)
	}
	if below, err := filepath.Rel(queue, f.Path); err == nil && filepath.IsLocal(below) { // as outgoing.Bundles has it
		f.Told = below
	}
	for _, dir := range []string{"above", "roots", "domain-secured"} {
		for _, in := range []string{s.dir, s.queue()} {
			t.Cleanup(func() { os.RemoveAll(filepath.Join(in, dir)) })
		}
	}
	s.setDemand("good.test", &policy.Demand{Names: []string{"good.test"}, RootsFile: f.Told, MinTLS: 0x0303, MinBits: 128})
	return f
}

// extraGroup is one of user postfix's.
const extraGroup = 54711

// joinGroup has user postfix in one more group, in this mount namespace.
func joinGroup(t *testing.T) {
	t.Helper()
	own := filepath.Join(t.TempDir(), "group")
	text, err := os.ReadFile("/etc/group")
	text = append(text, fmt.Sprintf("extra:x:%d:postfix\n", extraGroup)...)
	if err := errors.Join(err, os.WriteFile(own, text, 0o644), syscall.Mount(own, "/etc/group", "", syscall.MS_BIND, "")); err != nil {
		t.Fatal(err)
	}
}

// denyPostfix keeps user postfix from a file by an access control list, which its mode does not show (acl(5); the
// octets are those of linux/posix_acl_xattr.h).
func denyPostfix(t *testing.T, path string) {
	t.Helper()
	postfix, err := user.Lookup("postfix")
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.Atoi(postfix.Uid)
	if err != nil {
		t.Fatal(err)
	}
	const owner, oneUser, group, mask, other, nobody = 1, 2, 4, 16, 32, 1<<32 - 1
	acl := binary.LittleEndian.AppendUint32(nil, 2)
	for _, entry := range [][3]uint32{{owner, 6, nobody}, {oneUser, 0, uint32(uid)}, {group, 4, nobody}, {mask, 4, nobody}, {other, 4, nobody}} {
		acl = binary.LittleEndian.AppendUint16(acl, uint16(entry[0]))
		acl = binary.LittleEndian.AppendUint16(acl, uint16(entry[1]))
		acl = binary.LittleEndian.AppendUint32(acl, entry[2])
	}
	if err := syscall.Setxattr(path, "system.posix_acl_access", acl, 0); errors.Is(err, syscall.ENOTSUP) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
}
