// Package cases is the one description of what is sent to a mail server with domain-secured beside it, and
// of what must come of it. The lab shows these cases to people, the tests hold every MTA to them.
package cases

// A Case is one message, as some server out there sends it to contoso.com.
type Case struct {
	Name        string // short and stable
	Words       string // the same for a person, one line
	Sender      string // of the envelope
	TLS         bool
	Certificate Kind // what the sending server presents

	// What must come of it. Where Accepted is false, the sender's server hears Code, Enhanced and Reason.
	Accepted bool
	Code     int
	Enhanced string
	Reason   string
}

// Addresses of the cases.
const (
	Recipient = "bob@contoso.com"
	bank      = "alice@woodgrovebank.com" // listed; proves itself by certificates of its own root
	toys      = "carol@tailspintoys.com"  // listed; proves itself by a pinned certificate
	litware   = "dave@litwareinc.com"     // listed, but in mode testing
	fabrikam  = "erin@fabrikam.com"       // not listed
)

// All returns the cases. Each stands for itself: they may be run in any order, and at the same time.
func All() []Case {
	return []Case{
		{
			Name: "good", Words: "the bank's server: TLS, its certificate, for mail1.woodgrovebank.com",
			Sender: bank, TLS: true, Certificate: Good, Accepted: true,
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
			Name: "wrong-name", Words: "TLS, a certificate of the bank's authority for mail1.northwindtraders.com",
			Sender: bank, TLS: true, Certificate: WrongName, Code: 450, Enhanced: "4.7.1", Reason: "certificate-host-mismatch",
		},
		{
			Name: "two-nodes-deep", Words: "TLS, a certificate of the bank for mail1.us.woodgrovebank.com, two nodes deep",
			Sender: bank, TLS: true, Certificate: TwoDeep, Code: 450, Enhanced: "4.7.1", Reason: "certificate-host-mismatch",
		},
		{
			Name: "server-only", Words: "TLS, a certificate of the bank meant for servers only, as public authorities make them",
			Sender: bank, TLS: true, Certificate: ServerOnly, Accepted: true,
		},
		{
			Name: "pinned", Words: "another partner: TLS, a self-made certificate, but the one agreed upon",
			Sender: toys, TLS: true, Certificate: Pinned, Accepted: true,
		},
		{
			Name: "testing", Words: "a partner in mode testing, without TLS",
			Sender: litware, Accepted: true,
		},
		{
			Name: "unlisted", Words: "fabrikam.com, which is on no list, without TLS",
			Sender: fabrikam, Accepted: true,
		},
	}
}
