package policy

// SendingTo returns the entry of the send list that covers a domain, as it may stand in
// an address, "" if none does, and the domain in the form in which domains are compared.
func (s *Snapshot) SendingTo(name string) (domain, entry string) {
	domain = parseSenderDomain(trimDomain(name)).domain
	if entry, listed := s.Send.Find(domain); listed {
		return domain, entry
	}
	if s.subdomains {
		for parent := parentOf(domain); parent != ""; parent = parentOf(parent) {
			if p := s.Partners[parent]; p != nil && p.Subdomains && s.Send.Contains(parent) {
				return domain, p.Domain
			}
		}
	}
	return domain, ""
}
