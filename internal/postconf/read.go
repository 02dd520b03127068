package postconf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ErrNoPostconf says that there is no postconf(1) on this machine, so no Postfix whose settings could be read.
var ErrNoPostconf = errors.New("postconf not found: is Postfix installed?")

const (
	readTime  = 20 * time.Second // for everything together; one call takes some 10 ms
	maxOutput = 4 << 20          // "postconf -x" prints 30 KB
)

// Read asks postconf(1) for the settings in the configuration directory dir; "" means Postfix's own. It runs
// postconf once for main.cf, twice for master.cf, and once more for each entry of smtpd(8), pickup(8), cleanup(8),
// smtp(8) or lmtp(8) with overrides, so that Postfix itself says what they amount to. The kernel is asked for this
// machine's addresses, and the files of certificates that smtp(8) presents are read.
func Read(ctx context.Context, dir string) (*Settings, error) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	bin, err := find("postconf")
	if err != nil {
		return nil, err
	}
	r := reader{bin: bin, dir: dir}

	// -x, because some defaults are expressions: before 3.12 smtpd_tls_fingerprint_digest is one of
	// compatibility_level.
	main, warnings, err := r.run(ctx, "-x")
	if err != nil {
		return nil, fmt.Errorf("reading main.cf: %w", err)
	}
	entries, w, err := r.run(ctx, "-M")
	if err != nil {
		return nil, fmt.Errorf("reading master.cf: %w", err)
	}
	warnings = append(warnings, w...)
	overrides, w, err := r.run(ctx, "-P")
	if err != nil {
		return nil, fmt.Errorf("reading master.cf: %w", err)
	}
	warnings = append(warnings, w...)

	s := &Settings{Dir: dir, Main: parseParams(main), At: time.Now()}
	s.Version, s.QueueDirectory = s.Main["mail_version"], s.Main["queue_directory"]
	if s.Version == "" || s.QueueDirectory == "" {
		return nil, errors.New("reading main.cf: postconf printed no mail_version or queue_directory")
	}
	if own, err := net.InterfaceAddrs(); err == nil { // without, mynetworks is only looked at more closely
		for _, a := range own {
			if prefix, err := netip.ParsePrefix(a.String()); err == nil {
				s.Addresses = append(s.Addresses, prefix.Addr())
			}
		}
	}
	s.Services = parseMaster("smtpd", entries, overrides, chrootDefault(s.Main))
	s.Pickup = parseMaster("pickup", entries, overrides, chrootDefault(s.Main))
	s.Cleanup = parseMaster("cleanup", entries, overrides, chrootDefault(s.Main))
	s.Delivery = slices.Concat(parseMaster("smtp", entries, overrides, chrootDefault(s.Main)), parseMaster("lmtp", entries, overrides, chrootDefault(s.Main)))
	s.Transports = parseTransports(entries)
	for _, services := range [][]Service{s.Services, s.Pickup, s.Cleanup, s.Delivery} {
		for i := range services {
			if err := r.expand(ctx, &services[i], s.Main); err != nil {
				return nil, err
			}
		}
	}
	for i := range s.Delivery {
		parameter, files := clientFiles(s.Delivery[i].Params)
		for _, pair := range files {
			s.Delivery[i].Client = append(s.Delivery[i].Client, readClientCertificate(pair, parameter == "smtp_tls_chain_files"))
		}
	}
	for _, w := range warnings {
		if !slices.Contains(s.Warnings, w) { // every run repeats them, and one on a file just written repeats itself
			s.Warnings = append(s.Warnings, w)
		}
	}
	return s, nil
}

// expand asks what main.cf means with the overrides of a service.
func (r reader) expand(ctx context.Context, svc *Service, main Params) error {
	if len(svc.Overrides) == 0 {
		svc.Params = main
		return nil
	}
	// Overrides may change a parameter through another one (-o my_list=), so their own values do not tell
	// enough. The warnings of this run are about main.cf seen through the overrides: not meant for anyone.
	args := []string{"-x"}
	for _, name := range sortedNames(svc.Overrides) {
		args = append(args, "-o", name+"="+svc.Overrides[name])
	}
	out, _, err := r.run(ctx, args...)
	if err != nil {
		return fmt.Errorf("reading the overrides of %q in master.cf: %w", svc.String(), err)
	}
	svc.Params = parseParams(out)
	return nil
}

// places are where Postfix's programs may be: in PATH, and where Postfix puts them: the PATH of a user often has no
// sbin.
var places = []string{"", "/usr/sbin/", "/usr/local/sbin/"}

// find returns the program to run.
func find(program string) (string, error) {
	for _, place := range places {
		if bin, err := exec.LookPath(place + program); err == nil {
			return bin, nil
		}
	}
	return "", ErrNoPostconf
}

type reader struct {
	bin, dir string
	in       string // for the program to read
}

// run returns what a program of Postfix's printed, and its warnings.
func (r reader) run(ctx context.Context, args ...string) (string, []string, error) {
	if r.dir != "" {
		args = append([]string{"-c", r.dir}, args...)
	}
	cmd := exec.CommandContext(ctx, r.bin, args...)
	program := filepath.Base(r.bin)
	cmd.Args[0] = program // it puts that in front of what it says
	cmd.Stdin = strings.NewReader(r.in)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.WaitDelay = time.Second
	var out, words limited
	cmd.Stdout, cmd.Stderr = &out, &words
	err := cmd.Run()
	var warnings []string
	var fatal string
	for line := range strings.Lines(words.buf.String()) {
		line = strings.TrimPrefix(strings.TrimSpace(line), program+": ")
		if w, ok := strings.CutPrefix(line, "warning: "); ok {
			warnings = append(warnings, w)
		} else if line != "" {
			fatal = line
		}
	}
	switch {
	case ctx.Err() != nil:
		return "", nil, fmt.Errorf("%s did not finish: %w", program, ctx.Err())
	case err != nil && fatal != "":
		return "", nil, fmt.Errorf("%s: %s: %w", program, fatal, err)
	case err != nil:
		return "", nil, fmt.Errorf("%s: %w", program, err)
	case out.full:
		return "", nil, fmt.Errorf("%s printed more than %d bytes", program, maxOutput)
	}
	return out.buf.String(), warnings, nil
}

// limited keeps the first maxOutput bytes and swallows the rest, so that the writer never blocks. The buffer is not
// embedded: its ReadFrom would be taken in place of Write.
type limited struct {
	buf  bytes.Buffer
	full bool
}

func (l *limited) Write(p []byte) (int, error) {
	if room := maxOutput - l.buf.Len(); len(p) > room {
		l.full = true
		l.buf.Write(p[:room])
	} else {
		l.buf.Write(p)
	}
	return len(p), nil
}

func sortedNames(p Params) []string {
	names := make([]string, 0, len(p))
	for name := range p {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
