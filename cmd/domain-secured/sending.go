package main

import (
	"domain-secured/internal/config"
	"domain-secured/internal/gate"
	"domain-secured/internal/outgoing"
	"domain-secured/policy/tlsmap"
)

// sendingSettings are what the configuration says about outgoing mail.
func sendingSettings(cfg *config.Config, view *gate.Outside) outgoing.Settings {
	return outgoing.Settings{
		Snapshot: cfg.Snapshot, Outside: view,
		Bundles: outgoing.Bundles{Dir: cfg.TAFileDir, QueueDirectory: cfg.QueueDirectory},
	}
}

// postfixVersion is that of the oldest Postfix that asks; it has been checked.
func postfixVersion(cfg *config.Config) tlsmap.Version {
	v, _ := tlsmap.ParseVersion(cfg.PostfixVersion)
	return v
}
