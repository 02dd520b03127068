package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/template"

	"domain-secured/internal/testkit/cases"
	"domain-secured/internal/testkit/companies"
	"domain-secured/internal/testkit/mta"
)

var keepText = template.Must(template.New("keep").Parse(`
Everything stays up until Ctrl-C. To talk to it, from another terminal:
{{- with .Pair}}

  # first a shell, as root, in the network namespace of all this
  nsenter --target {{$.PID}} --net --mount

Contoso and Woodgrove Bank:

  # Bob of Contoso writes to the bank, Alice of the bank to Contoso
  printf 'Subject: hello\n\nhello\n' | sendmail -C {{.Contoso.Postfix.ConfigDir}} -f {{.Contoso.Mailbox}} {{.Bank.Mailbox}}
  printf 'Subject: hello\n\nhello\n' | sendmail -C {{.Bank.Postfix.ConfigDir}} -f {{.Bank.Mailbox}} {{.Contoso.Mailbox}}
{{- range $.Companies}}

  # {{.Name}}: what waits, what has arrived, what was logged; configuration and lists
  postqueue -c {{.Postfix.ConfigDir}} -p
  grep -h -A1 ^Domain-Secured {{.Postfix.Mailbox}}/*
  grep status= {{.Postfix.LogFile}}
  cat {{.LogFile}}
  cat {{.Config}} {{.Dir}}/*.list
{{- end}}

  # is the bank ready, seen from Contoso?
  {{$.Binary}} probe --config {{.Contoso.Config}} {{.Bank.Domain}}

What the strangers talked to:
{{- end}}

  # as the bank's server, by hand; without -cert… and -key, as an impostor
  openssl s_client -starttls smtp -crlf -quiet -connect {{.Addr}} \
    -cert {{.Certificate}} -cert_chain {{.Certificate}} -key {{.Key}}
  # the same with swaks (and libnet-ssleay-perl), if it is installed
  swaks --server {{.Addr}} --ehlo mail1.woodgrovebank.com --from alice@woodgrovebank.com --to {{.Recipient}} \
    --tls --tls-cert {{.Certificate}} --tls-key {{.Key}}

  # what domain-secured thinks of it, rule by rule
  {{.Binary}} explain --config {{.Config}} --sender alice@woodgrovebank.com --tls TLSv1.3 --bits 256 --certificate {{.Certificate}}
  # the lists, and the certificates it knows
  {{.Binary}} receive list --config {{.Config}}
  {{.Binary}} cert list --config {{.Config}}

  configuration  {{.Config}}
  its log        {{.Log}}
{{- with .Postfix}}
  Postfix        postconf -c {{.ConfigDir}} -n
  its log        {{.LogFile}}
  its mailbox    {{.Mailbox}}
{{- end}}
{{- with .Sendmail}}
  Sendmail       {{.ConfigFile}}
  its sessions   {{.TrafficFile}}
{{- end}}
`))

// keepUp says how to talk to what runs, and waits until ctx ends, or a domain-secured does. pair may be nil.
func keepUp(ctx context.Context, site *cases.Site, pair *companies.Pair, binary string, out io.Writer) error {
	good := site.World.Certificates[cases.Good]
	certificate, key := filepath.Join(site.Dir, "bank.pem"), filepath.Join(site.Dir, "bank.key")
	if err := errors.Join(os.WriteFile(certificate, good.PEM(), 0o644), os.WriteFile(key, good.KeyPEM(), 0o600)); err != nil {
		return err
	}
	postfix, _ := site.MTA.(*mta.Postfix) // nil if it is another server
	sendmail, _ := site.MTA.(*mta.Sendmail)
	own := site.Daemon.Exited()
	contoso, bank := own, own
	var both []*companies.Company
	if pair != nil {
		both = []*companies.Company{pair.Contoso, pair.Bank}
		contoso, bank = pair.Contoso.Daemon.Exited(), pair.Bank.Daemon.Exited()
	}
	err := keepText.Execute(out, map[string]any{
		"Addr": site.MTA.Addr(), "Recipient": cases.Recipient, "Certificate": certificate, "Key": key,
		"Binary": binary, "Config": site.Config, "Log": site.LogFile(), "Postfix": postfix, "Sendmail": sendmail,
		"Pair": pair, "Companies": both, "PID": os.Getpid(),
	})
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		fmt.Fprintln(out, "\nCleaning up.")
		return nil
	case <-own:
		return errors.New("domain-secured has ended by itself:\n" + site.Daemon.Log())
	case <-contoso:
		return errors.New("Contoso's domain-secured has ended by itself:\n" + pair.Contoso.Daemon.Log())
	case <-bank:
		return errors.New("the bank's domain-secured has ended by itself:\n" + pair.Bank.Daemon.Log())
	}
}
