// Package sendmailcf reads Sendmail's configuration file and finds what would let listed mail through unjudged, refuse
// it all, or silently turn TLS off. Sendmail itself says nothing of most of it, or in its log alone.
//
// Read reads the file and looks at those that it names, and changes nothing; Check is pure. What Check claims about
// Sendmail is tried on a real one in the tests of this package.
package sendmailcf

import "strings"

// Settings are what a sendmail.cf says, as far as it matters here.
type Settings struct {
	File    string
	Options map[string]string // by name in lower case; of two the last
	Filters []Filter          // X lines
	Daemons []Daemon          // DaemonPortOptions
	SendMap string            // where the socket map is that tls_rcpt asks about outgoing mail; "" for none

	// What TLS needs, and why Sendmail would not use it; by the name of the option.
	TLS map[string][]TLSFile
	// KeyPair says why the first key is not that of the first certificate, "" if it is or if they cannot be read.
	KeyPair string
	CRL     CRLFile

	Access    Map    // of it, what clients are offered
	Mailers   Map    // the mailertable
	SmartHost string // what SMART_HOST says

	sendMap         string            // that of the K line
	callsHook, asks bool              // tls_rcpt comes to the ruleset, and the ruleset to the map
	asksFeatures    bool              // srv_features asks the access map
	localFeatures   string            // what a rule of the site's own answers to srv_features, if that takes something away
	programs        map[string]string // that mailers hand messages to
	ruleset         string            // that of the rule at hand
}

// Filter is a milter that Sendmail knows. That alone does not mean that it is asked.
type Filter struct {
	Name    string
	Socket  string            // S=: "local:/path", "inet:port@host"
	Failure string            // F=: "T", "R", "4", "" for going on without it
	Times   map[string]string // T=: "S" is "10s"
}

// Daemon is a listener.
type Daemon struct {
	Name      string
	Modifiers string
	Filters   []string // in place of InputMailFilters
	own       bool     // Filters were set
}

// TLSFile is a file that TLS needs.
type TLSFile struct {
	Path    string
	Problem string // why Sendmail does not use it; "" if nothing is wrong
	Hidden  bool   // it could not be looked at
}

// CRLFile is the list of revoked certificates.
type CRLFile struct {
	Problem string // why Sendmail goes on without it
	Lists   int    // in it; the first alone counts
}

// option returns an option's value, "" if it is not set.
func (s *Settings) option(name string) string { return s.Options[strings.ToLower(name)] }

// forgives reports whether DontBlameSendmail has a word.
func (s *Settings) forgives(word string) bool {
	for _, w := range strings.FieldsFunc(s.option("DontBlameSendmail"), isSeparator) {
		if strings.EqualFold(w, word) {
			return true
		}
	}
	return false
}

func isSeparator(r rune) bool { return r == ',' || r == ' ' || r == '\t' }
