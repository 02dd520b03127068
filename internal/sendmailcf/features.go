package sendmailcf

import (
	"maps"
	"slices"
	"strings"

	"domain-secured/internal/finding"
)

// featureTag begins the keys of the access map that say what a client is offered (cf/README, "srv_features").
const featureTag = "srv_features:"

// lookAtFeatures reads which clients are offered less, if the ruleset srv_features asks the access map.
func (s *Settings) lookAtFeatures() {
	if !s.asksFeatures {
		s.Access.file = ""
	}
	s.Access.read(func(key string) bool {
		return strings.HasPrefix(key, featureTag) && len(s.Access.entries) < maxFeatures
	})
}

// takesAway says what is lost by what srv_features answers: a letter is the beginning of a word, and turns something off
// if it is a capital one.
func takesAway(features string) string {
	var lost []string
	for _, word := range strings.Fields(features) {
		switch word[0] {
		case 'S':
			lost = append(lost, "are offered no STARTTLS, and every listed message of theirs is refused as tls-not-used")
		case 'V':
			lost = append(lost, "are not asked for their certificate, and every listed message of theirs is refused as certificate-missing")
		}
	}
	return strings.Join(lost, "; they ")
}

// features looks for clients that are given no chance to prove themselves.
func (c *checker) features() {
	for _, key := range slices.Sorted(maps.Keys(c.s.Access.entries)) {
		lost := takesAway(c.s.Access.entries[key])
		if lost == "" {
			continue
		}
		client := strings.TrimPrefix(key, featureTag)
		if client == "" {
			c.put(finding.Error, "srv_features", "", "by the entry Srv_Features: in %s clients %s", c.s.Access.file, lost)
		} else {
			c.put(finding.Warning, "srv_features", "", "by the entry Srv_Features:%s in %s clients of that name or address %s", client, c.s.Access.file, lost)
		}
	}
	if c.s.localFeatures != "" {
		c.put(finding.Warning, "srv_features", "", "by a rule of LOCAL_SRV_FEATURES (%s) some clients %s", c.s.localFeatures, takesAway(c.s.localFeatures))
	}
	if c.s.Access.Hidden != "" {
		c.put(finding.Warning, "srv_features", "", "whether the access map takes TLS from clients could not be seen: %s", c.s.Access.Hidden)
	}
}
