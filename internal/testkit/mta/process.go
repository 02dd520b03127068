package mta

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Close stops the instance, makes sure that none of its processes is left, and removes its folder if it is a
// temporary one. It signals the master as "postfix stop" does, which would look for the effect once a second.
func (p *Postfix) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true

	var err error
	ctx := context.Background()
	if master := p.masterPID(); master != 0 {
		_ = syscall.Kill(master, syscall.SIGTERM) // it may end by itself just now
	}
	if awaitErr := p.awaitEnd(ctx, 5*time.Second); awaitErr != nil {
		for _, pid := range p.processes() {
			// One that has gone meanwhile is as good.
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		err = errors.Join(err, awaitErr, p.awaitEnd(ctx, 5*time.Second))
	}
	if p.temporary {
		err = errors.Join(err, os.RemoveAll(p.dir))
	}
	if err != nil {
		return fmt.Errorf("stop Postfix: %w", err)
	}
	return nil
}

func (p *Postfix) awaitEnd(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return await(ctx, "Postfix to end", func() (bool, error) { return len(p.processes()) == 0, nil })
}

// masterPID returns the process id of the instance's master(8), 0 if it does not run.
func (p *Postfix) masterPID() int {
	text, err := os.ReadFile(filepath.Join(p.dir, "queue", "pid", "master.pid"))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || !p.owns(pid) {
		return 0
	}
	return pid
}

// owns reports whether a process is of this instance: all of them work in its queue folder, and no other does.
func (p *Postfix) owns(pid int) bool { return worksIn(filepath.Join(p.dir, "queue"), pid) }

// processes returns the ids of all processes of this instance.
func (p *Postfix) processes() []int { return processesIn(filepath.Join(p.dir, "queue")) }

// processesIn returns the ids of all processes that work in a folder, or below.
func processesIn(dir string) []int {
	var pids []int
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil && worksIn(dir, pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func worksIn(dir string, pid int) bool {
	cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	if err != nil {
		return false
	}
	dir, err = filepath.EvalSymlinks(dir)
	return err == nil && (cwd == dir || strings.HasPrefix(cwd, dir+"/"))
}

// smtpds returns the smtpd(8) processes below a master.
func smtpds(master int) []int {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", master, master))
	if err != nil {
		return nil
	}
	var pids []int
	for _, field := range bytes.Fields(children) {
		if pid, err := strconv.Atoi(string(field)); err == nil && isSMTPD(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func isSMTPD(pid int) bool {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return err == nil && string(bytes.TrimSpace(name)) == "smtpd"
}

// anyIdle reports whether one of the smtpds still lives and has no client.
func (p *Postfix) anyIdle(pids []int) bool {
	busy := p.clients()
	for _, pid := range pids {
		if isSMTPD(pid) && !holdsAny(pid, busy) {
			return true
		}
	}
	return false
}

// clients returns the names, as in /proc/PID/fd, of the sockets on which clients are connected.
func (p *Postfix) clients() map[string]bool {
	names := map[string]bool{}
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return names
	}
	ours := map[string]bool{hexPort(p.addr): true}
	for _, addr := range p.services {
		ours[hexPort(addr)] = true
	}
	const established = "01"
	for line := range strings.Lines(string(table)) {
		// proc_net_tcp: number, local address, remote address, state, ..., the tenth is the inode.
		f := strings.Fields(line)
		if len(f) < 10 || f[3] != established {
			continue
		}
		if _, port, _ := strings.Cut(f[1], ":"); ours[port] {
			names["socket:["+f[9]+"]"] = true
		}
	}
	return names
}

// hexPort returns the port of an address of ours as the kernel's table has it.
func hexPort(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	number, _ := strconv.Atoi(port) // ours, so it is one
	return fmt.Sprintf("%04X", number)
}

// holdsAny reports whether a process has one of the named files open.
func holdsAny(pid int, names map[string]bool) bool {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, entry := range entries {
		if name, err := os.Readlink(filepath.Join(dir, entry.Name())); err == nil && names[name] {
			return true
		}
	}
	return false
}
