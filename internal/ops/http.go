package ops

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/netutil"
)

// Limits of the HTTP door: it is for some tools of this machine.
const (
	maxRequests  = 32       // connections at one time
	maxHeader    = 16 << 10 // octets of a request
	requestTime  = 5 * time.Second
	responseTime = 30 * time.Second
	idleTime     = time.Minute
)

// HTTP answers /healthz, /readyz and /status. It must be made by [NewHTTP].
type HTTP struct{ server *http.Server }

// NewHTTP returns one. ready is asked whether mail can be judged, status for what
// /status answers. Unless it is remote, it only answers to who asks for an address or
// for localhost: a page in a browser on this machine could have it asked by a name of
// its own.
func NewHTTP(ready func() bool, status func() *Status, remote bool, log *slog.Logger) *HTTP {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !ready() {
			say(w, http.StatusServiceUnavailable, "not ready")
			return
		}
		say(w, http.StatusOK, "ready")
	})
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		_ = encoder.Encode(status()) // who asked may be gone
	})
	return &HTTP{&http.Server{
		Handler:           guard(mux, remote),
		ReadHeaderTimeout: requestTime, ReadTimeout: requestTime, WriteTimeout: responseTime, IdleTimeout: idleTime,
		MaxHeaderBytes: maxHeader,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}
}

func guard(next http.Handler, remote bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !remote && !isAddress(r.Host) {
			say(w, http.StatusForbidden, "ask for an address or for localhost")
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

func isAddress(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || strings.EqualFold(host, "localhost")
}

func say(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text + "\n")) // who asked may be gone
}

// Serve serves l until [HTTP.Shutdown], which makes it return nil.
func (h *HTTP) Serve(l net.Listener) error {
	err := h.server.Serve(netutil.LimitListener(l, maxRequests))
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Shutdown ends it, when what was asked has been answered or ctx ends.
func (h *HTTP) Shutdown(ctx context.Context) error {
	err := h.server.Shutdown(ctx)
	if err != nil {
		h.server.Close()
	}
	return err
}
