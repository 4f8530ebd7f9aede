package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// notify tells the service manager, if there is one that wants to know (sd_notify(3)).
func notify(state string) { _, _ = daemon.SdNotify(false, state) }

// speaks reports whether this process is the one that the service manager listens to. One that takes over is
// not as long as the one before it is there, which says what there is to say.
func (p *passed) speaks() bool { return p == nil || p.from == nil || !hasReader(p.from) }

// watchdog tells the service manager that the process lives as often as it asks, until ctx ends.
func watchdog(ctx context.Context, p *passed) {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil || every <= 0 {
		return
	}
	tick := time.NewTicker(max(every/3, time.Millisecond))
	defer tick.Stop()
	for {
		if p.speaks() {
			notify(daemon.SdNotifyWatchdog)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Reload reads the certificate and the keys of tokens again.
func (m *Main) Reload() {
	select {
	case m.reload <- struct{}{}:
	default:
	}
}

// reloads reads again what Reload says each time it is asked for, until ctx ends.
func (m *Main) reloads(ctx context.Context, f *front) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.reload:
		}
		m.watcher.reopen()
		keys := m.keys.Load()
		if keys != nil {
			keys.Reload()
		}
		if f.files != nil {
			f.files.Reload()
		} else if m.Config.AuditLog == "" && keys == nil {
			m.Logger.Info("nothing to read again: there are no certificate and no keys in files, and no audit log")
		}
	}
}

// signals does what the process is told by signals, until ctx ends. A terminal that goes away
// stops it, as ever; without one SIGHUP means to read again.
func (m *Main) signals(ctx context.Context, terminal bool) {
	ch := make(chan os.Signal, 4)
	signal.Notify(ch, syscall.SIGHUP)
	if handoverSignal != 0 {
		signal.Notify(ch, handoverSignal)
	}
	defer signal.Stop(ch)
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-ch:
			switch {
			case s == handoverSignal:
				m.HandOver()
			case terminal:
				m.Close()
			default:
				m.Reload()
			}
		}
	}
}
