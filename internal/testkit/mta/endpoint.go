package mta

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"
)

// An endpoint is where a service of the fake server listens; the zero value is none.
type endpoint struct{ network, address string }

// parseEndpoint reads "inet:host:port" and "unix:/path", and "" as none.
func parseEndpoint(text string) (endpoint, error) {
	if text == "" {
		return endpoint{}, nil
	}
	kind, address, ok := strings.Cut(text, ":")
	network := map[string]string{"inet": "tcp", "unix": "unix"}[kind]
	if !ok || network == "" || address == "" {
		return endpoint{}, fmt.Errorf("%q is neither inet:host:port nor unix:/path", text)
	}
	return endpoint{network, address}, nil
}

func (e endpoint) isZero() bool { return e == endpoint{} }

func (e endpoint) dial(ctx context.Context, timeout time.Duration) (net.Conn, error) {
	dialer := net.Dialer{Timeout: timeout}
	return dialer.DialContext(ctx, e.network, e.address)
}
