package sendmailcf

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Options that name what TLS needs; without any one of the first three, and of CACertPath, Sendmail offers none.
const (
	serverCert = "ServerCertFile"
	serverKey  = "ServerKeyFile"
	caCert     = "CACertFile"
	caPath     = "CACertPath"
)

func (s *Settings) lookAtTLS() {
	s.TLS = map[string][]TLSFile{}
	for _, name := range []string{serverCert, serverKey, caCert} {
		// Of certificates and keys there may be several.
		for _, path := range strings.FieldsFunc(s.option(name), isSeparator) {
			s.TLS[name] = append(s.TLS[name], s.lookAt(name, path))
		}
	}
	if certs, keys := s.TLS[serverCert], s.TLS[serverKey]; len(certs) > 0 && len(keys) > 0 && certs[0].Problem == "" && keys[0].Problem == "" {
		if _, err := tls.LoadX509KeyPair(certs[0].Path, keys[0].Path); err != nil && !errors.Is(err, fs.ErrPermission) {
			s.KeyPair = err.Error()
		}
	}
	if path := s.option("CRLFile"); path != "" {
		s.CRL = lookAtCRL(path)
	}
}

// lookAt says what Sendmail would have against a file: its own checks (safefile), and whether there is PEM in it.
func (s *Settings) lookAt(option, path string) TLSFile {
	f := TLSFile{Path: path}
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		f.Hidden = true
		return f
	case err != nil:
		f.Problem = err.Error()
		return f
	}
	if block, _ := pem.Decode(text); block == nil {
		f.Problem = "there is no PEM in it"
		return f
	}
	info, err := os.Stat(path)
	if err != nil {
		f.Problem = err.Error()
		return f
	}
	bad := fs.FileMode(0o022)
	if option == serverKey {
		bad = 0o077
		if s.forgives("GroupReadableKeyFile") {
			bad &^= 0o040
		}
	}
	owner := -1
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		owner = int(sys.Uid)
	}
	switch {
	case !info.Mode().IsRegular():
		f.Problem = "it is no file"
	case info.Mode().Perm()&bad != 0:
		f.Problem = fmt.Sprintf("it has mode %#o, and others must not have %#o of it: chmod %o %s", info.Mode().Perm(), info.Mode().Perm()&bad, info.Mode().Perm()&^bad, path)
	case owner > 0 && owner != s.trustedUser():
		f.Problem = fmt.Sprintf("it belongs to neither root nor TrustedUser, but to user %d: chown root %s", owner, path)
	default:
		f.Problem = s.unsafeFolder(path)
	}
	return f
}

// trustedUser returns who may own files besides root; -1 if nobody may.
func (s *Settings) trustedUser() int {
	name := s.option("TrustedUser")
	if name == "" {
		return -1
	}
	if u, err := user.Lookup(name); err == nil {
		name = u.Uid
	}
	if id, err := strconv.Atoi(name); err == nil {
		return id
	}
	return -1
}

// unsafeFolder says which folder above a file others may write to.
func (s *Settings) unsafeFolder(path string) string {
	path, err := filepath.EvalSymlinks(path)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return err.Error()
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err.Error()
		}
		mode := info.Mode()
		sticky := mode&fs.ModeSticky != 0 && s.forgives("TrustStickyBit")
		group := mode.Perm()&0o020 != 0 && !s.forgives("GroupWritableDirPathSafe")
		world := mode.Perm()&0o002 != 0 && !s.forgives("WorldWritableDirPathSafe")
		if (group || world) && !sticky {
			return fmt.Sprintf("others may write to the folder %s (mode %#o)", dir, mode.Perm())
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

// lookAtCRL reads a list as Sendmail does: the first one in the file.
func lookAtCRL(path string) (c CRLFile) {
	rest, err := os.ReadFile(path)
	if err != nil {
		c.Problem = err.Error()
		return c
	}
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "X509 CRL" {
			continue
		}
		if c.Lists++; c.Lists == 1 {
			if _, err := x509.ParseRevocationList(block.Bytes); err != nil {
				c.Problem = err.Error()
			}
		}
	}
	if c.Lists == 0 {
		c.Problem = "there is no list in it"
	}
	return c
}
