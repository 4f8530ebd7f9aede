package main

import (
	"debug/elf"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"

	"quire/cmd/quire/commands"
)

// TestUnits has systemd look at the units of docs/operations, and the program at the settings in them.
func TestUnits(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("SKIPPED: systemd-analyze is missing")
	}
	folder := t.TempDir()
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join("../../docs/operations", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	service, socket := read("quire.service"), read("quire.socket")
	// systemd wants the program to be there.
	for name, content := range map[string]string{
		"quire.service": replaced(t, service, "/usr/local/bin/quire ", "/bin/true "),
		"quire.socket":  socket,
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	unit := filepath.Join(folder, "quire.service")
	if out, err := exec.Command(analyze, "verify", "--man=no", unit, filepath.Join(folder, "quire.socket")).CombinedOutput(); err != nil || strings.Contains(string(out), folder) {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	if out, err := exec.Command(analyze, "security", "--offline=true", "--threshold=15", unit).CombinedOutput(); err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
	start := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/quire serve (.*)$`).FindStringSubmatch(service)
	if start == nil {
		t.Fatal("no ExecStart")
	}
	config := filepath.Join(folder, "quire.conf")
	if err := os.WriteFile(config, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"checkconfig"}, strings.Fields(replaced(t, start[1], "/etc/quire/quire.conf", config))...)
	if code, out, errOut := cli(args); code != exitOK || !strings.Contains(out, "data = /var/lib/quire\n") {
		t.Errorf("checkconfig: %d %s%s", code, out, errOut)
	}
	page := read("../operations.md")
	for _, file := range regexp.MustCompile(`/(?:usr/local|etc)/[\w./]+`).FindAllString(service, -1) {
		if !strings.Contains(page, " "+file) {
			t.Errorf("%s is not installed as the page says", file)
		}
	}
	if !strings.Contains(socket, "FileDescriptorName="+mainSocket+"\n") {
		t.Error("the socket has another name than the program looks for")
	}
}

// TestImage runs the program as docs/operations/Containerfile delivers it: alone in its file system, as a
// user without rights.
func TestImage(t *testing.T) {
	data, err := os.ReadFile("../../docs/operations/Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	file := string(data)
	for _, want := range []string{"CGO_ENABLED=0 go build -trimpath -o /out/bin/quire ./cmd/quire", "FROM scratch\n", "USER 65532:65532\n", "ENV QUIRE_DATA=/data QUIRE_LISTEN=:8080 QUIRE_STOP_WITHIN=8s\n", "COPY --from=build --chown=0:0 /out/ /\n", `CMD ["/bin/quire", "health"]`, `ENTRYPOINT ["/bin/quire"]`} {
		if !strings.Contains(file, want) {
			t.Errorf("the Containerfile has no %s", want)
		}
	}
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	name := buildProgram(t, filepath.Join(root, "bin"))
	static(t, name)
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: running the program alone in a file system, which only root can")
	}
	const nobody = 65532
	if err := os.Mkdir(filepath.Join(root, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(filepath.Join(root, "data"), nobody, nobody); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	addr, other := freeAddr(t), freeAddr(t)
	inside := func(args ...string) *exec.Cmd {
		cmd := exec.Command("/bin/quire", args...)
		cmd.Env = []string{"QUIRE_DATA=/data", "QUIRE_LISTEN=" + other}
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		return cmd
	}
	if out, err := inside("health").CombinedOutput(); err == nil || err.(*exec.ExitError).ExitCode() != commands.Unreachable {
		t.Errorf("health without a server: %v %s", err, out)
	}
	runBeside(t, addr, inside("--listen", addr))
	if err := roundTrip("http://"+addr+"/", "inside"); err != nil {
		t.Error(err)
	}
	if out, err := inside("health").CombinedOutput(); err != nil || string(out) != "ready\n" {
		t.Errorf("health of a server that was told by an argument where to listen: %v %s", err, out)
	}
	if out, err := inside("health", "--listen", other).CombinedOutput(); err == nil || err.(*exec.ExitError).ExitCode() != commands.Unreachable {
		t.Errorf("health of another address: %v %s", err, out)
	}
}

// TestImageSources: an image is built from all that git has, or its version says that it was modified, and from
// nothing that git is to ignore.
func TestImageSources(t *testing.T) {
	const top = "../.."
	listed, err := exec.Command("git", "-C", top, "ls-files", "-z").Output()
	if err != nil {
		t.Skip("SKIPPED: these sources are not in git")
	}
	lines := func(name string) (lines []string) {
		data, err := os.ReadFile(filepath.Join(top, name))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				lines = append(lines, line)
			}
		}
		return lines
	}
	want := map[string]bool{"*": true, "!.git": true}
	var ignored []string
	for name := range strings.SplitSeq(strings.TrimRight(string(listed), "\x00"), "\x00") {
		first, _, _ := strings.Cut(name, "/")
		want["!"+first] = true
		if path.Base(name) != ".gitignore" {
			continue
		}
		for _, rule := range lines(name) {
			below, rooted := strings.CutPrefix(strings.TrimRight(rule, "/"), "/")
			if !rooted {
				below = "**/" + below
			}
			ignored = append(ignored, path.Join(path.Dir(name), below))
		}
	}
	for _, rule := range ignored {
		if first, _, deeper := strings.Cut(rule, "/"); deeper && (first == "**" || want["!"+first]) { // the rest is not let in
			want[rule] = true
		}
	}
	have := lines(".dockerignore")
	for _, line := range have {
		if !want[line] {
			t.Errorf(".dockerignore says %s, git does not", line)
		}
		delete(want, line)
	}
	for line := range want {
		t.Errorf(".dockerignore has no %s", line)
	}
	if last := slices.IndexFunc(have, func(line string) bool { return line[0] != '!' && line != "*" }); have[0] != "*" || slices.ContainsFunc(have[last:], func(line string) bool { return line[0] == '!' }) {
		t.Error(".dockerignore has its lines in another order than all, except, but not")
	}
}

// TestVersion: the version names the sources that the program was built from.
func TestVersion(t *testing.T) {
	const revision = "0123456789abcdef0123456789abcdef01234567"
	for _, c := range []struct {
		revision, modified, want string
	}{
		{"", "", Version},
		{revision, "false", Version + "+0123456789ab"},
		{revision, "true", Version + "+0123456789ab.modified"},
	} {
		build := []debug.BuildSetting{{Key: "vcs.revision", Value: c.revision}, {Key: "vcs.modified", Value: c.modified}}
		if got := versionFrom(build); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

// static checks that a program needs nothing beside itself, and holds no path of the machine it was built on.
func static(t *testing.T, name string) {
	t.Helper()
	f, err := elf.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the program needs a dynamic linker")
		}
	}
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(name); err != nil || strings.Contains(string(data), here) {
		t.Errorf("the program names the folder it was built in (%v)", err)
	}
}
