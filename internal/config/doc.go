// Package config turns the TOML file and the list files into one immutable
// [Config], and notices when the list files change.
//
// It is strict: an unknown key, a value out of place or a contradiction is a
// [Problem] with file and line, and nothing is taken over unless all of it is
// right. Everything has a default (defaults.go); the keys are in keys.go.
package config
