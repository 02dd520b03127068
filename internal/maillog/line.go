package maillog

import (
	"strconv"
	"strings"
	"time"
)

// line is a line of the log, without what it says about.
type line struct {
	time    time.Time
	host    string
	tag     string // "postfix/relay/smtp"
	program string // its last part: "smtp"
	pid     int
	text    string // what follows
}

// parseLine reads the start of a line: time, host, tag and process id. The time is
// that of syslog or of RFC 3339; the first has no year and no zone: it is the last such
// time that is not after now, but for a clock that goes a day wrong.
func parseLine(s string, now time.Time) (l line, ok bool) {
	var rest string
	if l.time, rest, ok = parseTime(s, now); !ok {
		return line{}, false
	}
	l.host, rest, ok = strings.Cut(rest, " ")
	if !ok || l.host == "" {
		return line{}, false
	}
	tag, text, ok := strings.Cut(rest, ": ")
	if !ok {
		return line{}, false
	}
	l.text = text
	// RFC 3164 section 5.3: the process id in brackets is customary, and may lack.
	if name, number, found := strings.Cut(tag, "["); found {
		pid, err := strconv.Atoi(strings.TrimSuffix(number, "]"))
		if err != nil || !strings.HasSuffix(number, "]") || pid < 0 {
			return line{}, false
		}
		tag, l.pid = name, pid
	}
	if tag == "" || strings.ContainsAny(tag, " \t") {
		return line{}, false
	}
	l.tag = tag
	l.program = tag[strings.LastIndexByte(tag, '/')+1:]
	return l, true
}

func parseTime(s string, now time.Time) (time.Time, string, bool) {
	// RFC 3164 section 4.1.2: "Nov  2 08:49:09", of fixed width.
	if len(s) > len(time.Stamp) && s[len(time.Stamp)] == ' ' && s[0] >= 'A' {
		t, err := time.ParseInLocation(time.Stamp, s[:len(time.Stamp)], now.Location())
		if err != nil {
			return time.Time{}, "", false
		}
		return withYear(t, now), s[len(time.Stamp)+1:], true
	}
	stamp, rest, ok := strings.Cut(s, " ")
	if !ok || len(stamp) > 40 {
		return time.Time{}, "", false
	}
	// RFC 3339; journalctl(1) writes the zone without a colon.
	for _, form := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700"} {
		if t, err := time.Parse(form, stamp); err == nil {
			return t, rest, true
		}
	}
	return time.Time{}, "", false
}

// withYear gives a time of the year 0 the year in which it is not in the future. On
// the 29th of February of a year that has none it is the 1st of March.
func withYear(t, now time.Time) time.Time {
	in := func(year int) time.Time {
		return time.Date(year, t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, t.Location())
	}
	if this := in(now.Year()); !this.After(now.Add(24 * time.Hour)) {
		return this
	}
	return in(now.Year() - 1)
}
