package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"domain-secured/policy"
)

// TestDefaultsAreDocumented loads the sample of docs/configuration.md, which
// states every default, beside an empty file: they must come to the same.
func TestDefaultsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, sample, _ := strings.Cut(string(page), "```toml\n")
	sample, _, _ = strings.Cut(sample, "```\n")
	load := func(name, text string) *Config {
		dir := t.TempDir()
		for file, content := range map[string]string{"receive.list": "woodgrovebank.com\ntailspintoys.com\n", "send.list": "", name: text} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		c, err := Load(filepath.Join(dir, name), func([]string) (*policy.Roots, string, error) { return nil, "", nil })
		if err != nil {
			t.Fatal(err)
		}
		c.File, c.Lists, c.Warnings, c.ownWarnings, c.listStates = "", Lists{}, nil, nil, [2]fileState{}
		return c
	}
	documented, empty := load("documented.toml", sample), load("empty.toml", "")
	p := documented.Snapshot.Partners["woodgrovebank.com"]
	if p == nil || len(documented.Snapshot.Connectors) != 1 {
		t.Fatal("the sample has no partner or no connector")
	}
	likeDefaults := *p
	likeDefaults.Domain = ""
	if !reflect.DeepEqual(&likeDefaults, empty.Snapshot.Defaults) {
		t.Errorf("partner:\n got %+v\nwant %+v", likeDefaults, *empty.Snapshot.Defaults)
	}
	if !reflect.DeepEqual(documented.Snapshot.Defaults, empty.Snapshot.Defaults) {
		t.Errorf("defaults:\n got %+v\nwant %+v", *documented.Snapshot.Defaults, *empty.Snapshot.Defaults)
	}
	documented.Snapshot, empty.Snapshot = nil, nil
	// Written out, for an empty slice is as good as none.
	if got, want := fmt.Sprintf("%+v", *documented), fmt.Sprintf("%+v", *empty); got != want {
		t.Errorf("settings:\n got %s\nwant %s", got, want)
	}
}
