package main

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestJSONForTerminals(t *testing.T) {
	const hostile = "\u202emoc.oso\u009b31m\x1b[31m\x7f\U000e0041\xff<é>"
	var out bytes.Buffer
	c := &call{streams: streams{out: &out}}
	if err := c.printJSON(map[string]string{"name": hostile}); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "{\n  \"name\": \"\\u202emoc.oso\\u009b31m\\u001b[31m\\u007f\\udb40\\udc41\\ufffd<é>\"\n}\n"; got != want {
		t.Errorf("%q\n%q", got, want)
	}
	var read map[string]string
	if err := json.Unmarshal(out.Bytes(), &read); err != nil || read["name"] != "\u202emoc.oso\u009b31m\x1b[31m\x7f\U000e0041\ufffd<é>" {
		t.Errorf("%v, %q", err, read["name"])
	}
}
