package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"domain-secured/policy"
)

func TestEditList(t *testing.T) {
	const text = "# who we trade with\nwoodgrovebank.com # since 2019\n\n  Fabrikam.com.\t\nb\u00fccher.example\nwoodgrovebank.com\n# the end"
	for _, c := range []struct {
		what, before string
		edit         ListEdit
		after        string
		done         ListEdited
	}{
		{"add", text, ListEdit{Add: []string{"contoso.com"}}, text + "\ncontoso.com\n", ListEdited{Added: []string{"contoso.com"}}},
		{"add what is there", text, ListEdit{Add: []string{"fabrikam.com", "xn--bcher-kva.example"}}, text, ListEdited{Present: []string{"fabrikam.com", "xn--bcher-kva.example"}}},
		{
			"remove, each time it stands there", text, ListEdit{Remove: []string{"woodgrovebank.com"}},
			"# who we trade with\n\n  Fabrikam.com.\t\nb\u00fccher.example\n# the end", ListEdited{Removed: []string{"woodgrovebank.com"}},
		},
		{
			"remove, however it is written", text, ListEdit{Remove: []string{"fabrikam.com", "xn--bcher-kva.example", "contoso.com"}},
			"# who we trade with\nwoodgrovebank.com # since 2019\n\nwoodgrovebank.com\n# the end",
			ListEdited{Removed: []string{"fabrikam.com", "xn--bcher-kva.example"}, Absent: []string{"contoso.com"}},
		},
		{
			"both", "a.example\nb.example\n", ListEdit{Add: []string{"c.example", "b.example"}, Remove: []string{"a.example"}}, "b.example\nc.example\n",
			ListEdited{Added: []string{"c.example"}, Removed: []string{"a.example"}, Present: []string{"b.example"}},
		},
		{"to an empty list", "", ListEdit{Add: []string{"a.example"}}, "a.example\n", ListEdited{Added: []string{"a.example"}}},
		{"the last one", "a.example", ListEdit{Remove: []string{"a.example"}}, "", ListEdited{Removed: []string{"a.example"}}},
		{"the same twice", "", ListEdit{Add: []string{"a.example", "a.example"}}, "a.example\n", ListEdited{Added: []string{"a.example"}, Present: []string{"a.example"}}},
		{"nothing", text, ListEdit{}, text, ListEdited{}},
		{"after a byte order mark", "\ufeffa.example\nb.example\n", ListEdit{Add: []string{"a.example"}}, "\ufeffa.example\nb.example\n", ListEdited{Present: []string{"a.example"}}},
		{"the one after a byte order mark", "\ufeffa.example\nb.example\n", ListEdit{Remove: []string{"a.example"}}, "b.example\n", ListEdited{Removed: []string{"a.example"}}},
		{"another after a byte order mark", "\ufeff# x\na.example\n", ListEdit{Remove: []string{"a.example"}}, "\ufeff# x\n", ListEdited{Removed: []string{"a.example"}}},
		{"CRLF", "# x\r\na.example\r\nb.example # y\r\n", ListEdit{Remove: []string{"a.example"}}, "# x\r\nb.example # y\r\n", ListEdited{Removed: []string{"a.example"}}},
		{"CRLF, there already", "# x\r\na.example\r\n", ListEdit{Add: []string{"a.example"}}, "# x\r\na.example\r\n", ListEdited{Present: []string{"a.example"}}},
	} {
		t.Run(c.what, func(t *testing.T) {
			list := writeFiles(t, map[string]string{"x.list": c.before}, "x.list")
			before := stateOf(list)
			done, err := EditList(list, c.edit)
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(done) != fmt.Sprint(c.done) {
				t.Errorf("done %+v, want %+v", done, c.done)
			}
			if got := read(t, list); got != c.after {
				t.Errorf("the list is\n%q\nnot\n%q", got, c.after)
			}
			if c.before == c.after && stateOf(list) != before {
				t.Error("written without need")
			}
			if left := files(t, filepath.Dir(list)); !slices.Equal(left, []string{"x.list", "x.list.lock"}) {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// TestEditListCRLF: a line that is added reads as one, whatever ends the others.
func TestEditListCRLF(t *testing.T) {
	for _, before := range []string{"# x\r\na.example\r\n", "# x\r\na.example", "\ufeff", "a.example # x\r"} {
		list := writeFiles(t, map[string]string{"x.list": before}, "x.list")
		if _, err := EditList(list, ListEdit{Add: []string{"b.example"}}); err != nil {
			t.Fatal(err)
		}
		after := read(t, list)
		parsed, err := policy.ParseList(after)
		if err != nil || !parsed.Contains("b.example") || !strings.HasPrefix(after, before) {
			t.Errorf("%q became %q: %v", before, after, err)
		}
	}
}

func TestEditListKeepsTheFile(t *testing.T) {
	dir := t.TempDir()
	real := filepath.Join(dir, "lists", "real.list")
	if err := os.Mkdir(filepath.Dir(real), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, real, "a.example\n")
	owner := os.Getuid()
	if owner == 0 {
		owner = 12345
		if err := os.Chown(real, owner, 23456); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(real, 0o604); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "x.list")
	if err := os.Symlink("lists/real.list", link); err != nil {
		t.Fatal(err)
	}
	if _, err := EditList(link, ListEdit{Add: []string{"b.example"}}); err != nil {
		t.Fatal(err)
	}
	if target, err := os.Readlink(link); err != nil || target != "lists/real.list" {
		t.Errorf("the link leads to %q: %v", target, err)
	}
	info, err := os.Lstat(real)
	if err != nil {
		t.Fatal(err)
	}
	sys := info.Sys().(*syscall.Stat_t)
	if info.Mode() != 0o604 || int(sys.Uid) != owner || os.Getuid() == 0 && sys.Gid != 23456 {
		t.Errorf("the list is %v of %d:%d", info.Mode(), sys.Uid, sys.Gid)
	}
	if got := read(t, link); got != "a.example\nb.example\n" {
		t.Errorf("%q", got)
	}
	// The lock is the file's, whatever name it is edited by.
	if left := files(t, dir); !slices.Equal(left, []string{"lists", "x.list"}) {
		t.Errorf("beside the link: %q", left)
	}
}

func TestEditListRefuses(t *testing.T) {
	dir := t.TempDir()
	list := filepath.Join(dir, "x.list")
	add := ListEdit{Add: []string{"b.example"}}
	var problems Problems
	_, err := EditList(list, add)
	if want := list + ": the list does not exist (for an empty list make an empty file: touch " + list + ")"; err == nil || err.Error() != want || !errors.As(err, &problems) {
		t.Errorf("no list: %v", err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "dangling")); err != nil {
		t.Fatal(err)
	}
	if _, err := EditList(filepath.Join(dir, "dangling"), add); !errors.As(err, &problems) {
		t.Errorf("a link to nowhere: %v", err)
	}
	if _, err := EditList(dir, add); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a folder: %v", err)
	}
	if err := os.Remove(dir + ".lock"); err != nil {
		t.Error(err)
	}
	const bad = "a.example\nnonsense\n"
	write(t, list, bad)
	before := stateOf(list)
	_, err = EditList(list, add)
	if want := list + `:2: "nonsense" is not a domain: it has a single label`; err == nil || err.Error() != want {
		t.Errorf("a bad line: %v", err)
	}
	if stateOf(list) != before || read(t, list) != bad {
		t.Error("a list with a bad line was touched")
	}
}

// TestEditListPermission does as nobody would, on one thread alone.
func TestEditListPermission(t *testing.T) {
	if os.Getuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("only root can be someone else")
		}
		t.Skip("only root can be someone else")
	}
	list := writeFiles(t, map[string]string{"x.list": "a.example\n"}, "x.list")
	// The folder of this test must be open to everyone, that the list is not.
	for dir := filepath.Dir(list); dir != os.TempDir() && len(dir) > 1; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	edit := func() (err error) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread() // not unlocked: the thread ends with the goroutine
			if err = syscall.Setfsuid(65534); err == nil {
				_, err = EditList(list, ListEdit{Add: []string{"b.example"}})
			}
		}()
		<-done
		return err
	}
	if err := edit(); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("in a folder of root's: %v", err)
	}
	// The folder may be written, but the list is another's and would not stay so.
	if err := os.Chmod(filepath.Dir(list), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := edit(); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a list of root's: %v", err)
	}
	if got := read(t, list); got != "a.example\n" {
		t.Errorf("%q", got)
	}
	if left := files(t, filepath.Dir(list)); !slices.Equal(left, []string{"x.list", "x.list.lock"}) {
		t.Errorf("left behind: %q", left)
	}
	if err := os.Chmod(list, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := edit(); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a list that cannot be read: %v", err)
	}
}

// TestEditListAtOnce: edits at the same time, by goroutines and by processes,
// lose nothing.
func TestEditListAtOnce(t *testing.T) {
	list := writeFiles(t, map[string]string{"x.list": "# ours\ngone.example\n"}, "x.list")
	link := filepath.Join(filepath.Dir(list), "link")
	if err := os.Symlink("x.list", link); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	var wait sync.WaitGroup
	edit := func(i int) {
		domains := make([]string, 4)
		for j := range domains {
			domains[j] = fmt.Sprintf("d%d-%d.example", i, j)
		}
		all = append(all, domains...)
		wait.Go(func() {
			if i%2 == 0 {
				for _, d := range domains {
					if _, err := EditList(list, ListEdit{Add: []string{d}}); err != nil {
						t.Error(err)
					}
				}
				return
			}
			cmd := exec.Command(self)
			cmd.Env = append(os.Environ(), "TEST_EDIT_LIST="+link, "TEST_EDIT_DOMAINS="+strings.Join(domains, " "))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	for i := range 8 {
		edit(i)
	}
	removed := 0
	wait.Go(func() {
		done, err := EditList(list, ListEdit{Remove: []string{"gone.example"}})
		if err != nil {
			t.Error(err)
		}
		removed = len(done.Removed)
	})
	// Whoever reads meanwhile sees a whole list.
	stop := make(chan struct{})
	reading := make(chan struct{})
	go func() {
		defer close(reading)
		for {
			select {
			case <-stop:
				return
			default:
			}
			text, err := os.ReadFile(list)
			if err != nil || !strings.HasPrefix(string(text), "# ours\n") || string(text) != "# ours\n" && !strings.HasSuffix(string(text), ".example\n") {
				t.Errorf("while it is edited: %q, %v", text, err)
				return
			}
			runtime.Gosched()
		}
	}()
	wait.Wait()
	close(stop)
	<-reading
	parsed, err := policy.ParseList(read(t, list))
	if err != nil {
		t.Fatal(err)
	}
	if removed != 1 || parsed.Len() != len(all) {
		t.Errorf("%d removed, %d domains of %d", removed, parsed.Len(), len(all))
	}
	for _, d := range all {
		if !parsed.Contains(d) {
			t.Errorf("%s is lost", d)
		}
	}
	if left := files(t, filepath.Dir(list)); !slices.Equal(left, []string{"link", "x.list", "x.list.lock"}) {
		t.Errorf("left behind: %q", left)
	}
}

// editAsAnotherProcess is what the processes of the test above do.
func editAsAnotherProcess(list string, domains []string) (code int) {
	for _, d := range domains {
		if _, err := EditList(list, ListEdit{Add: []string{d}}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return 0
}

// TestEditListLocked: an edit that does not end does not hold up others for ever.
func TestEditListLocked(t *testing.T) {
	list := writeFiles(t, map[string]string{"x.list": ""}, "x.list")
	unlock, err := lock(list + ".lock")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		if _, err := EditList(list, ListEdit{Add: []string{"a.example"}}); !errors.Is(err, ErrLocked) {
			t.Errorf("locked: %v", err)
		}
	})
	unlock()
	if _, err := EditList(list, ListEdit{Add: []string{"a.example"}}); err != nil {
		t.Errorf("unlocked: %v", err)
	}
}

func read(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// files are the names in a folder.
func files(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
