// Package tlsrpt hears what Postfix 3.10 and later, built with libtlsrpt, report of
// their TLS sessions with domains that publish a policy for it (RFC 8460), and counts it
// for listed domains.
package tlsrpt
