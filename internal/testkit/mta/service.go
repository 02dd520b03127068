package mta

import (
	"fmt"
	"path/filepath"
	"strings"
)

// A Service is an smtpd(8) in master.cf beside the first one.
type Service struct {
	Name     string   // one word, for Postfix.ServiceAddr and the log
	Settings []string // as lines of main.cf ("name = value"), that hold for this service only
}

// ServiceAddr returns where one of PostfixOptions.Services speaks SMTP, "" for a name that is none of them.
func (p *Postfix) ServiceAddr(name string) string { return p.services[name] }

// writeMaster chooses addresses for all services and writes master.cf.
func (p *Postfix) writeMaster(o PostfixOptions) (err error) {
	if p.addr = o.Listen; p.addr == "" {
		if p.addr, err = chooseAddress(); err != nil {
			return err
		}
	}
	text := fmt.Sprintf(masterCF, p.addr)
	p.services = map[string]string{}
	for _, service := range o.Services {
		if p.services[service.Name], err = chooseAddress(); err != nil {
			return err
		}
		line, err := service.line(p.services[service.Name])
		if err != nil {
			return err
		}
		text += line
	}
	return writeOld(filepath.Join(p.ConfigDir(), "master.cf"), text, 0o644)
}

// line returns the lines of master.cf for a service that listens at addr.
func (s Service) line(addr string) (string, error) {
	if s.Name == "" || strings.ContainsAny(s.Name, " \t\n{}") {
		return "", fmt.Errorf("not a name for a service: %q", s.Name)
	}
	var own settings
	if err := own.set("syslog_name", "postfix/"+s.Name); err != nil {
		return "", err
	}
	for _, line := range s.Settings {
		if err := own.setLine(line); err != nil {
			return "", err
		}
	}
	text := addr + " inet n - n - - smtpd\n"
	for _, name := range own.names {
		// master(5): the braces keep the spaces of a value.
		text += fmt.Sprintf("  -o { %s = %s }\n", name, own.values[name])
	}
	return text, nil
}
