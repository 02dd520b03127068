package postconf

import "testing"

func TestVersion(t *testing.T) {
	for text, want := range map[string]version{"3.7.11": {3, 7, 11}, "3.12-20260821": {3, 12, 0}, "": {}, "x.1": {0, 1, 0}, "3.10": {3, 10, 0}} {
		if got := (&Settings{Version: text}).version(); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	for text, want := range map[string]bool{"3.7.11": false, "3.8.16": false, "3.9.0": false, "3.9.4": false, "3.9.9": true, "3.10.0": false, "3.10.13": true, "3.11.0": true, "3.12-20260821": true} {
		if got := (&Settings{Version: text}).version().knowsShutdown(); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
