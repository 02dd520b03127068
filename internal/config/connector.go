package config

import "domain-secured/policy"

// connector makes the connector at index i, and notes what would leave a hole.
func (b *builder) connector(i int) policy.Connector {
	k := b.keys.Connector[i]
	if k.Treat == "" {
		k.Treat = string(policy.TreatEnforce)
	}
	path := func(key string) []any { return []any{"connector", i, key} }
	c := policy.Connector{
		Name:            k.Name,
		ClientAddresses: b.prefixes(path("client_addresses"), k.ClientAddresses),
		Treat:           oneOf(&b.checker, path("treat"), k.Treat, policy.TreatEnforce, policy.TreatOff, policy.TreatExternal, policy.TreatInternal),
	}
	for _, port := range k.Ports {
		if port < 0 || port > 65535 { // 0 is that of mail that comes by sendmail(1)
			b.bad(path("ports"), "connector.ports: %d is not a port", port)
			continue
		}
		c.Ports = append(c.Ports, uint16(port))
	}
	if len(k.Listeners) > 0 {
		c.Listeners = k.Listeners
	}
	for _, name := range k.Partners {
		domain, err := policy.ParseDomain(name)
		if err != nil {
			b.bad(path("partners"), "connector.partners: %v", err)
			continue
		}
		c.Partners = append(c.Partners, domain)
	}
	// By what was written: what of it is wrong was said.
	addresses, ports := len(k.ClientAddresses) > 0, len(k.Ports) > 0
	narrow := addresses || ports || len(k.Listeners) > 0
	treat := []any{"connector", i, "treat"}
	switch {
	case c.Treat != policy.TreatEnforce && !narrow:
		b.bad(treat, "connector %q is %q for every client: set client_addresses, ports or listeners", c.Name, c.Treat)
	case c.Treat == policy.TreatInternal && (!addresses || !ports):
		b.bad(treat, "connector %q is \"internal\" and needs both client_addresses and ports: anyone it matches can forge stamps", c.Name)
	case c.Treat == policy.TreatExternal && len(k.Partners) == 0:
		b.bad(treat, "connector %q is \"external\" without partners: name the domains that it secures", c.Name)
	}
	if len(k.Partners) > 0 && c.Treat != policy.TreatExternal {
		b.bad(path("partners"), "connector %q has partners, which only \"external\" looks at", c.Name)
	}
	return c
}
