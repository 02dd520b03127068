package config

import "github.com/BurntSushi/toml"

// keys are the keys of the TOML file. Nothing else may stand in it.
type keys struct {
	Hostname string `toml:"hostname"`
	StateDir string `toml:"state_dir"`

	Lists      listKeys                  `toml:"lists"`
	Milter     doorKeys                  `toml:"milter"`
	Policy     doorKeys                  `toml:"policy"`
	TLSMap     tlsmapKeys                `toml:"tlsmap"`
	HTTP       httpKeys                  `toml:"http"`
	DNS        dnsKeys                   `toml:"dns"`
	Probe      probeKeys                 `toml:"probe"`
	Revocation revocationKeys            `toml:"revocation"`
	Own        ownKeys                   `toml:"own"`
	Send       sendKeys                  `toml:"send"`
	Defaults   defaultKeys               `toml:"defaults"`
	Partner    map[string]toml.Primitive `toml:"partner"`
	Connector  []connectorKeys           `toml:"connector"`
}

type listKeys struct {
	Receive string `toml:"receive"`
	Send    string `toml:"send"`
}

// doorKeys are those of a door: where it listens, and how its unix socket looks.
// What [milter] says of sockets holds for the doors that say nothing.
type doorKeys struct {
	Listen    string  `toml:"listen"`
	UnixMode  *string `toml:"unix_mode"`
	UnixGroup *string `toml:"unix_group"`
}

type tlsmapKeys struct {
	doorKeys
	PostfixVersion string `toml:"postfix_version"`
	TAFileDir      string `toml:"tafile_dir"`
	QueueDirectory string `toml:"queue_directory"`
}

type httpKeys struct {
	doorKeys
	AllowRemote bool `toml:"allow_remote"`
}

type dnsKeys struct {
	Resolver string `toml:"resolver"`
	TrustAD  bool   `toml:"trust_ad"`
}

type probeKeys struct {
	Port         int  `toml:"port"`
	AllowPrivate bool `toml:"allow_private"`
}

type revocationKeys struct {
	Order      []string `toml:"order"`
	Proxy      string   `toml:"proxy"`
	NoProxy    []string `toml:"no_proxy"`
	LDAPServer string   `toml:"ldap_server"`
	CRLFiles   []string `toml:"crl_files"`
	Grace      string   `toml:"grace"`
}

type ownKeys struct {
	Certificates []string `toml:"certificates"`
}

type sendKeys struct {
	Maillog string `toml:"maillog"`
	TLSRPT  string `toml:"tlsrpt"`
}

// defaultKeys hold for every partner that does not say otherwise.
type defaultKeys struct {
	Mode          string   `toml:"mode"`
	NameMatch     string   `toml:"name_match"`
	Evidence      string   `toml:"evidence"`
	Trust         string   `toml:"trust"`
	Roots         []string `toml:"roots"`
	Usage         string   `toml:"usage"`
	MinTLS        string   `toml:"min_tls"`
	MinBits       int      `toml:"min_bits"`
	Revocation    string   `toml:"revocation"`
	OnFailure     string   `toml:"on_failure"`
	EscalateAfter string   `toml:"escalate_after"`
	FromAlignment string   `toml:"from_alignment"`
	SendVerify    string   `toml:"send_verify"`
	Contact       string   `toml:"contact"`
}

// partnerKeys are those of one partner: any of the defaults, and its own.
type partnerKeys struct {
	defaultKeys
	Pins            []string `toml:"pins"`
	Names           []string `toml:"names"`
	Subdomains      bool     `toml:"subdomains"`
	ClientAddresses []string `toml:"client_addresses"`
	ProbeHosts      []string `toml:"probe_hosts"`
	DANE            bool     `toml:"dane"`
	MTAIssuer       string   `toml:"mta_issuer"`
}

type connectorKeys struct {
	Name            string   `toml:"name"`
	ClientAddresses []string `toml:"client_addresses"`
	Ports           []int    `toml:"ports"`
	Listeners       []string `toml:"listeners"`
	Treat           string   `toml:"treat"`
	Partners        []string `toml:"partners"`
}

// defaults is what holds where the file says nothing.
func defaults() keys {
	return keys{
		StateDir: "/var/lib/domain-secured",
		Lists:    listKeys{Receive: "receive.list", Send: "send.list"},
		Milter:   doorKeys{Listen: "inet:127.0.0.1:18890"},
		Policy:   doorKeys{Listen: "inet:127.0.0.1:18891"},
		TLSMap:   tlsmapKeys{doorKeys: doorKeys{Listen: "inet:127.0.0.1:18892"}, PostfixVersion: "3.7", QueueDirectory: "/var/spool/postfix"},
		HTTP:     httpKeys{doorKeys: doorKeys{Listen: "inet:127.0.0.1:18893"}},
		Probe:    probeKeys{Port: 25},
		Revocation: revocationKeys{
			Order: []string{"crl", "ocsp"},
			Grace: "0s",
		},
		Defaults: defaultKeys{
			Mode:          "enforce",
			NameMatch:     "exchange",
			Evidence:      "certificate",
			Trust:         "chain",
			Roots:         []string{systemRoots},
			Usage:         "client-or-server",
			MinTLS:        "TLSv1.2",
			MinBits:       128,
			Revocation:    "require",
			OnFailure:     "tempfail",
			FromAlignment: "stamp",
		},
	}
}

// systemRoots in a list of roots stands for the system's.
const systemRoots = "system"

// defaultUnixMode and no group are what a door's unix socket has.
const defaultUnixMode = "0660"
