package milter

import (
	"log/slog"
	"net"
	"time"

	"domain-secured/internal/door"
	"domain-secured/policy"
)

const (
	// maxConnections bounds the clients at one time: each SMTP session of the MTA
	// is one.
	maxConnections = 20_000
	// firstTime bounds how long an MTA may take to negotiate. It connects when it
	// has somebody on the line.
	firstTime = 10 * time.Second
	// idleTime bounds the silence of an MTA. It is silent as long as its client
	// is; libmilter waits 7210 s, and an MTA whose milter is gone refuses the rest
	// of the session.
	idleTime = 7210 * time.Second
	// renewTime is how old an idle deadline may grow before it is set anew.
	renewTime = time.Minute
	// writeTime bounds the sending of replies.
	writeTime = 10 * time.Second
)

// Judge is what the milter asks.
type Judge interface {
	policy.Judge
	// Attend tells that an MTA has connected whose messages will be heard to their
	// end, and Leave that it has gone. An MTA connects before it asks a policy
	// service about a message, but says who its client is at DATA only.
	Attend()
	Leave()
	// Abandoned tells that a message which was let go on at DATA will have no end.
	Abandoned(*policy.Facts, *policy.Verdict)
}

// Server answers MTAs. It must be made by [NewServer].
//
// Shutdown lets messages in hand come to their end. A connection between two
// messages is closed at once: the MTA treats what follows on that session as it
// treats all mail while no milter listens.
type Server struct {
	*door.Server
	judge   Judge
	log     *slog.Logger
	removed removals
}

// NewServer returns a server that asks judge.
func NewServer(judge Judge, log *slog.Logger) *Server {
	s := &Server{judge: judge, log: log}
	s.Server = door.NewServer("milter", maxConnections, s.handle, log)
	return s
}

func (s *Server) handle(nc net.Conn) {
	c := &conn{server: s, net: nc}
	defer c.end()
	c.serve()
}
