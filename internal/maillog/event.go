package maillog

import (
	"strconv"
	"strings"
)

// event is what a line says, as far as it matters here. Of its parts those are set that
// its kind has.
type event struct {
	kind    kind
	queueID string
	peer    string // HOST[ADDRESS]:PORT
	// verified: the session was authenticated, in a handshake or by tls=.
	verified bool
	why      string // that it was not verified, or what a session ended with
	cause    Cause  // of that end
	delivery delivery
	swept    int // messages
}

type kind int

const (
	other     kind = iota // nothing that matters
	handshake             // a TLS session began, or is used again
	unproven              // a certificate was not verified
	failed                // a session with one of several hosts failed
	delivered             // what became of one recipient
	gone                  // a message has left the queue
	swept                 // so many messages have, the ones named before among them
	garbled               // a delivery that cannot be read
)

// delivery is what Postfix logs of one recipient.
type delivery struct {
	recipient string
	relay     string // "none" if there was no connection
	tls       string // smtp_log_tls_feature_status, from Postfix 3.11 on
	dsn       string
	status    string // sent, deferred, bounced, ...
	text      string // what stands in parentheses behind it
}

// parseEvent reads what a program of Postfix says. The forms are those of smtp(8)
// and qmgr(8) from 3.4 on; the texts of remote servers and the addresses in them may
// hold anything.
func parseEvent(program, text string) event {
	id, rest, hasID := cutQueueID(text)
	switch program {
	case "qmgr":
		if hasID && rest == "removed" {
			return event{kind: gone, queueID: id}
		}
		return event{}
	case "postsuper":
		// postsuper(1) -d, and -r, which gives it another queue id. Of "ALL" it logs the
		// number alone: "Deleted: 9 messages".
		if hasID && (rest == "removed" || rest == "requeued") {
			return event{kind: gone, queueID: id}
		}
		if did, number, ok := strings.Cut(text, ": "); ok && (did == "Deleted" || did == "Requeued") {
			number, _, _ = strings.Cut(number, " ")
			n, _ := strconv.Atoi(number)
			return event{kind: swept, swept: n}
		}
		return event{}
	}
	if hasID && strings.HasPrefix(rest, "to=<") {
		d, ok := parseDelivery(rest)
		if !ok {
			return event{kind: garbled}
		}
		return event{kind: delivered, queueID: id, delivery: d}
	}
	if program != "smtp" && program != "lmtp" {
		return event{}
	}
	if level, peer, ok := cutHandshake(text); ok {
		// TLS_README, "Client-side": Verified is said of a peer that is trusted and has
		// one of the names or fingerprints wanted.
		return event{kind: handshake, peer: peer, verified: level == "Verified"}
	}
	if !hasID {
		rest = text
	}
	// Only at its start: further on it would be what a remote server says.
	if about, found := strings.CutPrefix(strings.TrimPrefix(rest, "server "), "certificate verification failed for "); found {
		if peer, why, ok := strings.Cut(about, ": "); ok {
			return event{kind: unproven, peer: peer, why: why}
		}
		return event{}
	}
	if hasID && causeOf(rest, "") != "" {
		return event{kind: failed, queueID: id, why: rest}
	}
	return event{}
}

// cutQueueID splits "8569198E275: text". A queue id is hexadecimal, or, with
// enable_long_queue_ids, of digits and letters without vowels (postconf(5)): words such
// as "warning" are none.
func cutQueueID(s string) (id, rest string, ok bool) {
	id, rest, ok = strings.Cut(s, ": ")
	if !ok || len(id) < 5 || len(id) > 32 {
		return "", s, false
	}
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z' || strings.IndexByte("aeiou", c) >= 0) {
			return "", s, false
		}
	}
	return id, rest, true
}

// cutHandshake reads "Verified TLS connection established to PEER: ...".
func cutHandshake(s string) (level, peer string, ok bool) {
	level, rest, ok := strings.Cut(s, " TLS connection ")
	switch {
	case !ok:
		return "", "", false
	case level != "Verified" && level != "Trusted" && level != "Untrusted" && level != "Anonymous":
		return "", "", false
	}
	rest, found := strings.CutPrefix(rest, "established to ")
	if !found {
		// A session that tlsproxy(8) keeps for several messages.
		if rest, found = strings.CutPrefix(rest, "reused to "); !found {
			return "", "", false
		}
	}
	peer, _, ok = strings.Cut(rest, ": ")
	return level, peer, ok
}

// parseDelivery reads "to=<a@b>, relay=..., dsn=..., status=sent (text)".
func parseDelivery(s string) (d delivery, ok bool) {
	s = strings.TrimPrefix(s, "to=<")
	if d.recipient, s, ok = cutAddress(s); !ok {
		return delivery{}, false
	}
	for {
		if s, ok = strings.CutPrefix(s, ", "); !ok {
			return delivery{}, false
		}
		var name, value string
		if name, s, ok = strings.Cut(s, "="); !ok {
			return delivery{}, false
		}
		switch name {
		case "status":
			d.status, s, _ = strings.Cut(s, " ")
			d.text = strings.TrimSuffix(strings.TrimPrefix(s, "("), ")")
			return d, d.status != ""
		case "orig_to":
			if s, ok = strings.CutPrefix(s, "<"); !ok {
				return delivery{}, false
			}
			if _, s, ok = cutAddress(s); !ok {
				return delivery{}, false
			}
			continue
		}
		end := strings.Index(s, ", ")
		if end < 0 {
			return delivery{}, false
		}
		value, s = s[:end], s[end:]
		switch name {
		case "relay":
			d.relay = value
		case "tls":
			d.tls = value
		case "dsn":
			d.dsn = value
		}
	}
}

// cutAddress splits behind an address and the > that ends it, which may stand in a
// quoted local part, too (postconf(5) info_log_addr_form).
func cutAddress(s string) (address, rest string, ok bool) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case c == '>' && !quoted:
			return s[:i], s[i+1:], true
		}
	}
	return "", "", false
}

// domainOf is what stands behind the last @ of an address.
func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

// proven reports whether the feature status of a delivery says that the server was
// authenticated. postconf(5) smtp_log_tls_feature_status: "!" is a policy that was not
// met, "?" one that is not decided, "level:actual" one that was not insisted on.
func proven(tls string) bool {
	level, _, _ := strings.Cut(tls, "/") // what follows is about REQUIRETLS
	switch level {
	case "secure", "verify", "fingerprint", "dane", "dane-only":
		return true
	}
	return false
}
