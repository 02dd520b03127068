package postconf

import (
	"slices"
	"strconv"
	"strings"
)

// version is major, minor and patch level of a mail_version; a snapshot, "3.12-20260821", has no patch level.
type version [3]int

func (s *Settings) version() (v version) {
	release, _, _ := strings.Cut(s.Version, "-")
	for i, part := range strings.SplitN(release, ".", 3) {
		v[i], _ = strconv.Atoi(part)
	}
	return v
}

func (v version) before(w version) bool { return slices.Compare(v[:], w[:]) < 0 }

// knowsShutdown says whether milter_default_action may be shutdown: from 3.11, and in late patch releases of 3.9 and
// 3.10. Where exactly it came in is left open in favour of who uses it.
func (v version) knowsShutdown() bool {
	return !v.before(version{3, 10, 1}) || !v.before(version{3, 9, 5}) && v.before(version{3, 10, 0})
}
