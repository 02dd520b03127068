package config

// notBuilt warns of what is set and checked, but does nothing in this version.
func (b *builder) notBuilt() {
	for _, door := range []struct {
		name, what string
		Door
	}{
		{"tlsmap", "the TLS policy door", b.out.TLSMap},
	} {
		if b.meta.IsDefined(door.name, "listen") && !door.Listen.IsZero() {
			b.warn("[%s] listen is set, but %s is not part of this version", door.name, door.what)
		}
	}
}
