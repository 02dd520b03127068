package fetch

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// DefaultLimit is how many octets a body may have unless the caller says otherwise.
	DefaultLimit = 128 << 20

	maxURL       = 4096
	maxHeader    = 64 << 10 // octets of a response's header, and of what LDAP says around a value
	maxRedirects = 3
	maxTime      = 10 * time.Minute // of a call whose context has no earlier deadline
	dialTime     = 30 * time.Second // of one connection, TLS included
)

// Options say how a client reaches the world. The zero value is direct, by the
// system's resolver, to the public internet alone.
type Options struct {
	// Proxy is "http://host:port" of a proxy for http and https, or "". LDAP never goes through it. The
	// environment's proxies are never used.
	Proxy string
	// NoProxy are what the proxy is not used for: "example.com" (and what is below it), ".example.com" (only
	// what is below it), an address, a network such as "192.0.2.0/24", "*". Addresses are compared with
	// those in URLs, never with what a name resolves to.
	NoProxy []string
	// AllowPrivate allows addresses that are not global unicast.
	AllowPrivate bool
	// LDAPServer is "host", "host:port", or either after "ldap://" or "ldaps://": who is asked when a URL
	// names nobody ("ldap:///CN=…"). Like the proxy it may have a private address.
	LDAPServer string
	// Resolver looks names up; nil is the system's.
	Resolver *net.Resolver
	// Roots are what https and ldaps servers must chain to; nil is the system's.
	Roots *x509.CertPool
}

// Validators are what a server said to recognise a body by (RFC 9110 section 8.8).
type Validators struct {
	ETag         string
	LastModified string
}

// Result is what came of a Get.
type Result struct {
	// NotModified says that the body that Validators belong to is still the current one. Nothing was written.
	NotModified bool
	// Validators are for the next Get; empty from LDAP.
	Validators Validators
	// Octets is how many were written.
	Octets int64
}

// A Client fetches. It is safe for concurrent use and holds nothing between calls.
type Client struct {
	http         *http.Client
	guarded      *net.Dialer // to where a certificate points
	plain        *net.Dialer // to where the operator points
	roots        *x509.CertPool
	allowPrivate bool
	ldapServer   *ldapServer
}

// New makes a client. Errors name the option that is wrong.
func New(o Options) (*Client, error) {
	c := &Client{roots: o.Roots, allowPrivate: o.AllowPrivate}
	c.plain = &net.Dialer{Timeout: dialTime, KeepAlive: -1, Resolver: o.Resolver}
	c.guarded = &net.Dialer{Timeout: dialTime, KeepAlive: -1, Resolver: o.Resolver}
	if !o.AllowPrivate {
		c.guarded.Control = onlyGlobal
	}
	var err error
	if c.ldapServer, err = parseLDAPServer(o.LDAPServer); err != nil {
		return nil, err
	}
	route, err := c.newRoute(o.Proxy, o.NoProxy)
	if err != nil {
		return nil, err
	}
	c.http = &http.Client{Transport: route, CheckRedirect: checkRedirect}
	return c, nil
}

// Get writes what rawURL (http, https, ldap, ldaps) points at to w: at most limit
// octets (0: [DefaultLimit]), after decoding. previous are the validators of what
// the caller has, if it has something. An error may come after octets were
// written; they are worth nothing then. Errors of w are wrapped as they are; for
// all others see [ErrRefused].
func (c *Client) Get(ctx context.Context, rawURL string, previous Validators, w io.Writer, limit int64) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	if limit <= 0 {
		limit = DefaultLimit
	}
	result, err := c.get(ctx, rawURL, previous, w, limit)
	if err != nil {
		return Result{}, fmt.Errorf("fetching %s: %w", clip(rawURL), describe(ctx, err))
	}
	return result, nil
}

func (c *Client) get(ctx context.Context, rawURL string, previous Validators, w io.Writer, limit int64) (Result, error) {
	u, err := parseURL(rawURL)
	if err != nil {
		return Result{}, err
	}
	switch u.Scheme {
	case "http", "https":
		return c.getHTTP(ctx, u, previous, w, limit)
	case "ldap", "ldaps":
		n, err := c.getLDAP(ctx, u, w, limit)
		return Result{Octets: n}, err
	}
	return Result{}, &trouble{ErrUnsupported, "its scheme is not http, https, ldap or ldaps"}
}

// Post sends body to an http or https URL and returns the answer's body, at most
// limit octets (0: [DefaultLimit]). Errors are as Get's.
func (c *Client) Post(ctx context.Context, rawURL, contentType string, body []byte, limit int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	if limit <= 0 {
		limit = DefaultLimit
	}
	var answer bytes.Buffer
	if err := c.post(ctx, rawURL, contentType, body, &answer, limit); err != nil {
		return nil, fmt.Errorf("asking %s: %w", clip(rawURL), describe(ctx, err))
	}
	return answer.Bytes(), nil
}

// parseURL parses what Get and Post are given, without judging where it leads.
func parseURL(rawURL string) (*url.URL, error) {
	if len(rawURL) > maxURL {
		return nil, &trouble{ErrUnsupported, fmt.Sprintf("the URL is longer than %d octets", maxURL)}
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, &trouble{ErrUnsupported, "that is not a URL"}
	}
	return u, nil
}

// clip returns a URL as errors show it.
func clip(rawURL string) string {
	const longest = 200
	if len(rawURL) > longest {
		rawURL = strings.ToValidUTF8(rawURL[:longest], "") + "…"
	}
	return fmt.Sprintf("%q", rawURL)
}
