package pki

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
)

var oidNameConstraints = asn1.ObjectIdentifier{2, 5, 29, 30}

// NameConstraints returns the extension (RFC 5280, section 4.2.1.10) that permits and excludes names of any
// kind, of which nobody has checked that they make sense.
func NameConstraints(critical bool, permitted, excluded []Name) (pkix.Extension, error) {
	type subtree struct{ Base asn1.RawValue }
	var constraints struct {
		Permitted []subtree `asn1:"optional,omitempty,tag:0"`
		Excluded  []subtree `asn1:"optional,omitempty,tag:1"`
	}
	for _, name := range permitted {
		constraints.Permitted = append(constraints.Permitted, subtree{name.raw()})
	}
	for _, name := range excluded {
		constraints.Excluded = append(constraints.Excluded, subtree{name.raw()})
	}
	value, err := asn1.Marshal(constraints)
	if err != nil {
		return pkix.Extension{}, fmt.Errorf("name constraints: %w", err)
	}
	return pkix.Extension{Id: oidNameConstraints, Critical: critical, Value: value}, nil
}
