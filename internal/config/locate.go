package config

import (
	"strings"

	"github.com/BurntSushi/toml"
)

// locate returns the line of a TOML text on which the value at path begins, or
// 0. The text must parse as a whole.
//
// The TOML library does not say where a key stands, and a second reader of TOML
// would not always agree with it. So the library is asked: the line searched is
// the first after the longest beginning of the text that parses and does not
// hold the key yet. That costs a few parses, and only when something is wrong.
func locate(text string, path []any) int {
	lines := strings.SplitAfter(text, "\n")
	if !holds(text, path) {
		return 0
	}
	// Beginnings that end in the middle of a value do not parse; next finds the
	// end of the value.
	next := func(n int) (end int, has bool) {
		for ; n < len(lines); n++ {
			if beginning := strings.Join(lines[:n], ""); parses(beginning) {
				return n, holds(beginning, path)
			}
		}
		return len(lines), true
	}
	without, with := 0, len(lines)
	for without+1 < with {
		middle := (without + with) / 2
		if end, has := next(middle); has {
			with = middle // nothing from here to end parses
		} else {
			without = end
		}
	}
	return without + 1
}

func parses(text string) bool {
	var any map[string]any
	_, err := toml.Decode(text, &any)
	return err == nil
}

// holds reports whether the TOML text has a value at path.
func holds(text string, path []any) bool {
	var root map[string]any
	if _, err := toml.Decode(text, &root); err != nil {
		return false
	}
	var at any = root
	for _, element := range path {
		switch element := element.(type) {
		case string:
			table, isTable := at.(map[string]any)
			if !isTable {
				return false
			}
			if at, isTable = table[element]; !isTable {
				return false
			}
		case int:
			tables := arrayOf(at)
			if element >= len(tables) {
				return false
			}
			at = tables[element]
		}
	}
	return true
}

// tableAt reports whether the text has a value of that name, and whether it is a
// table.
func tableAt(text, name string) (has, isTable bool) {
	var root map[string]any
	if _, err := toml.Decode(text, &root); err != nil {
		return false, false
	}
	value, has := root[name]
	_, isTable = value.(map[string]any)
	return has, isTable
}

// arrayOf returns the elements of an array, of tables or of anything.
func arrayOf(v any) []any {
	switch v := v.(type) {
	case []any:
		return v
	case []map[string]any:
		elements := make([]any, len(v))
		for i := range v {
			elements[i] = v[i]
		}
		return elements
	}
	return nil
}

// withIndex turns a key of the TOML library, which leaves out which element of
// an array it is in, into the first path that the text holds.
func withIndex(text string, key toml.Key) []any {
	path := make([]any, 0, len(key)+1)
	var root map[string]any
	if _, err := toml.Decode(text, &root); err != nil {
		return nil
	}
	var at any = root
	for i, name := range key {
		for n, element := range arrayOf(at) {
			if table, isTable := element.(map[string]any); isTable && hasPath(table, key[i:]) {
				path, at = append(path, n), table
				break
			}
		}
		path = append(path, name)
		table, _ := at.(map[string]any)
		at = table[name]
	}
	return path
}

func hasPath(table map[string]any, key toml.Key) bool {
	value, has := table[key[0]]
	if !has || len(key) == 1 {
		return has
	}
	below, isTable := value.(map[string]any)
	return isTable && hasPath(below, key[1:])
}
