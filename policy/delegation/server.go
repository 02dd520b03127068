package delegation

import (
	"log/slog"
	"net"
	"time"

	"domain-secured/internal/door"
	"domain-secured/policy"
)

const (
	// maxConnections bounds the clients at one time: each smtpd(8) process has
	// one connection for each check_policy_service it is told of.
	maxConnections = 5_000
	// firstTime bounds how long a connection may be silent before its first
	// request. Postfix connects when it has something to ask.
	firstTime = time.Minute
	// idleTime bounds the silence between requests. Postfix closes by itself after
	// 300 s, 1000 s in all (postconf(5) smtpd_policy_service_max_idle,
	// smtpd_policy_service_max_ttl); closing first would cost it a retry.
	idleTime = time.Hour
	// usual holds a usual request.
	usual = 4 << 10
	// maxRequest bounds one request in octets: about thirty attributes, of which a
	// few can be as long as a line of SMTP (postconf(5) line_length_limit, 2048).
	maxRequest = 64 << 10
)

var protocol = door.Protocol{Name: "policy", Usual: usual, Longest: maxRequest, First: firstTime, Idle: idleTime}

// Server answers policy requests. It must be made by [NewServer].
type Server struct {
	*door.Server
	judge policy.Judge
	log   *slog.Logger
}

// NewServer returns a server that asks judge.
func NewServer(judge policy.Judge, log *slog.Logger) *Server {
	s := &Server{judge: judge, log: log}
	s.Server = door.NewServer("policy door", maxConnections, s.handle, log)
	return s
}

func (s *Server) handle(c net.Conn) { s.Converse(c, &protocol, (&conn{judge: s.judge}).answer) }
