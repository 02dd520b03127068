package policy

import (
	"os"
	"strings"
	"testing"
)

// TestReasonsAreDocumented holds docs/reasons.md against the rulings: every
// reason in the same order, with its replies.
func TestReasonsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/reasons.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "| `") {
			cells := strings.Split(line, " | ")
			documented = append(documented, strings.Join([]string{strings.Trim(cells[0], "| `"), cells[1], cells[2]}, " "))
		}
	}
	var want []string
	for _, reason := range Reasons() {
		r := rulings[reason]
		permanent := "-"
		if r.permanent != (code{}) {
			permanent = r.permanent.basic + " " + r.permanent.enhanced
		}
		want = append(want, string(reason)+" "+r.temporary.basic+" "+r.temporary.enhanced+" "+permanent)
	}
	if got, want := strings.Join(documented, "\n"), strings.Join(want, "\n"); got != want {
		t.Errorf("documented:\n%s\nwant:\n%s", got, want)
	}
}
