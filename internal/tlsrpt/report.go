package tlsrpt

import (
	"encoding/json"
	"errors"
	"fmt"
)

// report is one datagram: what became of the sessions of one delivery.
type report struct {
	domain   string
	policies []policy
}

type policy struct {
	failed   bool // in the end
	failures []failure
}

type failure struct {
	kind   ResultType
	host   string // MX host
	reason string
}

// ResultType is one of RFC 8460 section 4.3.
type ResultType string

// resultTypes are those that libtlsrpt has a number for (tlsrpt.h).
var resultTypes = map[int]ResultType{
	201: "starttls-not-supported",
	202: "certificate-host-mismatch",
	203: "certificate-not-trusted",
	204: "certificate-expired",
	205: "validation-failure",
	301: "sts-policy-fetch-error",
	302: "sts-policy-invalid",
	303: "sts-webpki-invalid",
	304: "tlsa-invalid",
	305: "dnssec-invalid",
	306: "dane-required",
}

// otherFailure is a number that there was none of yet.
const otherFailure ResultType = "other"

// maxFailures bounds the failures of one report that count.
const maxFailures = 100

// parse reads a datagram of libtlsrpt (libtlsrpt.c): JSON with short keys. "dpv" is the
// version of the form, which the first releases did not send.
func parse(datagram []byte) (report, error) {
	var wire struct {
		Version  string `json:"dpv"`
		Domain   string `json:"d"`
		Policies []struct {
			Final    *int `json:"f"`
			Failures []struct {
				Code   int    `json:"c"`
				Host   string `json:"n"`
				Reason string `json:"f"`
			} `json:"failure-details"`
		} `json:"policies"`
	}
	if err := json.Unmarshal(datagram, &wire); err != nil {
		return report{}, fmt.Errorf("a TLSRPT datagram: %w", err)
	}
	switch {
	case wire.Version != "" && wire.Version != "1":
		return report{}, fmt.Errorf("a TLSRPT datagram of version %q, only 1 is known", wire.Version)
	case wire.Domain == "":
		return report{}, errors.New("a TLSRPT datagram without a domain")
	case len(wire.Policies) == 0:
		return report{}, errors.New("a TLSRPT datagram without policies")
	}
	r := report{domain: wire.Domain}
	count := 0
	for _, p := range wire.Policies {
		// tlsrpt_final_result_t: 0 success, 1 failure.
		if p.Final == nil || *p.Final != 0 && *p.Final != 1 {
			return report{}, errors.New("a TLSRPT datagram without a final result")
		}
		out := policy{failed: *p.Final == 1}
		for _, f := range p.Failures {
			if count++; count > maxFailures {
				break
			}
			kind, known := resultTypes[f.Code]
			if !known {
				kind = otherFailure
			}
			out.failures = append(out.failures, failure{kind, f.Host, f.Reason})
		}
		r.policies = append(r.policies, out)
	}
	return r, nil
}
