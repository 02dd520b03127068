package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"domain-secured/internal/config"
)

// listen opens a door's socket. A unix socket appears at its path with its mode
// and group, and in place of one that nobody listens on any more.
func listen(d config.Door) (net.Listener, error) {
	if d.Listen.Network != "unix" {
		return net.Listen(d.Listen.Network, d.Listen.Address)
	}
	path := d.Listen.Address
	if err := makeWay("unix", path); err != nil {
		return nil, err
	}
	tmp := beside(path)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: tmp, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	made, err := place(tmp, d)
	if err != nil {
		l.Close()
		os.Remove(tmp)
		return nil, err
	}
	return unixListener{l, path, made}, nil
}

// datagrams is a unix socket that hears datagrams. It is removed when it is closed.
type datagrams struct {
	*net.UnixConn
	path string
	made os.FileInfo
}

// listenDatagrams opens a socket as [listen] does, for datagrams.
func listenDatagrams(d config.Door) (*datagrams, error) {
	path := d.Listen.Address
	if err := makeWay("unixgram", path); err != nil {
		return nil, err
	}
	tmp := beside(path)
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: tmp, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	made, err := place(tmp, d)
	if err != nil {
		c.Close()
		os.Remove(tmp)
		return nil, err
	}
	return &datagrams{c, path, made}, nil
}

func (d *datagrams) Close() error {
	removeSocket(d.path, d.made)
	return d.UnixConn.Close()
}

// beside is where a socket is made, to be renamed: so it never has another mode at
// its path.
func beside(path string) string {
	tmp := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%d.sock", os.Getpid()))
	os.Remove(tmp)
	return tmp
}

// place gives the socket its group and mode, and then its path.
func place(tmp string, d config.Door) (os.FileInfo, error) {
	if err := os.Chown(tmp, -1, d.Group); err != nil {
		return nil, err
	}
	if err := os.Chmod(tmp, os.FileMode(d.Mode)); err != nil {
		return nil, err
	}
	if err := os.Rename(tmp, d.Listen.Address); err != nil {
		return nil, err
	}
	return os.Stat(d.Listen.Address)
}

// makeWay checks that what is at path, if anything, is a socket that nobody
// listens on.
func makeWay(network, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != os.ModeSocket:
		return fmt.Errorf("%s is there and is no socket", path)
	}
	if c, err := net.DialTimeout(network, path, time.Second); err == nil {
		c.Close()
		return fmt.Errorf("%s: another process listens there", path)
	}
	return nil
}

// unixListener removes its socket when it is closed, unless another has taken
// its place.
type unixListener struct {
	*net.UnixListener
	path string
	made os.FileInfo
}

func (l unixListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

func (l unixListener) Close() error {
	removeSocket(l.path, l.made)
	return l.UnixListener.Close()
}

func removeSocket(path string, made os.FileInfo) {
	if now, err := os.Lstat(path); err == nil && os.SameFile(now, made) {
		os.Remove(path)
	}
}
