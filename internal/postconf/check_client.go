package postconf

import (
	"fmt"
	"slices"
	"time"
)

// client looks at the certificate that smtp(8) presents to servers that ask for one.
func (c *checker) client() {
	parameter, files := clientFiles(c.p)
	causes := []string{"smtp_tls_chain_files", "smtp_tls_cert_file", "smtp_tls_eccert_file", "smtp_tls_dcert_file"}
	if len(files) == 0 {
		c.add(Error, "smtp_tls_chain_files",
			"Postfix presents no certificate when it sends, so a partner who demands one refuses mail (the line names a file with the key, the certificate and the intermediates, in this order)",
			[]setting{{"smtp_tls_chain_files", c.dir() + "/mx1.pem"}}, causes...)
		return
	}
	for i, found := range c.svc.Client {
		at := and(slices.Compact(slices.Clone(files[min(i, len(files)-1)])))
		switch {
		case found.Unread != "":
			c.add(Warning, parameter, "whether Postfix can present its certificate is not known, as whoever runs this may not read it: "+found.Unread, nil, causes...)
		case found.Missing != "":
			c.add(Error, parameter, "Postfix presents no certificate when it sends, as there is no file "+found.Missing+": a partner who demands one refuses mail", nil, causes...)
		case found.Problem != "":
			c.add(Error, parameter, "Postfix cannot use "+at+" and has no TLS at all when it sends: mail for domains on the send list waits, and other mail leaves in clear text: "+found.Problem, nil, causes...)
		case c.s.At.After(found.Leaf.NotAfter):
			c.add(Error, parameter, fmt.Sprintf("the certificate in %s ended on %s: a partner who demands one refuses mail", at, day(found.Leaf.NotAfter)), nil, causes...)
		case c.s.At.Before(found.Leaf.NotBefore):
			c.add(Error, parameter, fmt.Sprintf("the certificate in %s is not valid before %s: a partner who demands one refuses mail", at, day(found.Leaf.NotBefore)), nil, causes...)
		default:
			if hello := c.p["smtp_helo_name"]; hello != "" && found.Leaf.VerifyHostname(hello) != nil {
				c.add(Warning, parameter, fmt.Sprintf("Postfix says EHLO %s, and the certificate in %s does not have that name: a partner who compares the two refuses mail", hello, at), nil, append(causes, "smtp_helo_name")...)
			}
		}
	}
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
