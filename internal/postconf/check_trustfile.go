package postconf

import (
	"errors"
	"fmt"
	"io/fs"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// trustFiles looks at the files of authorities that this smtp(8) opens. Postfix opens them when it is told of them, as
// the user that it then is, and if it cannot, it delivers nothing (postconf(5) smtp_tls_policy_maps, "tafile").
func (c *checker) trustFiles() {
	for _, f := range c.svc.trust {
		found := Finding{Severity: Error, Service: c.svc.String(), Parameter: "smtp_tls_policy_maps"}
		switch {
		case f.unknown != nil:
			found.Severity = Warning
			found.Problem = fmt.Sprintf("whether Postfix can read %s is not known, and mail for %s waits if it cannot: %v", f.Path, and(f.Domains), f.unknown)
			if errors.Is(f.unknown, errNotRoot) {
				found.Problem += ": run this as root"
			}
		case f.err == nil:
			continue
		default:
			var why string
			if why, found.Line = c.unreadable(&f); found.Line != "" {
				found.File = tomlFile
			}
			if f.missing == f.Path && c.asksUs() { // also before the daemon has heard of it
				found.Severity = Warning
			}
			found.Problem = fmt.Sprintf("mail for %s waits, as Postfix cannot read the partner's roots: %s", and(f.Domains), why)
		}
		c.put(found)
	}
}

// unreadable says why a file cannot be read and what to do, the lines for domain-secured.toml if it is those.
func (c *checker) unreadable(f *trustFile) (why, lines string) {
	queue := c.p["queue_directory"]
	seen := f.Told
	if c.svc.Chroot || !filepath.IsAbs(seen) {
		seen = filepath.Join(queue, seen)
	}
	switch below, err := filepath.Rel(queue, f.Path); {
	case f.at != "":
		return f.refusal(), ""
	case f.missing != "" && f.missing != f.Path:
		return fmt.Sprintf("there is no directory %s: make it, so that the daemon may write to it", f.missing), ""
	case f.missing != "" && c.asksUs():
		return fmt.Sprintf("there is no file %s, which the daemon writes when it starts or reads its configuration: let it do so, and if it cannot, its log says why", f.Path), ""
	case f.missing != "":
		return fmt.Sprintf("there is no file %s, which \"export postfix\" writes: make the table anew", f.Path), ""
	case errors.Is(f.err, fs.ErrNotExist) && seen == f.Path:
		return fmt.Sprintf("it is locked into %s, and a link on the way to %s leads out of there: put the folder itself in its place", queue, f.Path), ""
	case errors.Is(f.err, fs.ErrNotExist) && err == nil && filepath.IsLocal(below):
		return fmt.Sprintf("it works in %s and is told %s, and from there that is not %s", queue, f.Told, f.Path), fmt.Sprintf("[tlsmap]\nqueue_directory = %q", queue)
	case errors.Is(f.err, fs.ErrNotExist) && c.svc.Chroot:
		return fmt.Sprintf("it is locked into %s, and %s is not in there: make a folder in there that the daemon may write to, as the line has it", queue, f.Path),
			fmt.Sprintf("[tlsmap]\ntafile_dir = %q\nqueue_directory = %q", filepath.Join(queue, "domain-secured"), queue)
	case errors.Is(f.err, errOther):
		return fmt.Sprintf("%s does not hold what the configuration has: let the daemon read its configuration, and if it cannot write the file, its log says why", f.Path), ""
	}
	return fmt.Sprintf("%s: %v", f.Path, f.err), ""
}

// asksUs says whether this smtp(8) asks the daemon, and not a table that was exported.
func (c *checker) asksUs() bool {
	return asksMap(c.p["smtp_tls_policy_maps"], c.want.TLSMapListen, c.s.QueueDirectory)
}

// refusal says who may not do what.
func (f *trustFile) refusal() string {
	if f.info == nil {
		return fmt.Sprintf("user %s may not read %s", f.user, f.at)
	}
	do, change := "read the file", "chmod o+r "
	if f.info.IsDir() {
		do, change = "pass the directory", "chmod o+x "
	}
	said := fmt.Sprintf("user %s may not %s %s (%s)", f.user, do, f.at, owned(f.info))
	if f.allowed {
		return said + ", although its mode lets it: look for an access control list (getfacl " + f.at + "), SELinux or AppArmor"
	}
	return said + ": " + change + f.at
}

// owned is a mode and whose it is, as ls(1) has it.
func owned(info fs.FileInfo) string {
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return info.Mode().String()
	}
	name, group := strconv.Itoa(int(owner.Uid)), strconv.Itoa(int(owner.Gid))
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	if g, err := user.LookupGroupId(group); err == nil {
		group = g.Name
	}
	return info.Mode().String() + " " + name + ":" + group
}
