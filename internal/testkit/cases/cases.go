// Package cases is the one description of what is sent to a mail server with domain-secured beside it, and
// of what must come of it. The lab shows these cases to people, the tests hold every MTA to them.
package cases

// A Case is one message, as some server out there sends it to contoso.com.
type Case struct {
	Name        string   // short and stable
	Words       string   // the same for a person, one line
	Sender      string   // of the envelope, "" for a bounce
	From        []string // of the header: what stands in its From fields; one field with the sender when nil
	Forged      []string // Domain-Secured fields that the sender puts into the header, folded with \n
	TLS         bool
	Certificate Kind // what the sending server presents

	// What must come of it. Where Accepted is false, the sender's server hears Code, Enhanced and Reason.
	Accepted bool
	Code     int
	Enhanced string
	Reason   string

	// Stamp is what the Domain-Secured field of the delivered message must say of the proof: "auth=pin". All
	// else in it follows, see World.Stamp. Empty: the message must have no such field.
	Stamp string
}

// Addresses of the cases.
const (
	Recipient = "bob@contoso.com"
	bank      = "alice@woodgrovebank.com" // listed; proves itself by certificates of its own root
	toys      = "carol@tailspintoys.com"  // listed; proves itself by a pinned certificate
	litware   = "dave@litwareinc.com"     // listed, but in mode testing
	fabrikam  = "erin@fabrikam.com"       // not listed

	byChain = "auth=chain; name=mail1.woodgrovebank.com"
	byPin   = "auth=pin"
)

// forgeries are stamps as forgers write them. RFC 5322: case does not matter (section 1.2.2), a body may be folded
// (2.2.3) or empty (2.2), and there may be blanks before the colon (4.5).
var forgeries = []string{
	"Domain-Secured: mx1.contoso.com; domain=woodgrovebank.com; auth=chain",
	"DOMAIN-SECURED :x",
	"domain-secured:",
	"Domain-Secured:\n mx1.contoso.com;\n\tdomain=woodgrovebank.com; auth=pin",
	"Domain-Secured\t: mx1.contoso.com; domain=tailspintoys.com; auth=pin",
	"dOMAIN-sECURED:mx1.contoso.com; domain=fabrikam.com; auth=external",
	"Domain-Secured: =?utf-8?q?mx1=2Econtoso=2Ecom?=; domain=litwareinc.com",
}

// All returns the cases. Each stands for itself: they may be run in any order, and at the same time.
func All() []Case {
	return []Case{
		{
			Name: "good", Words: "the bank's server: TLS, its certificate, for mail1.woodgrovebank.com",
			Sender: bank, TLS: true, Certificate: Good, Accepted: true, Stamp: byChain,
		},
		{
			Name: "no-tls", Words: "the bank's name, without TLS",
			Sender: bank, Code: 450, Enhanced: "4.7.0", Reason: "tls-not-used",
		},
		{
			Name: "no-tls-upper-case", Words: "the bank's name in capital letters, without TLS",
			Sender: "Alice@WOODGROVEBANK.COM", Code: 450, Enhanced: "4.7.0", Reason: "tls-not-used",
		},
		{
			Name: "no-certificate", Words: "TLS, but no certificate",
			Sender: bank, TLS: true, Code: 450, Enhanced: "4.7.1", Reason: "certificate-missing",
		},
		{
			Name: "never-imported", Words: "TLS, a certificate of the bank's authority that nobody has imported",
			Sender: bank, TLS: true, Certificate: NeverImported, Code: 450, Enhanced: "4.7.1", Reason: "certificate-unknown",
		},
		{
			Name: "self-signed", Words: "TLS, a self-made certificate with the bank's name in it",
			Sender: bank, TLS: true, Certificate: SelfSigned, Code: 450, Enhanced: "4.7.5", Reason: "certificate-not-trusted",
		},
		{
			Name: "expired", Words: "TLS, a certificate of the bank that expired yesterday",
			Sender: bank, TLS: true, Certificate: Expired, Code: 450, Enhanced: "4.7.5", Reason: "certificate-expired",
		},
		{
			Name: "revoked", Words: "TLS, a certificate that the bank's authority has revoked",
			Sender: bank, TLS: true, Certificate: Revoked, Code: 550, Enhanced: "5.7.5", Reason: "certificate-revoked",
		},
		{
			Name: "list-down", Words: "TLS, a certificate whose revocation list cannot be had now",
			Sender: bank, TLS: true, Certificate: Unpublished, Code: 450, Enhanced: "4.7.5", Reason: "revocation-unknown",
		},
		{
			Name: "wrong-name", Words: "TLS, a certificate of the bank's authority for mail1.northwindtraders.com",
			Sender: bank, TLS: true, Certificate: WrongName, Code: 450, Enhanced: "4.7.1", Reason: "certificate-host-mismatch",
		},
		{
			Name: "two-nodes-deep", Words: "TLS, a certificate of the bank for mail1.us.woodgrovebank.com, two nodes deep",
			Sender: bank, TLS: true, Certificate: TwoDeep, Code: 450, Enhanced: "4.7.1", Reason: "certificate-host-mismatch",
		},
		{
			Name: "server-only", Words: "TLS, a certificate of the bank meant for servers only, as public authorities make them",
			Sender: bank, TLS: true, Certificate: ServerOnly, Accepted: true, Stamp: byChain,
		},
		{
			Name: "pinned", Words: "another partner: TLS, a self-made certificate, but the one agreed upon",
			Sender: toys, TLS: true, Certificate: Pinned, Accepted: true, Stamp: byPin,
		},
		{
			Name: "testing", Words: "a partner in mode testing, without TLS",
			Sender: litware, Accepted: true,
		},
		{
			Name: "testing-proven", Words: "a partner in mode testing, with the certificate agreed upon",
			Sender: litware, TLS: true, Certificate: Pinned, Accepted: true,
		},
		{
			Name: "unlisted", Words: "fabrikam.com, which is on no list, without TLS",
			Sender: fabrikam, Accepted: true,
		},
		{
			Name: "forged", Words: "fabrikam.com, with a stamp of its own making",
			Sender: fabrikam, Forged: forgeries[:1], Accepted: true,
		},
		{
			Name: "forged-twice", Words: "fabrikam.com, with two of them",
			Sender: fabrikam, Forged: forgeries[:2], TLS: true, Accepted: true,
		},
		{
			Name: "forged-all-ways", Words: "fabrikam.com, with one in every spelling there is",
			Sender: fabrikam, Forged: forgeries, Accepted: true,
		},
		{
			Name: "good-and-forged", Words: "the bank's server, with its certificate, and stamps of its own making",
			Sender: bank, Forged: forgeries, TLS: true, Certificate: Good, Accepted: true, Stamp: byChain,
		},
		{
			Name: "testing-forged", Words: "a partner in mode testing, with a stamp of its own making",
			Sender: litware, Forged: forgeries[3:4], Accepted: true,
		},
		{
			Name: "bounce-forged", Words: "a bounce (null sender) from the bank's server, with a stamp",
			From: []string{"<mailer-daemon@woodgrovebank.com>"}, Forged: forgeries[:2], TLS: true, Certificate: Good, Accepted: true,
		},
		{
			Name: "from-below", Words: "the bank's server, From: somebody at us.woodgrovebank.com",
			Sender: bank, From: []string{`"Alice, New York" <alice@us.woodgrovebank.com>`}, TLS: true, Certificate: Good, Accepted: true, Stamp: byChain,
		},
		{
			Name: "from-another", Words: "the bank's server, From: somebody at fabrikam.com",
			Sender: bank, From: []string{"<" + fabrikam + ">"}, TLS: true, Certificate: Good, Accepted: true,
		},
		{
			Name: "from-in-name", Words: "the bank's server, From: fabrikam.com, the bank's address as display name",
			Sender: bank, From: []string{`"` + bank + `" <` + fabrikam + ">"}, TLS: true, Certificate: Good, Accepted: true,
		},
		{
			Name: "from-twice", Words: "the bank's server, two From headers, the bank's and fabrikam.com's",
			Sender: bank, From: []string{"<" + bank + ">", "<" + fabrikam + ">"}, TLS: true, Certificate: Good, Accepted: true,
		},
	}
}
