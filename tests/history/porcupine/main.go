// Command history says whether what clients saw of a key-value store can be explained by one order of their operations
// that fits the times at which they happened.
//
//	history [-timeout 60s] [-slack UNITS] [-html FOLDER] FILE...
//
// It reads one JSON object a line (README.md); several files, as of several processes, are one history. It ends with 0
// where every key's history is linearizable, 1 where one is not, 2 where the time was too short to tell, 3 where the
// input is no history.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"sort"
	"time"

	"github.com/anishathalye/porcupine"
)

func main() {
	timeout := flag.Duration("timeout", time.Minute, "how long to look at one key; 0 for ever")
	slack := flag.Int64("slack", 0, "by how much the instants of expiry may differ from the times of calls")
	html := flag.String("html", "", "folder for a drawing of each key that fails")
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(3)
	}
	keys := map[string][]porcupine.Operation{}
	for _, path := range flag.Args() {
		if err := readFile(path, *slack, keys); err != nil {
			fmt.Fprintf(os.Stderr, "history: %s: %v\n", path, err)
			os.Exit(3)
		}
	}
	os.Exit(judge(keys, model(*slack), *timeout, *html))
}

func readFile(path string, slack int64, keys map[string][]porcupine.Operation) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return read(file, slack, keys)
}

// read sorts the operations by key. One that was never answered may take effect at any time after its call, or never:
// it stays open to the end. Each write that expires brings an operation of its own along.
func read(input io.Reader, slack int64, keys map[string][]porcupine.Operation) error {
	lines := bufio.NewScanner(input)
	lines.Buffer(nil, 64<<20)
	for number := 1; lines.Scan(); number++ {
		var r record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		if err := r.check(); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		end := int64(math.MaxInt64)
		if r.Return != nil && r.Outcome != "unknown" {
			end = *r.Return
		}
		operation := porcupine.Operation{ClientId: r.Client, Input: r, Call: r.Call, Return: end}
		keys[r.Key] = append(keys[r.Key], operation)
		if expiry, expires := r.expiry(slack); expires {
			keys[r.Key] = append(keys[r.Key], expiry)
		}
	}
	return lines.Err()
}

func judge(keys map[string][]porcupine.Operation, model porcupine.Model, timeout time.Duration, html string) int {
	names := make([]string, 0, len(keys))
	for name := range keys {
		names = append(names, name)
	}
	sort.Strings(names)
	operations, wrong, undecided := 0, 0, 0
	for index, name := range names {
		history := keys[name]
		operations += len(history)
		result := check(history, model, timeout)
		switch result {
		case porcupine.Illegal:
			wrong++
			fmt.Printf("%q: NOT linearizable (%d operations)%s\n", name, len(history), draw(history, model, timeout, html, index))
		case porcupine.Unknown:
			undecided++
			fmt.Printf("%q: undecided after %s (%d operations)\n", name, timeout, len(history))
		}
	}
	fmt.Printf("%d keys, %d operations: %d not linearizable, %d undecided\n", len(names), operations, wrong, undecided)
	switch {
	case wrong > 0:
		return 1
	case undecided > 0:
		return 2
	default:
		return 0
	}
}

// check looks first whether all can be explained without those operations that were never answered and wrote what nobody
// ever saw: that they never happened is one of the things that may be. Only if not, they join in, and each of them doubles
// the work.
func check(history []porcupine.Operation, model porcupine.Model, timeout time.Duration) porcupine.CheckResult {
	if fewer := withoutUnseen(history); len(fewer) < len(history) {
		if porcupine.CheckOperationsTimeout(model, fewer, timeout) == porcupine.Ok {
			return porcupine.Ok
		}
	}
	return porcupine.CheckOperationsTimeout(model, history, timeout)
}

func withoutUnseen(history []porcupine.Operation) []porcupine.Operation {
	seen := map[string]bool{}
	for _, operation := range history {
		seen[operation.Input.(record).Seen] = true
	}
	var kept []porcupine.Operation
	for _, operation := range history {
		r := operation.Input.(record)
		if r.Outcome != "unknown" || r.Value == "" || seen[r.Value] {
			kept = append(kept, operation)
		}
	}
	return kept
}

// draw makes a page on which a person sees where no order goes on.
func draw(history []porcupine.Operation, model porcupine.Model, timeout time.Duration, folder string, index int) string {
	if folder == "" {
		return ""
	}
	_, info := porcupine.CheckOperationsVerbose(model, history, timeout)
	path := filepath.Join(folder, fmt.Sprintf("key-%d.html", index))
	if err := porcupine.VisualizePath(model, info, path); err != nil {
		return ": no drawing: " + err.Error()
	}
	return ": " + path
}
