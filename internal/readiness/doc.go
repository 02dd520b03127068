// Package readiness says whether a partner is ready for mutual TLS: it has what a
// look at the partner showed judged as mail would be, and puts what is wrong into
// sentences that can be sent to the partner.
package readiness
