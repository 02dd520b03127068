package maillog

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestTruncatedAndAsLongAgain: a log that is copied and truncated may have grown to the
// very same size before it is looked at again, and end with the same line.
func TestTruncatedAndAsLongAgain(t *testing.T) {
	name := filepath.Join(t.TempDir(), "mail.log")
	var got []string
	follower := &tail{name: name, line: func(line string) { got = append(got, line) }}
	defer follower.close()
	last := strings.Repeat("disconnect ", 20)
	want := []string{}
	for _, first := range []string{"message 4", "message 5"} {
		if err := os.WriteFile(name, []byte(first+"\n"+last+"\n"), 0o644); err != nil { // in place
			t.Fatal(err)
		}
		for range 2 {
			if err := follower.look(t.Context(), io.SeekStart); err != nil {
				t.Fatal(err)
			}
		}
		if want = append(want, first, last); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
