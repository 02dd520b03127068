package mta

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"text/template"
)

// sendmailMC is the .mc file of an instance that receives, hands everything on to its mailbox and does nothing else.
// It takes mail for any domain: Sendmail relays whatever comes from loopback.
// Words behind dnl are comments.
var sendmailMC = template.Must(template.New("mc").Parse("divert(0)dnl\n" + `OSTYPE(` + "`linux'" + `)dnl
{{- range .Defines}}
define({{printf "` + "`%s', `%s'" + `" .Name .Value}})dnl
{{- end}}
FEATURE(` + "`accept_unresolvable_domains'" + `)dnl there is no DNS
FEATURE(` + "`accept_unqualified_senders'" + `)dnl
FEATURE(` + "`nocanonify'" + `)dnl
FEATURE(` + "`no_default_msa'" + `)dnl
DAEMON_OPTIONS(` + "`Name=MTA, Addr={{.Host}}, Port={{.Port}}'" + `)dnl
{{range .Config}}{{.}}
{{end -}}
MAILER(` + "`local'" + `)dnl
MAILER(` + "`smtp'" + `)dnl
{{range .Rulesets}}{{.}}
{{end}}`))

// configure writes the .mc file, and has m4 make the .cf file of it.
func (s *Sendmail) configure(ctx context.Context, o SendmailOptions) error {
	host, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		return err
	}
	var mc bytes.Buffer
	if err := sendmailMC.Execute(&mc, map[string]any{
		"Defines": s.defines(o), "Host": host, "Port": port,
		"Config": o.Config, "Rulesets": o.Rulesets,
	}); err != nil {
		return err
	}
	source := filepath.Join(s.dir, "sendmail.mc")
	if err := os.WriteFile(source, mc.Bytes(), 0o644); err != nil {
		return err
	}
	macros := filepath.Join(s.files.root, "usr/share/sendmail/cf") + "/"
	c := exec.CommandContext(ctx, s.files.m4, "-D_CF_DIR_="+macros, macros+"m4/cf.m4", source)
	var complaints bytes.Buffer
	c.Stderr = &complaints
	cf, err := c.Output()
	if err != nil || complaints.Len() > 0 {
		return fmt.Errorf("m4 of %s: %w: %s", source, errors.Join(err, errors.New("it complains")), &complaints)
	}
	return os.WriteFile(s.ConfigFile(), cf, 0o644)
}

type sendmailDefine struct{ Name, Value string }

// defines returns the settings of an instance.
func (s *Sendmail) defines(o SendmailOptions) []sendmailDefine {
	in := func(name string) string { return filepath.Join(s.dir, name) }
	_, mailbox, _ := net.SplitHostPort(s.mailbox.Addr()) // ours, so it has a port
	defines := []sendmailDefine{
		{"confDOMAIN_NAME", o.Hostname},
		{"confPID_FILE", in("sendmail.pid")},
		{"QUEUE_DIR", in("mqueue")},
		{"STATUS_FILE", in("statistics")},
		{"HELP_FILE", in("helpfile")},
		{"ALIAS_FILE", ""},
		{"confSERVICE_SWITCH_FILE", in("service.switch")},
		{"confTRUSTED_USER", "root"},
		{"confDEF_USER_ID", "nobody:nogroup"},
		{"confDONT_BLAME_SENDMAIL", "AssumeSafeChown,TrustStickyBit"},
		{"confDONT_PROBE_INTERFACES", "True"}, // that would ask the DNS
		{"confTO_IDENT", "0"},
		{"confLOG_LEVEL", "0"}, // to the system's syslog
		{"confDELIVERY_MODE", "background"},
		{"SMART_HOST", "relay:[127.0.0.1]"},
		{"RELAY_MAILER_ARGS", "TCP $h " + mailbox},
		// A busy machine is no reason to refuse.
		{"confQUEUE_LA", "1000"},
		{"confREFUSE_LA", "1000"},
	}
	if o.Certificate != nil {
		defines = append(defines,
			sendmailDefine{"confCACERT", in("tls/ca.pem")},
			sendmailDefine{"confCACERT_PATH", in("tls/authorities")},
			sendmailDefine{"confSERVER_CERT", in("tls/server.pem")},
			sendmailDefine{"confSERVER_KEY", in("tls/server.key")},
		)
	}
	return defines
}

// writeTLS writes what STARTTLS needs. Without an authority in confCACERT Sendmail offers none.
func (s *Sendmail) writeTLS(c Common) error {
	if c.Certificate == nil {
		return nil
	}
	ca := c.Certificate.PEM()
	if c.ClientCA != nil {
		ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.ClientCA.Raw})
	}
	in := func(name string) string { return filepath.Join(s.dir, "tls", name) }
	return errors.Join(
		os.WriteFile(in("ca.pem"), ca, 0o644),
		os.WriteFile(in("server.pem"), c.Certificate.PEM(), 0o644),
		os.WriteFile(in("server.key"), c.Certificate.KeyPEM(), 0o600),
	)
}
