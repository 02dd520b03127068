package postconf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// TrustFile is a file of authorities that smtp(8) opens when it delivers to some domains: the attribute "tafile" of a
// TLS policy (postconf(5) smtp_tls_policy_maps).
type TrustFile struct {
	Path    string   // where it is
	Told    string   // as smtp(8) is told of it
	Text    []byte   // what should be in it
	Domains []string // to which no mail leaves if smtp(8) cannot read it
}

// trustFile is what became of opening a TrustFile as smtp(8) does.
type trustFile struct {
	*TrustFile
	user    string
	unknown error       // why that is not known, nil if it is
	err     error       // why it cannot be read; errOther
	at      string      // which file or directory is refused, as it is seen from outside
	info    fs.FileInfo // of that, nil if even root may not know
	allowed bool        // by its mode
	dir     fs.FileInfo // where it is looked for, if it is not there
	missing string      // what is not there for anybody: the file, or already its directory
}

var (
	errNotRoot = errors.New("only root can try that")
	errOther   = errors.New("in it are not the authorities that should be")
	errNoFile  = errors.New("it is no regular file")
)

// OpenTrustFiles opens the files as each smtp(8) would: as its user, from where it works. Check says what came of it.
// It takes root.
func (s *Settings) OpenTrustFiles(ctx context.Context, files []TrustFile) {
	for i := range s.Delivery {
		svc := &s.Delivery[i]
		if s.Transports[svc.Name] == "smtp" && len(files) > 0 {
			svc.trust = openTrustFiles(ctx, svc, files)
		}
	}
}

func openTrustFiles(ctx context.Context, svc *Service, files []TrustFile) []trustFile {
	who, err := identityOf(svc)
	if err == nil && os.Geteuid() != 0 {
		err = errNotRoot
	}
	opened := make(chan []trustFile, 1) // a disk may hang for ever
	if err == nil {
		go func() {
			var found []trustFile
			err := who.do(func() {
				for i := range files {
					found = append(found, openTrustFile(&files[i]))
				}
			})
			if err != nil {
				found = unknownFiles(files, fmt.Errorf("doing as smtp(8) does: %w", err))
			}
			for i := range found {
				found[i].lookFromOutside(who)
			}
			opened <- found
		}()
		select {
		case found := <-opened:
			return found
		case <-ctx.Done():
			err = fmt.Errorf("it takes too long: %w", ctx.Err())
		}
	}
	return unknownFiles(files, err)
}

func unknownFiles(files []TrustFile, err error) (found []trustFile) {
	for i := range files {
		found = append(found, trustFile{TrustFile: &files[i], unknown: err})
	}
	return found
}

// openTrustFile is run as smtp(8).
func openTrustFile(file *TrustFile) trustFile {
	found := trustFile{TrustFile: file}
	var text []byte
	f, err := os.OpenFile(file.Told, os.O_RDONLY|syscall.O_NONBLOCK, 0) // whoever opens a pipe may wait for ever
	if err == nil {
		defer f.Close()
		var info fs.FileInfo
		if info, err = f.Stat(); err == nil && !info.Mode().IsRegular() {
			err = errNoFile
		}
	}
	if err == nil {
		text, err = io.ReadAll(io.LimitReader(f, int64(len(file.Text))+1))
	}
	if err == nil && !bytes.Equal(text, file.Text) {
		err = errOther
	}
	switch found.err = err; {
	case errors.Is(err, fs.ErrPermission):
		found.at = refusedAt(file.Told)
	case errors.Is(err, fs.ErrNotExist):
		found.dir, _ = os.Stat(filepath.Dir(file.Told))
	}
	return found
}

// refusedAt is where on the way to a file it goes no further: a directory that may not be searched, a link that leads
// to where that is so, or the file.
func refusedAt(path string) string {
	for i, octet := range path {
		if i == 0 || octet != filepath.Separator {
			continue
		}
		if at := path[:i]; !reaches(at) {
			return parentOrLink(at)
		}
	}
	if reaches(path) {
		return path
	}
	return parentOrLink(path)
}

func reaches(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrPermission)
}

// parentOrLink tells why something cannot be reached.
func parentOrLink(path string) string {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrPermission) {
		return filepath.Dir(path)
	}
	return path
}

// lookFromOutside adds what smtp(8) cannot see.
func (f *trustFile) lookFromOutside(who identity) {
	f.user = who.user
	switch {
	case f.err == nil:
	case f.at != "":
		if who.chroot || !filepath.IsAbs(f.at) {
			f.at = filepath.Join(who.dir, f.at)
		}
		if info, err := os.Stat(f.at); err == nil {
			f.info, f.allowed = info, who.allowed(info)
		}
	case errors.Is(f.err, fs.ErrNotExist):
		if _, err := os.Stat(f.Path); !errors.Is(err, fs.ErrNotExist) {
			return
		}
		// A file that has not been written yet may be one that will not be seen.
		dir, err := os.Stat(filepath.Dir(f.Path))
		if errors.Is(err, fs.ErrNotExist) {
			f.missing = filepath.Dir(f.Path)
		} else if err == nil && f.dir != nil && os.SameFile(dir, f.dir) {
			f.missing = f.Path
		}
	}
}

// allowed says whether a mode lets a user read a file, or search a directory.
func (i identity) allowed(info fs.FileInfo) bool {
	need, shift := fs.FileMode(4), 0
	if info.IsDir() {
		need = 1
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && int(owner.Uid) == i.uid {
		shift = 6
	} else if ok && slices.Contains(i.groups, int(owner.Gid)) {
		shift = 3
	}
	return i.root || info.Mode().Perm()>>shift&need != 0
}
