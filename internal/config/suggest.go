package config

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/BurntSushi/toml"
)

// didYouMean is a clause that offers the nearest of the known names, or "".
func didYouMean(name string, known []string) string {
	if near := Nearest(name, known); near != "" {
		return fmt.Sprintf(" (did you mean %q?)", near)
	}
	return ""
}

// Nearest returns the known name that name was most likely meant to be, or "" if
// none is near.
func Nearest(name string, known []string) string {
	best, least := "", len(name)/3+2
	for _, k := range known {
		if d := distance(strings.ToLower(name), k); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is the number of letters to insert, remove or replace to get from a
// to b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

var keysType = reflect.TypeFor[keys]()

// knownBeside returns the names that could stand where the last name of an
// unknown key stands.
func knownBeside(key toml.Key) []string {
	t := keysType
	for _, name := range key[:len(key)-1] {
		for t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		if t == reflect.TypeFor[map[string]toml.Primitive]() {
			t = reflect.TypeFor[partnerKeys]()
			continue
		}
		field, found := fieldNamed(t, name)
		if !found {
			return nil
		}
		t = field
	}
	for t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	return fieldNames(t)
}

func fieldNamed(t reflect.Type, name string) (reflect.Type, bool) {
	if t.Kind() != reflect.Struct {
		return nil, false
	}
	for field := range t.Fields() {
		if field.Anonymous {
			if found, ok := fieldNamed(field.Type, name); ok {
				return found, true
			}
		} else if field.Tag.Get("toml") == name {
			return field.Type, true
		}
	}
	return nil, false
}

func fieldNames(t reflect.Type) []string {
	if t.Kind() != reflect.Struct {
		return nil
	}
	var names []string
	for field := range t.Fields() {
		if field.Anonymous {
			names = append(names, fieldNames(field.Type)...)
		} else {
			names = append(names, field.Tag.Get("toml"))
		}
	}
	return names
}
