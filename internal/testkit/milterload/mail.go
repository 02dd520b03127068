package milterload

import (
	"fmt"
	"maps"
	"strings"

	"domain-secured/internal/testkit/pki"
)

// A Client is who speaks SMTP to the MTA.
type Client struct {
	Hello   string
	Address string // IPv4
	Port    uint16
	TLS     map[string]string // macros about TLS, "{verify}"; nil without
}

// Presenting returns the macros that Sendmail has about a client with a trusted certificate over TLS 1.3, with
// `confCERT_FINGERPRINT_ALGORITHM' at sha256 (Sendmail Installation and Operation Guide, section 5.1.3).
func Presenting(c *pki.Certificate) map[string]string {
	subject, issuer := c.Leaf.Subject.CommonName, xtext(c.Leaf.Issuer.CommonName)
	return map[string]string{
		"{tls_version}":  "TLSv1.3",
		"{cipher}":       "TLS_AES_256_GCM_SHA384",
		"{cipher_bits}":  "256",
		"{alg_bits}":     "256",
		"{verify}":       "OK",
		"{cn_subject}":   subject,
		"{cn_issuer}":    issuer,
		"{cert_subject}": "/CN=" + subject,
		"{cert_issuer}":  "/CN=" + issuer,
		"{cert_fp}":      c.Fingerprint(),
	}
}

// xtext writes a name as Sendmail writes it into a macro.
func xtext(name string) string {
	var b strings.Builder
	for _, octet := range []byte(name) {
		if octet < '!' || octet > '~' || strings.IndexByte(`+\()<>"`, octet) >= 0 {
			fmt.Fprintf(&b, "+%02X", octet)
		} else {
			b.WriteByte(octet)
		}
	}
	return b.String()
}

// A Mail is a message.
type Mail struct {
	Sender, Recipient string
	Header            [][2]string // name, value without the space that follows the colon; folds are "\n\t"
	Body              string
}

// Usual returns a message with the header fields that mail between two companies has today, 1.5 KB of them,
// and a body of two kilobytes.
func Usual(sender string) Mail {
	_, domain, _ := strings.Cut(sender, "@")
	return Mail{
		Sender: sender, Recipient: "bob@contoso.com",
		Header: [][2]string{
			{"Received", "from desk17." + domain + " (desk17." + domain + " [192.0.2.117])\n\tby mail1." + domain +
				" (Postfix) with ESMTPSA id 4ZQk2H6Wb9z3x\n\tfor <bob@contoso.com>; Mon,  5 Oct 2026 09:12:44 +0200 (CEST)"},
			{"DKIM-Signature", "v=1; a=rsa-sha256; c=relaxed/relaxed; d=" + domain + ";\n\ts=2026q4; t=1791184364;\n\t" +
				"h=from:to:subject:date:message-id:mime-version:content-type;\n\tbh=" + strings.Repeat("Zm9v", 10) +
				"vY8=;\n\tb=" + strings.Repeat("q1W2e3R4", 43)},
			{"From", "Alice Woodgrove <" + sender + ">"},
			{"To", "Bob <bob@contoso.com>"},
			{"Subject", "Minutes of Thursday's meeting, and what is left to do"},
			{"Date", "Mon, 5 Oct 2026 09:12:43 +0200"},
			{"Message-ID", "<0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9@" + domain + ">"},
			{"MIME-Version", "1.0"},
			{"Content-Type", "multipart/alternative;\n\tboundary=\"----=_Part_48213_1029384756.1791184363\""},
			{"Content-Language", "en-US"},
			{"User-Agent", "Mozilla Thunderbird"},
			{"X-Originating-IP", "[192.0.2.117]"},
		},
		Body: strings.Repeat("Dear Bob, these are the minutes of Thursday's meeting; do read them.\r\n", 30),
	}
}

// macros returns the values of all macros that an MTA has in this mail on that client's connection. Those about
// TLS are Sendmail's, since only with those a milter can judge a certificate by itself.
func macros(c Client, m Mail) map[string]string {
	_, senderHost, _ := strings.Cut(m.Sender, "@")
	_, recipientHost, _ := strings.Cut(m.Recipient, "@")
	values := map[string]string{
		"j": "mx1.contoso.com", "v": "8.17.1.9", "_": c.Hello + " [" + c.Address + "]", "r": "ESMTP", "s": c.Hello,
		"{daemon_name}": "MTA", "{daemon_addr}": "192.0.2.25", "{daemon_port}": "25",
		"{if_name}": "mx1.contoso.com", "{if_addr}": "192.0.2.25",
		"{client_addr}": c.Address, "{client_port}": fmt.Sprint(c.Port),
		"{client_name}": c.Hello, "{client_ptr}": c.Hello, "{client_resolve}": "OK",
		"{mail_addr}": m.Sender, "{mail_host}": senderHost, "{mail_mailer}": "esmtp",
		"{rcpt_addr}": m.Recipient, "{rcpt_host}": recipientHost, "{rcpt_mailer}": "local",
		"{msg_id}": "<0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9@" + senderHost + ">",
		"i":        queueID,
	}
	maps.Copy(values, c.TLS)
	return values
}

// fromStage is the first stage at which a macro has a value, for those that have none from the start.
var fromStage = map[string]int{
	"i":           eventMail.stage,
	"{mail_addr}": eventMail.stage, "{mail_host}": eventMail.stage, "{mail_mailer}": eventMail.stage,
	"{rcpt_addr}": eventRcpt.stage, "{rcpt_host}": eventRcpt.stage, "{rcpt_mailer}": eventRcpt.stage,
	"{msg_id}": eventEOM.stage,
}
