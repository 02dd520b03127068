package sendmailcf

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
)

// DefaultFile is where Sendmail's configuration is unless somebody moved it.
const DefaultFile = "/etc/mail/sendmail.cf"

// maxFile bounds a configuration file in octets; one with every feature has 100 KB.
const maxFile = 4 << 20

// Read reads a sendmail.cf, and looks at the files that TLS needs.
func Read(file string) (*Settings, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("sendmail's configuration: %w", err)
	}
	defer f.Close()
	s, err := parse(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, fmt.Errorf("sendmail's configuration %s: %w", file, err)
	}
	s.File = file
	s.lookAtTLS()
	s.lookAtFeatures()
	s.Mailers.read(func(string) bool { return true })
	return s, nil
}

// parse reads a configuration: its commands are a letter at the beginning of a line (op.me section 5).
func parse(r io.Reader) (*Settings, error) {
	s := &Settings{Options: map[string]string{}, programs: map[string]string{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxFile)
	command, version := "", false
	for lines.Scan() {
		line := lines.Text()
		// Lines that begin with a blank continue the one before.
		if line != "" && (line[0] == ' ' || line[0] == '\t') {
			command += line
			continue
		}
		s.command(command)
		version = version || strings.HasPrefix(line, "V")
		command = line
	}
	s.command(command)
	if s.callsHook && s.asks {
		s.SendMap = s.sendMap
	}
	switch {
	case lines.Err() != nil:
		return nil, lines.Err()
	case !version:
		return nil, fmt.Errorf("it has no V line, so it is no sendmail.cf (is it the .mc file?)")
	}
	return s, nil
}

func (s *Settings) command(line string) {
	switch {
	case strings.HasPrefix(line, "O "):
		name, value, _ := strings.Cut(line[2:], "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if strings.EqualFold(name, "DaemonPortOptions") {
			s.Daemons = append(s.Daemons, parseDaemon(value))
		}
		s.Options[strings.ToLower(name)] = value
	case strings.HasPrefix(line, "X"):
		s.Filters = append(s.Filters, parseFilter(line[1:]))
	case strings.HasPrefix(line, "K"):
		// The name of the map is what the daemon is asked for.
		switch name, class, file := mapLine(line[1:]); {
		case name == "sendmail" && class == "socket":
			s.sendMap = file
		case name == "access":
			s.Access.file = textOf(class, file)
		case name == "mailertable":
			s.Mailers.file = textOf(class, file)
		}
	case strings.HasPrefix(line, "DS"):
		s.SmartHost = strings.TrimSpace(line[2:])
	case strings.HasPrefix(line, "M"):
		name, rest, _ := strings.Cut(line[1:], ",")
		fields := map[byte]string{}
		equates(rest, func(letter byte, value string) { fields[letter] = value })
		// With a program that is not told the recipient Sendmail speaks SMTP, as with a server (op.me section 5.4).
		if path := fields['P']; path != "[IPC]" && path != "[TCP]" && strings.Contains(fields['A'], "$u") {
			s.programs[strings.TrimSpace(name)] = path
		}
	case strings.HasPrefix(line, "S"):
		s.ruleset = strings.TrimSpace(line[1:])
	case strings.HasPrefix(line, "R"):
		s.rule(line)
	}
}

// rule notes what of a ruleset matters here.
func (s *Settings) rule(line string) {
	s.callsHook = s.callsHook || strings.Contains(line, `$>"Local_tls_rcpt"`)
	s.asks = s.asks || strings.Contains(line, "$(sendmail ")
	s.asksFeatures = s.asksFeatures || s.ruleset == "srv_features" && strings.Contains(line, "$(access ")
	if _, features, answers := strings.Cut(line, "$#"); answers && s.ruleset == "Local_srv_features" && takesAway(features) != "" {
		s.localFeatures = strings.TrimSpace(features)
	}
}

// textOf returns where the text of a map lies, "" if it is not of the kinds that makemap(8) makes, or text itself.
func textOf(class, file string) string {
	switch class {
	case "hash", "btree", "dbm", "cdb", "text":
		return file
	}
	return ""
}

// equates reads "name=value" after "name=value", and calls take with the first letter of each name: more does not
// count (op.me sections 5.12 and 5.6, DaemonPortOptions).
func equates(text string, take func(letter byte, value string)) {
	for field := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(field, "=")
		if name = strings.TrimSpace(name); name != "" {
			take(name[0], strings.TrimSpace(value))
		}
	}
}

func parseFilter(text string) Filter {
	name, rest, _ := strings.Cut(text, ",")
	f := Filter{Name: strings.TrimSpace(name), Times: map[string]string{}}
	equates(rest, func(letter byte, value string) {
		switch letter {
		case 'S':
			f.Socket = value
		case 'F':
			f.Failure = value
		case 'T':
			for part := range strings.SplitSeq(value, ";") {
				what, how, _ := strings.Cut(part, ":")
				f.Times[strings.ToUpper(strings.TrimSpace(what))] = strings.TrimSpace(how)
			}
		}
	})
	return f
}

func parseDaemon(text string) Daemon {
	var d Daemon
	equates(text, func(letter byte, value string) {
		switch letter {
		case 'N':
			d.Name = value
		case 'M':
			d.Modifiers = value
		case 'I':
			d.own = true
			d.Filters = strings.FieldsFunc(value, func(r rune) bool { return r == ';' || isSeparator(r) })
		}
	})
	return d
}
