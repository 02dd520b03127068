package cases

import (
	"bytes"
	"fmt"
	"slices"

	"domain-secured/internal/testkit/mta"
)

const stampName = "Domain-Secured"

func isStamp(f mta.Field) bool { return f.Is(stampName) }

// Stamps returns the Domain-Secured fields of what arrived.
func (r Result) Stamps() []mta.Field {
	if r.Arrived == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(r.Arrived.Fields), func(f mta.Field) bool { return !isStamp(f) })
}

// Removed returns how many of the forged stamps that were sent have not arrived.
func (r Result) Removed(c Case) int {
	kept := r.Stamps()
	if r.stamp != "" && len(kept) > 0 && kept[0] == r.wanted() {
		kept = kept[1:]
	}
	return len(c.Forged) - len(kept)
}

// wanted is the stamp that the message must have. Nearly all headers have a blank after the colon.
func (r Result) wanted() mta.Field { return mta.Field{Name: stampName, Value: " " + r.stamp} }

// checkHeader says what is wrong with the stamp of what arrived, and with the rest of it, which must be as it
// was sent.
func (r Result) checkHeader() error {
	fields, stamps := r.Arrived.Fields, r.Stamps()
	if r.stamp == "" && len(stamps) > 0 {
		return fmt.Errorf("a message that is to have no stamp has %q", stamps)
	}
	if r.stamp != "" && (len(stamps) != 1 || stamps[0] != r.wanted()) {
		return fmt.Errorf("its stamps are %q, not just %q", stamps, r.wanted())
	}
	fields = fields[min(mta.EnvelopeFields, len(fields)):]
	if r.stamp != "" {
		if !isStamp(fields[0]) {
			return fmt.Errorf("its stamp stands below %q", fields[0])
		}
		fields = fields[1:]
	}
	if len(fields) == 0 || !fields[0].Is("Received") {
		return fmt.Errorf("the mail server's Received is missing: %q", fields)
	}
	sent, body := mta.ParseFields(string(r.sent))
	sent = slices.DeleteFunc(sent, isStamp)
	if !slices.Equal(fields[1:], sent) {
		return fmt.Errorf("its other fields are %q, not %q", fields[1:], sent)
	}
	if !bytes.Equal(r.Arrived.Body, []byte(body)) {
		return fmt.Errorf("its body is %q, not %q", r.Arrived.Body, body)
	}
	return nil
}
