package main

import (
	"fmt"
	"math"
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
	Expires  int64  `json:"expires"`
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
	// When it expires; 0 for never.
	expires int64
	// Whether that has happened.
	over bool
}

var absent = entry{}

// outcomes names what each operation may answer, besides "unknown".
var outcomes = map[string][]string{
	"get":       {"ok", "absent"},
	"set":       {"ok"},
	"create":    {"ok", "conflict"},
	"cas":       {"ok", "conflict"},
	"swap":      {"ok", "conflict"},
	"increment": {"ok"},
	"delete":    {"ok", "absent", "conflict"},
}

// check says what is wrong with a record by itself.
func (r record) check() error {
	allowed, known := outcomes[r.Op]
	if !known {
		return fmt.Errorf("no operation %q", r.Op)
	}
	if r.Outcome == "unknown" && r.Op != "get" {
		return nil
	}
	if r.Return == nil {
		return fmt.Errorf("it has an outcome and did not return")
	}
	if *r.Return < r.Call {
		return fmt.Errorf("it returned before it was called")
	}
	for _, outcome := range allowed {
		if r.Outcome == outcome {
			return nil
		}
	}
	return fmt.Errorf("%s cannot end in %q", r.Op, r.Outcome)
}

// expiry is the operation by which what this write has written is over, at the earliest at its instant and at the latest
// when both that instant and the write are past. A write that was never answered may have come after its own end.
func (r record) expiry(slack int64) (porcupine.Operation, bool) {
	if r.Expires == 0 {
		return porcupine.Operation{}, false
	}
	end := int64(math.MaxInt64)
	if r.Outcome != "unknown" {
		end = r.Expires
		if end < *r.Return {
			end = *r.Return
		}
		end += slack
	}
	from := r.Expires - slack
	input := record{Client: clockClient, Key: r.Key, Op: "expire", Outcome: "ok", Expires: r.Expires, Call: from}
	return porcupine.Operation{ClientId: clockClient, Input: input, Call: from, Return: end}, true
}

// clockClient is who lets entries expire.
const clockClient = -1

// model is the meaning of one key, where the instants of clients and servers differ by no more than slack.
func model(slack int64) porcupine.Model {
	model := porcupine.NondeterministicModel{
		Init: func() []interface{} { return []interface{}{absent} },
		Step: func(state, input, _ interface{}) []interface{} {
			return steps(state.(entry), input.(record), slack)
		},
		DescribeOperation: func(input, _ interface{}) string { return describe(input.(record)) },
		DescribeState: func(state interface{}) string {
			now := state.(entry)
			if !now.there {
				return "absent"
			}
			text := fmt.Sprintf("%q (%s)", now.value, now.version)
			if now.over {
				text += ", expired"
			}
			return text
		},
	}
	return model.ToModel()
}

// steps gives all states that the record can lead to from this one; none where it cannot happen.
//
// What has expired is gone. But each call reads the clock once and judges by that: one that began before the end, and was
// held up, may still find the entry, and writes where it is.
func steps(now entry, r record, slack int64) []interface{} {
	if r.Op == "expire" {
		if now.there && now.expires == r.Expires {
			now.over = true
		}
		return []interface{}{now}
	}
	var next []interface{}
	if !now.there || now.over {
		if possible, after := step(absent, r); possible {
			if after == absent {
				// Nothing was written: who is held up may still find it.
				after = now
			}
			next = append(next, after)
		}
	}
	if now.there && (now.expires == 0 || r.Call <= now.expires+slack) {
		if possible, after := step(now, r); possible {
			next = append(next, after)
		}
	}
	return next
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
		return write(now, r, true)
	case "create":
		return write(now, r, !now.there)
	case "cas":
		return write(now, r, now.is(r.Expected))
	case "swap":
		return write(now, r, now.value == r.Expected)
	case "increment":
		count, err := now.count()
		if err != nil {
			// What is no number stays: the service refuses, and a client that was told of success was told wrong.
			return !told, now
		}
		next := now
		if !now.there || r.Expires != 0 {
			next = entry{expires: r.Expires}
		}
		next.there, next.value, next.version = true, strconv.FormatInt(count+r.Delta, 10), r.Version
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
	}
	return false, now
}

// write is a set under a condition.
func write(now entry, r record, holds bool) (bool, entry) {
	if holds {
		return r.Outcome != "conflict", entry{there: true, value: r.Value, version: r.Version, expires: r.Expires}
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
	case "cas", "swap":
		asked += fmt.Sprintf("(%s → %q)", r.Expected, r.Value)
	case "increment":
		asked += fmt.Sprintf("(%d)", r.Delta)
	case "delete":
		asked += "(" + r.Expected + ")"
	}
	if r.Expires != 0 {
		asked += fmt.Sprintf(" until %d", r.Expires)
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
