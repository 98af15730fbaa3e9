package main

import (
	"fmt"
	"strconv"

	"github.com/anishathalye/porcupine"
)

// A record is one line of a history: what a client asked of one key, and what it was told. README.md says what each
// field means.
type record struct {
	Client   int    `json:"client"`
	Key      string `json:"key"`
	Op       string `json:"op"`
	Value    string `json:"value"`
	Expected string `json:"expected"`
	Delta    int64  `json:"delta"`
	Call     int64  `json:"call"`
	Return   *int64 `json:"return"`
	Outcome  string `json:"outcome"`
	Seen     string `json:"seen"`
	Version  string `json:"version"`
}

// An entry is all that a key's history can tell about its state. A version is empty where the write that made it was
// never answered, and nobody has read it since.
type entry struct {
	there   bool
	value   string
	version string
}

var absent = entry{}

// outcomes names what each operation may answer, besides "unknown".
var outcomes = map[string][]string{
	"get":       {"ok", "absent"},
	"set":       {"ok"},
	"create":    {"ok", "conflict"},
	"cas":       {"ok", "conflict"},
	"increment": {"ok"},
	"delete":    {"ok", "absent", "conflict"},
	"expire":    {"ok"},
}

// check says what is wrong with a record by itself.
func (r record) check() error {
	allowed, known := outcomes[r.Op]
	if !known {
		return fmt.Errorf("no operation %q", r.Op)
	}
	if r.Outcome == "unknown" && r.Op != "get" && r.Op != "expire" {
		return nil
	}
	if r.Return != nil && *r.Return < r.Call {
		return fmt.Errorf("it returned before it was called")
	}
	if r.Return == nil && r.Op != "expire" {
		return fmt.Errorf("it has an outcome and did not return")
	}
	for _, outcome := range allowed {
		if r.Outcome == outcome {
			return nil
		}
	}
	return fmt.Errorf("%s cannot end in %q", r.Op, r.Outcome)
}

// model is the meaning of one key.
var model = porcupine.Model{
	Init: func() interface{} { return absent },
	Step: func(state, input, _ interface{}) (bool, interface{}) {
		return step(state.(entry), input.(record))
	},
	DescribeOperation: func(input, _ interface{}) string { return describe(input.(record)) },
	DescribeState: func(state interface{}) string {
		now := state.(entry)
		if !now.there {
			return "absent"
		}
		return fmt.Sprintf("%q (%s)", now.value, now.version)
	},
}

// step says whether the record can happen in this state, and what comes of it. An outcome that is unknown allows
// whatever the state makes of the request.
func step(now entry, r record) (bool, entry) {
	told := r.Outcome != "unknown"
	switch r.Op {
	case "get":
		if r.Outcome == "absent" {
			return !now.there, now
		}
		return now.seen(r.Seen, r.Version)
	case "set":
		return true, entry{true, r.Value, r.Version}
	case "create":
		return write(now, r, !now.there)
	case "cas":
		return write(now, r, now.is(r.Expected))
	case "increment":
		count, err := now.count()
		if err != nil {
			// What is no number stays: the service refuses, and a client that was told of success was told wrong.
			return !told, now
		}
		count += r.Delta
		next := entry{true, strconv.FormatInt(count, 10), r.Version}
		return !told || r.Seen == next.value, next
	case "delete":
		switch {
		case r.Expected != "" && !now.is(r.Expected):
			return !told || r.Outcome == "conflict", now
		case !now.there:
			return !told || r.Outcome == "absent", now
		default:
			return !told || r.Outcome == "ok", absent
		}
	case "expire":
		if now.there && (r.Version != "" && now.version == r.Version || r.Version == "" && now.value == r.Value) {
			return true, absent
		}
		return true, now
	}
	return false, now
}

// write is a set under a condition.
func write(now entry, r record, holds bool) (bool, entry) {
	if holds {
		return r.Outcome != "conflict", entry{true, r.Value, r.Version}
	}
	return r.Outcome != "ok", now
}

// is says whether the entry has this version. One that nobody has read yet cannot be the one that a client knows.
func (now entry) is(version string) bool {
	return now.there && version != "" && now.version == version
}

// seen says whether a reader can have seen this value and version here; from then on the version is known.
func (now entry) seen(value, version string) (bool, entry) {
	if !now.there || now.value != value {
		return false, now
	}
	if version == "" {
		return true, now
	}
	if now.version == "" {
		now.version = version
	}
	return now.version == version, now
}

func (now entry) count() (int64, error) {
	if !now.there {
		return 0, nil
	}
	return strconv.ParseInt(now.value, 10, 64)
}

func describe(r record) string {
	asked := r.Op
	switch r.Op {
	case "set", "create":
		asked += fmt.Sprintf("(%q)", r.Value)
	case "cas":
		asked += fmt.Sprintf("(%s → %q)", r.Expected, r.Value)
	case "increment":
		asked += fmt.Sprintf("(%d)", r.Delta)
	case "delete":
		asked += "(" + r.Expected + ")"
	}
	told := r.Outcome
	if r.Seen != "" {
		told += fmt.Sprintf(" %q", r.Seen)
	}
	if r.Version != "" {
		told += " " + r.Version
	}
	return asked + ": " + told
}
