package config

// notBuilt warns of what is set and checked, but does nothing in this version.
func (b *builder) notBuilt() {
	for _, door := range []struct {
		name, what string
		Door
	}{
		{"http", "the status page", b.out.HTTP},
	} {
		if b.meta.IsDefined(door.name, "listen") && !door.Listen.IsZero() {
			b.warn("[%s] listen is set, but %s is not part of this version", door.name, door.what)
		}
	}
	for _, table := range []struct{ name, what string }{
		{"send", "following outgoing mail"},
	} {
		if b.meta.IsDefined(table.name) {
			b.warn("[%s] is set, but %s is not part of this version", table.name, table.what)
		}
	}
}
