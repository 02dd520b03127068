package config

import (
	"slices"
	"strings"
	"testing"

	"domain-secured/policy"
)

// TestSendWarnings: what would have mail wait, or leave without what one may expect, is
// said of domains that mail is sent to, and of no others.
func TestSendWarnings(t *testing.T) {
	pin := "pins = [\"" + strings.Repeat("01", 32) + "\"]\n"
	for _, c := range []struct{ name, defaults, partner, want string }{
		{"vetted", "", "", ""},
		{"names, and revocation wanted", "", `send_verify = "names"`, "[partner.\"woodgrovebank.com\"] mail is sent by names: whether"},
		{"names", "", `revocation = "off"`, ""},
		{"roots of its own, by names", "", "revocation = \"off\"\nroots = [\"own.pem\"]", "[partner.\"woodgrovebank.com\"] has roots of its own"},
		{"roots of its own, vetted", "", "roots = [\"own.pem\"]", ""},
		{"a place for them", "[tlsmap]\ntafile_dir = \"/x\"\n", "revocation = \"off\"\nroots = [\"own.pem\"]", ""},
		{"testing", "", `mode = "testing"`, "[partner.\"woodgrovebank.com\"] mode = \"testing\": mail leaves"},
		{"off", "", "mode = \"off\"\nsend_verify = \"names\"", ""},
		{"bits", "", `min_bits = 256`, "[partner.\"woodgrovebank.com\"] min_bits = 256"},
		{"pins", "", "trust = \"pins\"\n" + pin, ""},
		{"pins by default", "[defaults]\nsend_verify = \"pins\"\n", pin, "[defaults] mail to listed domains without pins"},
	} {
		roots := func(names []string) (*policy.Roots, string, error) {
			r := &policy.Roots{}
			if !slices.Equal(names, []string{"system"}) {
				r.PEM = []byte("x")
			}
			return r, "", nil
		}
		file := writeFiles(t, map[string]string{
			"receive.list": "woodgrovebank.com\nadatum.com\n", "send.list": "woodgrovebank.com\nfabrikam.com\n",
			"c.toml": c.defaults + "[partner.\"woodgrovebank.com\"]\n" + c.partner + "\n[partner.\"adatum.com\"]\nsend_verify = \"names\"\n",
		}, "c.toml")
		cfg, err := Load(file, roots)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if c.want == "" && len(cfg.Warnings) > 0 || c.want != "" && (len(cfg.Warnings) != 1 || !strings.HasPrefix(cfg.Warnings[0], c.want)) {
			t.Errorf("%s: %q", c.name, cfg.Warnings)
		}
	}
}
