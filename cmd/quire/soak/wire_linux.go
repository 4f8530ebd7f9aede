package soak

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A wire is a bad network between this process and a network namespace of its own, in
// which a server runs. Each end is a tunnel device of the kernel; what comes out of one is put into the
// other by this process: packets are lost, late and out of order as told. The TCP on both sides is
// the kernel's.
type wire struct {
	near, far *os.File
	server    netip.Addr // of the far end
	inner     thread     // lives in the namespace
	wg        sync.WaitGroup

	mu    sync.Mutex
	rng   *rand.Rand
	state weather

	passed, lost atomic.Int64 // packets
}

// weather is how a wire treats packets.
type weather struct {
	cut     bool          // everything is lost
	loss    float64       // share that is lost
	repeat  float64       // share that comes twice
	delay   time.Duration // least time a packet takes
	jitter  time.Duration // and how much more, at most: packets overtake each other
	toLeave bool          // only what leaves the server is lost, with cut: a partition in one direction
}

var wires atomic.Int32

// newWire makes a namespace and a wire to it. It takes the rights of root.
func newWire(seed uint64) (*wire, error) {
	n := uint32(wires.Add(1)) + uint32(os.Getpid())*7
	a, b := byte(n>>6), byte(n<<2)
	w := &wire{server: netip.AddrFrom4([4]byte{198, 18, a, b + 1}), inner: make(thread), rng: rand.New(rand.NewPCG(seed, 7))}
	here := netip.AddrFrom4([4]byte{198, 18, a, b + 2}) // 198.18.0.0/15 is for tests of networks
	var err error
	if w.near, err = tunnel(here); err != nil {
		return nil, err
	}
	made := make(chan error)
	go w.inside(made)
	if err := <-made; err != nil {
		w.near.Close()
		return nil, err
	}
	w.wg.Go(func() { w.carry(w.near, w.far, false) })
	w.wg.Go(func() { w.carry(w.far, w.near, true) })
	return w, nil
}

// inside is the thread that lives in the namespace. It ends with the thread, so that nothing of the
// namespace is left for other goroutines.
func (w *wire) inside(made chan<- error) {
	runtime.LockOSThread()
	err := unix.Unshare(unix.CLONE_NEWNET)
	if err != nil {
		err = fmt.Errorf("no network namespace can be made: %w", err)
	} else {
		w.far, err = tunnel(w.server)
	}
	made <- err
	if err != nil {
		return
	}
	w.inner.run()
}

// set changes the weather.
func (w *wire) set(s weather) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state = s
}

func (w *wire) close() {
	close(w.inner)
	w.near.Close()
	w.far.Close()
	w.wg.Wait()
}

// tunnel makes a tunnel device with an address, in the thread's namespace.
func tunnel(addr netip.Addr) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("no tunnel device can be made: /dev/net/tun: %w", err)
	}
	name, err := configure(fd, addr)
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("no tunnel device can be made: %w", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

func configure(fd int, addr netip.Addr) (string, error) {
	ifr, err := unix.NewIfreq("quire%d")
	if err != nil {
		return "", err
	}
	ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		return "", err
	}
	name := ifr.Name()
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(s)
	set := func(call uint, value []byte, flags uint16) error {
		r, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		if value != nil {
			err = r.SetInet4Addr(value)
		} else {
			r.SetUint16(flags)
		}
		return errors.Join(err, unix.IoctlIfreq(s, call, r))
	}
	return name, errors.Join(
		set(unix.SIOCSIFADDR, addr.AsSlice(), 0),
		set(unix.SIOCSIFNETMASK, []byte{255, 255, 255, 252}, 0),
		set(unix.SIOCSIFFLAGS, nil, unix.IFF_UP|unix.IFF_RUNNING))
}

// carry takes packets from one end to the other, until an end is closed.
func (w *wire) carry(from, to *os.File, leaving bool) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return // it was closed
		}
		copies, late := w.fate(leaving)
		if copies == 0 {
			w.lost.Add(1)
		}
		for i := range copies {
			w.passed.Add(1)
			if late[i] == 0 {
				_, _ = to.Write(buf[:n])
				continue
			}
			packet := append([]byte(nil), buf[:n]...)
			w.wg.Add(1)
			time.AfterFunc(late[i], func() {
				defer w.wg.Done()
				_, _ = to.Write(packet) // a closed end loses it, too
			})
		}
	}
}

// fate says how often a packet comes, and how late each time.
func (w *wire) fate(leaving bool) (copies int, late [2]time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := &w.state
	if s.cut && (leaving || !s.toLeave) || w.rng.Float64() < s.loss {
		return 0, late
	}
	copies = 1
	if w.rng.Float64() < s.repeat {
		copies = 2
	}
	for i := range late {
		late[i] = s.delay
		if s.jitter > 0 {
			late[i] += time.Duration(w.rng.Int64N(int64(s.jitter)))
		}
	}
	return copies, late
}
