package milter

import (
	"context"
	"log/slog"
	"net"
	"sync"
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
	idleTime = 7210*time.Second + renewTime
	// renewTime is how old an idle deadline may grow before it is set anew.
	renewTime = time.Minute
	// quietTime is how long a connection without a message is kept while the server
	// is closing: the answer of a policy service, and a bit.
	quietTime = 5 * time.Second
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
// Shutdown lets messages in hand come to their end, and then closes their
// connections. The MTA treats what follows on such a session as it treats all
// mail while no milter listens.
type Server struct {
	*door.Server
	judge   Judge
	log     *slog.Logger
	removed removals
	judging judging
	ended   sync.Once
}

// NewServer returns a server that asks judge.
func NewServer(judge Judge, log *slog.Logger) *Server {
	s := &Server{judge: judge, log: log, judging: newJudging()}
	s.Server = door.NewServer("milter", maxConnections, s.handle, log)
	return s
}

// Shutdown ends the server; see [door.Server.Shutdown].
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.Server.Shutdown(ctx)
	s.ended.Do(s.judging.close)
	s.removed.flush(s.log)
	return err
}

func (s *Server) handle(nc net.Conn) {
	c := s.newConn(nc)
	defer c.end()
	c.serve()
}

func (s *Server) newConn(nc net.Conn) *conn {
	c := &conn{server: s, net: nc}
	c.question = question{conn: c, answered: make(chan struct{}, 1)}
	return c
}
