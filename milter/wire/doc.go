// Package wire is the milter protocol as octets: packets taken apart and put
// together, no connection, no state, no rule.
//
// The protocol has no standard. What is written here follows Sendmail's
// include/libmilter/mfdef.h and libmilter/docs/api.html, and Postfix's
// src/milter/milter8.c as seen on the wire; versions 2 to 6 are spoken.
package wire
