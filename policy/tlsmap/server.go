package tlsmap

import (
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
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
	// usual holds a usual request, and a usual answer.
	usual = 1 << 10
)

// protocol is that of socketmap_table(5): a netstring with its length and marks is never
// longer than this.
var protocol = door.Protocol{
	Name: "socketmap", Usual: usual, Longest: len("100000:,") + maxNetstring, First: firstTime, Idle: idleTime,
}

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

func (s *Server) handle(c net.Conn) { s.Converse(c, &protocol, s.answer) }

// answer answers "send KEY" and "sendmail KEY", one at a time: each answer is sent before
// the next is thought about, which may take a while.
func (s *Server) answer(out, in []byte) ([]byte, int, error) {
	request, rest, err := cutNetstring(in)
	if err == errUnfinished {
		return out, 0, nil
	}
	if err != nil {
		return out, 0, err
	}
	name, key, _ := strings.Cut(string(request), " ")
	domain, version, fingerprint := key, "", ""
	if name == sendmailName {
		domain, version, fingerprint = sendmailKey(key)
	}
	text := make([]byte, 0, usual)
	switch d, ok := parseKey(domain); {
	case name != mapName && name != sendmailName:
		// Whoever asks for another map is configured wrongly, and must hear of it.
		text = append(text, never+`domain-secured: there are two maps, "send" and "sendmail"`...)
	case ok && name == sendmailName:
		text = appendAccess(text, s.insister.Insist(d), version, fingerprint)
	case !ok:
		text = append(text, notFound...)
	default:
		text = appendAnswer(text, s.insister.Insist(d), *s.version.Load())
	}
	if len(text) > maxNetstring {
		s.Complain("an answer is longer than a socket map allows, mail waits", fmt.Errorf("%d octets about %.300q", len(text), key))
		text = appendWait(text[:0], &policy.Demand{Wait: string(policy.InternalError), Detail: "the answer is too long: fewer names or pins"})
	}
	out = strconv.AppendInt(out, int64(len(text)), 10)
	out = append(append(append(out, ':'), text...), ',')
	return out, len(in) - len(rest), nil
}
