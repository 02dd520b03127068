package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"text/tabwriter"
	"time"

	"domain-secured/internal/config"
	"domain-secured/internal/gate"
	"domain-secured/internal/partner"
	"domain-secured/internal/trust"
)

// certPending lists the certificates that came with mail of listed domains, and
// that neither an operator nor a look at the partner has made known.
func certPending(c *call, asJSON bool) error {
	cfg, err := config.Read(c.config, gate.ReadRoots)
	if err != nil {
		return err
	}
	all, err := partner.ReadPending(pendingFile(cfg))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return inputError(err)
	}
	store := trust.NewStore(storeDir(cfg))
	all = slices.DeleteFunc(all, func(u partner.Unknown) bool { return store.Has(trust.Fingerprint(u.Certificate)) })
	if asJSON {
		return c.printJSON(append([]partner.Unknown{}, all...))
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	for _, u := range all {
		fmt.Fprintf(w, "sha256:%s\t%s\tfrom %s\tfirst %s\tlast %s\t%d times\n", u.Certificate, harmless(u.Domain), u.Client,
			u.FirstSeen.Format(time.RFC3339), u.LastSeen.Format(time.RFC3339), u.Count)
	}
	return w.Flush()
}
