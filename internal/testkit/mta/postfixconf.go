package mta

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"domain-secured/internal/testkit/pki"
)

// masterCF is master.cf(5) for an instance that receives, delivers to mailboxes and does nothing else; nothing
// in it is chrooted. %s is the address smtpd listens on. qmgr is woken every second, not every five minutes: a
// message that its last delivery agent still holds it puts back into incoming, and looks there when it is woken.
const masterCF = `%s inet n - n - - smtpd
pickup    unix       n - n 60    1 pickup
cleanup   unix       n - n -     0 cleanup
qmgr      unix       n - n 1     1 qmgr
tlsmgr    unix       - - n 1000? 1 tlsmgr
rewrite   unix       - - n -     - trivial-rewrite
bounce    unix       - - n -     0 bounce
defer     unix       - - n -     0 bounce
trace     unix       - - n -     0 bounce
verify    unix       - - n -     1 verify
flush     unix       n - n 1000? 0 flush
proxymap  unix       - - n -     - proxymap
smtp      unix       - - n -     - smtp
relay     unix       - - n -     - smtp
showq     unix       n - n -     - showq
error     unix       - - n -     - error
retry     unix       - - n -     - error
discard   unix       - - n -     - discard
virtual   unix       - n n -     - virtual
anvil     unix       - - n -     1 anvil
scache    unix       - - n -     1 scache
postlog   unix-dgram n - n -     1 postlogd
`

// settings is the text of a main.cf, one setting a name.
type settings struct {
	names  []string
	values map[string]string
}

// set sets name, or replaces its value: nothing may stand in main.cf twice. To Postfix that is only worth a
// warning, but postlogd(8) has it, too, when it starts, waits for itself to log it, and everything hangs.
func (s *settings) set(name, value string) error {
	if name == "" || strings.ContainsAny(name, " \t\n=#") || strings.Contains(value, "\n") {
		return fmt.Errorf("not a setting for main.cf: %q = %q", name, value)
	}
	if s.values == nil {
		s.values = map[string]string{}
	}
	if _, known := s.values[name]; !known {
		s.names = append(s.names, name)
	}
	s.values[name] = value
	return nil
}

func (s *settings) setLine(line string) error {
	name, value, ok := strings.Cut(line, "=")
	if !ok {
		return fmt.Errorf("not a line for main.cf: %q", line)
	}
	return s.set(strings.TrimSpace(name), strings.TrimSpace(value))
}

func (s *settings) String() string {
	var b strings.Builder
	for _, name := range s.names {
		fmt.Fprintf(&b, "%s = %s\n", name, s.values[name])
	}
	return b.String()
}

// defaults returns the settings of an instance living in dir, before the caller's.
func defaults(dir string, o PostfixOptions) (*settings, error) {
	s := &settings{}
	lines := []string{
		"compatibility_level = 3.6",
		"queue_directory = " + filepath.Join(dir, "queue"),
		"data_directory = " + filepath.Join(dir, "data"),
		"maillog_file = " + filepath.Join(dir, "log", "maillog"),
		"maillog_file_prefixes = " + filepath.Join(dir, "log"),
		"inet_interfaces = 127.0.0.1",
		"inet_protocols = ipv4",
		"myhostname = " + o.Hostname,
		"mydomain = " + o.Domains[0],
		"myorigin = $mydomain",
		"mydestination =",
		"alias_maps =",
		"alias_database =",
		"local_recipient_maps =",
		"local_transport = error:no local users",
		// Whoever connects is a stranger, although on loopback.
		"mynetworks =",
		"virtual_mailbox_domains = " + strings.Join(o.Domains, ", "),
		"virtual_mailbox_base = " + filepath.Join(dir, "mail"),
		"virtual_mailbox_maps = static:all/",
		"virtual_uid_maps = static:65534",
		"virtual_gid_maps = static:65534",
		"smtpd_peername_lookup = no",
		"smtpd_relay_restrictions = reject_unauth_destination",
		"smtpd_tls_loglevel = 1",
		"smtpd_tls_received_header = yes",
		"smtpd_tls_ask_ccert = yes",
		"smtpd_tls_fingerprint_digest = sha256",
		// A fault in the configuration would otherwise keep smtpd away for a minute.
		"service_throttle_time = 1s",
		// Nobody here is to be slowed down or cut off for making many connections or many mistakes.
		"smtpd_client_connection_count_limit = 0",
		"smtpd_error_sleep_time = 0",
		"smtpd_soft_error_limit = 100000",
		"smtpd_hard_error_limit = 100000",
		"in_flow_delay = 0",
		// No mail of its own about what goes wrong on purpose.
		"notify_classes =",
	}
	if o.Certificate != nil {
		lines = append(lines, "smtpd_tls_security_level = may", "smtpd_tls_chain_files = "+certificateFile(dir))
	}
	if o.ClientCA != nil {
		lines = append(lines, "smtpd_tls_CAfile = "+filepath.Join(dir, "etc", "ca.pem"))
	}
	for _, line := range append(lines, o.Main...) {
		if err := s.setLine(line); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func certificateFile(dir string) string { return filepath.Join(dir, "etc", "server.pem") }

// CertificateFile returns the file with its key and its certificate, as for smtp_tls_chain_files.
func (p *Postfix) CertificateFile() string { return certificateFile(p.dir) }

// SetCertificate replaces key and certificate. They count for programs of Postfix that start after that, as they do
// for each session with "max_use = 1", else after a Reload.
func (p *Postfix) SetCertificate(c *pki.Certificate) error {
	// smtpd_tls_chain_files in postconf(5): the key first.
	return writeOld(p.CertificateFile(), string(append(c.KeyPEM(), c.PEM()...)), 0o600)
}

// writeOld writes a file that looks five seconds old: a configuration file younger than about a second is
// "hot" to Postfix, which then waits and reads it again, in every one of its programs. The file appears whole: a
// program that starts meanwhile would take defaults for what is missing, the system's queue folder for instance.
func writeOld(path, text string, mode os.FileMode) error {
	fresh := path + ".new"
	old := time.Now().Add(-5 * time.Second)
	err := errors.Join(os.WriteFile(fresh, []byte(text), mode), os.Chtimes(fresh, old, old))
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		return fmt.Errorf("write Postfix's configuration: %w", err)
	}
	return nil
}
