package tlsmap

import (
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"domain-secured/internal/door"
	"domain-secured/policy"
)

const (
	// maxConnections bounds the clients at one time: each smtp(8) process has a
	// connection of its own.
	maxConnections = 5_000
	// firstTime bounds how long a connection may be silent before its first request. A
	// mail server connects when it has something to ask.
	firstTime = time.Minute
	// idleTime bounds the silence between requests. Postfix closes by itself after 10 s,
	// 100 s in all (socketmap_table(5)), and proxymap(8) when it ends; closing first
	// would cost it a try.
	idleTime = time.Hour
)

// Server answers look-ups. It must be made by [NewServer].
type Server struct {
	*door.Server
	insister policy.Insister
	log      *slog.Logger
	version  atomic.Pointer[Version]
}

// NewServer returns a server that asks insister, for a Postfix of version v.
func NewServer(insister policy.Insister, v Version, log *slog.Logger) *Server {
	s := &Server{insister: insister, log: log}
	s.Use(v)
	s.Server = door.NewServer("TLS policy door", maxConnections, s.handle, log)
	return s
}

// Use answers as a Postfix of version v knows it from now on.
func (s *Server) Use(v Version) { s.version.Store(&v) }

func (s *Server) handle(c net.Conn) { (&conn{server: s, net: c}).serve() }
