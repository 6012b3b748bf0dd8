//go:build !linux

package bench

import "syscall"

// account is a user of the operating system.
type account struct {
	uid, gid uint32
}

// childAttributes is empty outside Linux: a child shares our process group.
func childAttributes(*account) *syscall.SysProcAttr { return nil }

// unprivileged is for Linux; elsewhere nobody benchmarks as root.
func unprivileged() (*account, error) { return nil, nil }
