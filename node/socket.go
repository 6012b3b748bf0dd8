package node

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// listenSocket opens the admin socket for the owner alone. One that a crash
// left behind is in nobody's use: the data directory is locked.
func listenSocket(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove old admin socket: %w", err)
	}
	socket, err := listenAlone(path)
	if err != nil {
		return nil, fmt.Errorf("listen on admin socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("protect admin socket: %w", err), socket.Close())
	}
	return socket, nil
}

// listenAlone makes a socket that is never anybody else's, not even before its
// mode is set. The mask is that of the whole process, which makes nothing for
// others anyway.
func listenAlone(path string) (net.Listener, error) {
	defer syscall.Umask(syscall.Umask(0o077))
	return net.Listen("unix", path)
}
