package soak

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A gate stands between a program and its disk: the program's calls that write to files
// wait at it until it is decided whether they go on, later or never. The kernel does that for a
// process that asked for it before it became the program (seccomp, user notification), so that
// what is tested is the program as it is.
type gate struct {
	listener int // descriptor
	wg       sync.WaitGroup

	mu      sync.Mutex
	verdict func(call) verdict // nil lets everything through
	seen    int                // calls that were delayed or failed
	last    int64              // offset of the last write
}

// call is a call that waits at the gate.
type call struct {
	sync   bool   // it syncs; else it writes
	file   string // path of the file that it is about
	offset int64  // of what is written; of a sync, of what was written last
}

// verdict is what becomes of a call: it goes on after a delay, or fails.
type verdict struct {
	delay time.Duration
	err   syscall.Errno
}

// gated are the calls that wait.
var gated = []uint32{unix.SYS_FDATASYNC, unix.SYS_FSYNC, unix.SYS_PWRITE64}

// gateCommand is the argument by which this program is told to put itself behind a gate
// and then become another.
const gateCommand = "behind-gate"

// seccompNotif and seccompResp are the kernel's struct seccomp_notif and seccomp_notif_resp.
type seccompNotif struct {
	id         uint64
	pid, flags uint32
	nr         int32
	arch       uint32
	ip         uint64
	args       [6]uint64
}

type seccompResp struct {
	id    uint64
	val   int64
	err   int32
	flags uint32
}

const seccompContinue = 1 // SECCOMP_USER_NOTIF_FLAG_CONTINUE

// behindGate makes this process one whose calls wait at a gate, gives the gate away through the
// socket with the descriptor 3, and becomes the program that args name, after what is to
// be added to the environment and "--". It returns only with an error.
func behindGate(args []string) error {
	sep := slices.Index(args, "--")
	if sep < 0 || sep+1 == len(args) {
		return errors.New("no program is named")
	}
	environ, args := append(os.Environ(), args[:sep]...), args[sep+1:]
	runtime.LockOSThread()                                                             // the filter is this thread's, which becomes the program
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}} // the call's number
	for i, nr := range gated {
		filter = append(filter, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: uint8(len(gated) - i), K: nr})
	}
	filter = append(filter,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF})
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	if err := unix.Sendmsg(3, []byte{0}, unix.UnixRights(int(fd)), nil, 0); err != nil {
		return fmt.Errorf("giving the gate away: %w", err)
	}
	_ = unix.Close(int(fd))
	_ = unix.Close(3)
	return syscall.Exec(args[0], args, environ)
}

// startGated starts cmd behind a gate, with what is to be added to its environment. self is the
// program that knows gateCommand, and its arguments before it. Close the gate when
// the process has ended.
func startGated(cmd *exec.Cmd, environ, self []string) (*gate, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	theirs, ours := os.NewFile(uintptr(pair[0]), "gate"), os.NewFile(uintptr(pair[1]), "gate")
	defer ours.Close()
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Args = slices.Concat(self, []string{gateCommand}, environ, []string{"--", cmd.Path}, cmd.Args[1:])
	cmd.Path = self[0]
	err = starter().start(cmd)
	theirs.Close()
	if err != nil {
		return nil, err
	}
	fd, err := takeDescriptor(ours)
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return nil, fmt.Errorf("the program could not be put behind a gate: %w", err)
	}
	g := &gate{listener: fd}
	g.wg.Go(g.run)
	return g, nil
}

// takeDescriptor receives a descriptor through a socket.
func takeDescriptor(f *os.File) (int, error) {
	c, err := net.FileConn(f)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	u := c.(*net.UnixConn)
	_ = u.SetReadDeadline(time.Now().Add(30 * time.Second))
	buf, oob := make([]byte, 1), make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := u.ReadMsgUnix(buf, oob)
	if err != nil {
		return 0, err
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(msgs) != 1 {
		return 0, fmt.Errorf("no descriptor came: %w", errors.Join(err, unix.EBADMSG))
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil || len(fds) != 1 {
		return 0, fmt.Errorf("no descriptor came: %w", errors.Join(err, unix.EBADMSG))
	}
	return fds[0], nil
}

// decide sets what becomes of calls from now on.
func (g *gate) decide(f func(call) verdict) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.verdict = f
}

// struck returns how many calls were delayed or failed so far.
func (g *gate) struck() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.seen
}

// close waits until the process has ended and its last calls are forgotten.
func (g *gate) close() {
	g.decide(nil)
	g.wg.Wait()
	_ = unix.Close(g.listener)
}

// run takes calls until the process has ended.
func (g *gate) run() {
	poll := []unix.PollFd{{Fd: int32(g.listener), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(poll, -1)
		if err != nil && err != unix.EINTR {
			return
		}
		if poll[0].Revents&unix.POLLIN == 0 {
			if poll[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0 {
				return
			}
			continue
		}
		var n seccompNotif
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(g.listener), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&n)))
		if errno == 0 {
			g.wg.Go(func() { g.answer(&n) })
		} else if errno != unix.ENOENT && errno != unix.EINTR { // who waited was killed
			return
		}
	}
}

// answer lets a call go on, or fail.
func (g *gate) answer(n *seccompNotif) {
	g.mu.Lock()
	if n.nr == unix.SYS_PWRITE64 {
		g.last = int64(n.args[3])
	}
	decide, last := g.verdict, g.last
	g.mu.Unlock()
	var v verdict
	if decide != nil {
		c := call{sync: n.nr != unix.SYS_PWRITE64, offset: last}
		c.file, _ = os.Readlink("/proc/" + strconv.Itoa(int(n.pid)) + "/fd/" + strconv.Itoa(int(n.args[0])))
		v = decide(c)
	}
	if v != (verdict{}) {
		g.mu.Lock()
		g.seen++
		g.mu.Unlock()
	}
	time.Sleep(v.delay)
	r := seccompResp{id: n.id, flags: seccompContinue}
	if v.err != 0 {
		r = seccompResp{id: n.id, err: -int32(v.err)}
	}
	// It fails when who waited was killed.
	_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(g.listener), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&r)))
}
