package fetch

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"
)

const userAgent = "domain-secured"

// getHTTP is Get for http and https.
func (c *Client) getHTTP(ctx context.Context, u *url.URL, previous Validators, w io.Writer, limit int64) (Result, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return Result{}, err
	}
	// RFC 9110 sections 13.1.2 and 13.1.3. A server that gave both is asked with both.
	if previous.ETag != "" {
		request.Header.Set("If-None-Match", previous.ETag)
	}
	if previous.LastModified != "" {
		request.Header.Set("If-Modified-Since", previous.LastModified)
	}
	response, err := c.do(request)
	if err != nil {
		return Result{}, err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusNotModified && previous != (Validators{}) {
		return Result{NotModified: true, Validators: previous}, nil
	}
	n, err := copyBody(w, response, limit)
	return Result{Octets: n, Validators: validators(response.Header)}, err
}

func (c *Client) post(ctx context.Context, rawURL, contentType string, body []byte, w io.Writer, limit int64) error {
	u, err := parseURL(rawURL)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", contentType)
	response, err := c.do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = copyBody(w, response, limit)
	return err
}

func (c *Client) do(request *http.Request) (*http.Response, error) {
	request.Header.Set("User-Agent", userAgent)
	request.Header.Set("Accept-Encoding", "gzip")
	return c.http.Do(request)
}

// copyBody decodes a response's body to w, if it is one of success.
func copyBody(w io.Writer, response *http.Response, limit int64) (int64, error) {
	if response.StatusCode != http.StatusOK {
		return 0, &trouble{nil, status(response.StatusCode)}
	}
	// The encoded body has the limit, too: gzip may take any number of octets to say nothing.
	var body io.Reader = &capped{response.Body, limit, limit}
	switch coding := strings.ToLower(response.Header.Get("Content-Encoding")); coding {
	case "", "identity":
		if response.ContentLength > limit {
			return 0, tooLarge(limit)
		}
	case "gzip", "x-gzip": // RFC 9110 section 8.4.1.3
		unzipped, err := gzip.NewReader(body)
		if err != nil {
			return 0, err
		}
		body = &capped{unzipped, limit, limit}
	default:
		return 0, &trouble{nil, "it came in an encoding that was not asked for"}
	}
	return io.Copy(storer{w}, body)
}

func status(code int) string {
	return strings.TrimSpace(fmt.Sprintf("HTTP status %d %s", code, http.StatusText(code)))
}

// validators takes from a response what can be sent back.
func validators(header http.Header) Validators {
	const longest = 256
	v := Validators{ETag: header.Get("ETag"), LastModified: header.Get("Last-Modified")}
	if len(v.ETag) > longest || strings.ContainsFunc(v.ETag, func(r rune) bool { return r < ' ' || r > '~' }) {
		v.ETag = ""
	}
	if _, err := http.ParseTime(v.LastModified); err != nil || len(v.LastModified) > longest {
		v.LastModified = ""
	}
	return v
}

// checkRedirect is called before each redirect; the route judges where it leads.
func checkRedirect(request *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return &trouble{ErrRedirect, fmt.Sprintf("there are more than %d", maxRedirects)}
	}
	if request.Method != via[0].Method {
		return &trouble{ErrRedirect, "it would turn a POST into a GET"}
	}
	if request.URL.Scheme != "http" && request.URL.Scheme != "https" {
		return &trouble{ErrRedirect, "it leads to neither http nor https"}
	}
	request.Header.Del("Referer")
	return nil
}

// route takes each request, redirected ones among them, to where it may go.
type route struct {
	direct, proxied *http.Transport
	proxy           func(*url.URL) (*url.URL, error)
	allowPrivate    bool
}

func (r *route) RoundTrip(request *http.Request) (*http.Response, error) {
	transport, err := r.choose(request.URL)
	if err != nil {
		if request.Body != nil {
			request.Body.Close()
		}
		return nil, err
	}
	return transport.RoundTrip(request)
}

func (r *route) choose(u *url.URL) (*http.Transport, error) {
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil, &trouble{ErrUnsupported, "its scheme is neither http nor https"}
	}
	if u.User != nil {
		return nil, &trouble{ErrUnsupported, "it has a user name in it"}
	}
	if u.Hostname() == "" {
		return nil, &trouble{ErrUnsupported, "it names no host"}
	}
	if !r.allowPrivate {
		if err := checkHost(u.Hostname()); err != nil {
			return nil, err
		}
	}
	if proxy, err := r.proxy(u); err != nil {
		return nil, err
	} else if proxy != nil {
		return r.proxied, nil
	}
	return r.direct, nil
}

func (c *Client) newRoute(proxy string, exceptions []string) (*route, error) {
	r := &route{direct: c.newTransport(), allowPrivate: c.allowPrivate}
	r.direct.DialContext = c.guarded.DialContext
	for _, exception := range exceptions {
		_, err := netip.ParsePrefix(exception)
		if exception == "" || strings.ContainsAny(exception, ", \t") || err != nil && strings.Contains(exception, "/") {
			return nil, fmt.Errorf("no_proxy: %q is not one host, network or address", exception)
		}
	}
	config := &httpproxy.Config{NoProxy: strings.Join(exceptions, ",")}
	if proxy != "" {
		u, err := url.Parse(proxy)
		if err != nil || u.Scheme != "http" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/")+u.RawQuery+u.Fragment != "" {
			return nil, fmt.Errorf("proxy: %s is not http://host:port", clip(proxy))
		}
		config.HTTPProxy, config.HTTPSProxy = proxy, proxy
		r.proxied = c.newTransport()
		r.proxied.DialContext = c.plain.DialContext
		r.proxied.Proxy = http.ProxyURL(u)
		r.proxied.OnProxyConnectResponse = func(_ context.Context, _ *url.URL, _ *http.Request, response *http.Response) error {
			if response.StatusCode != http.StatusOK {
				return &trouble{nil, "the proxy says: " + status(response.StatusCode)}
			}
			return nil
		}
	}
	r.proxy = config.ProxyFunc()
	return r, nil
}

func (c *Client) newTransport() *http.Transport {
	var only http.Protocols
	only.SetHTTP1(true)
	return &http.Transport{
		Protocols:              &only,
		TLSClientConfig:        &tls.Config{RootCAs: c.roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    dialTime,
		ExpectContinueTimeout:  time.Second,
		DisableKeepAlives:      true,
		DisableCompression:     true, // copyBody decodes, within the limit
		MaxResponseHeaderBytes: maxHeader,
	}
}
