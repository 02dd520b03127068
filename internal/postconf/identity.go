package postconf

import (
	"fmt"
	"os/user"
	"slices"
	"strconv"
	"strings"
)

// An identity is as whom and where a program of Postfix opens files once it runs.
type identity struct {
	user     string
	uid, gid int
	groups   []int  // sorted
	root     bool   // it stays what master(8) is
	dir      string // it works in there
	chroot   bool   // and is locked in there
}

// identityOf is that of a service's program: mail_owner with the groups that the system says it has, or root if the
// column "unpriv" says n (master(5); chroot_uid.c, initgroups(3)).
func identityOf(svc *Service) (identity, error) {
	i := identity{user: svc.Params["mail_owner"], dir: svc.Params["queue_directory"], chroot: svc.Chroot}
	if f := strings.Fields(svc.Entry); len(f) > 3 && strings.EqualFold(f[3], "n") {
		i.root, i.user = true, "root"
		return i, nil
	}
	u, err := user.Lookup(i.user)
	if err != nil {
		return i, fmt.Errorf("looking up mail_owner: %w", err)
	}
	ids, err := u.GroupIds()
	if err != nil {
		return i, fmt.Errorf("looking up the groups of mail_owner: %w", err)
	}
	for _, id := range append(ids, u.Gid) {
		g, err := strconv.Atoi(id)
		if err != nil {
			return i, fmt.Errorf("looking up the groups of mail_owner: %w", err)
		}
		i.groups = append(i.groups, g)
	}
	slices.Sort(i.groups)
	i.groups = slices.Compact(i.groups)
	if i.uid, err = strconv.Atoi(u.Uid); err == nil {
		i.gid, err = strconv.Atoi(u.Gid)
	}
	return i, err
}
