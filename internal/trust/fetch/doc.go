// Package fetch gets what the URLs in certificates point at: CRLs by HTTP and
// LDAP, OCSP answers by HTTP.
//
// Such a URL comes from nobody in particular and what is behind it may be hostile.
// So everything is bounded, only addresses of the public internet are connected
// to, nothing is sent that says more than is wanted, and no error repeats what a
// server said. What is fetched proves nothing: the caller checks its signature.
package fetch
