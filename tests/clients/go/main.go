// Command go-clients drives one Go client for the suite: `go-clients CLIENT BOOTSTRAP` answers the
// JSON lines described in python/protocol.py.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/IBM/sarama"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	requestTimeout = 60 * time.Second
	metadataAge    = 100 * time.Millisecond // the suite makes topics all the time
)

type record struct {
	Partition *int32   `json:"partition"`
	Key       []byte   `json:"key"`
	Value     []byte   `json:"value"`
	Headers   []header `json:"headers"`
	Timestamp *int64   `json:"timestamp"`
	Offset    int64    `json:"offset"`
}

type header struct {
	name  string
	value []byte
}

func (h header) MarshalJSON() ([]byte, error) { return json.Marshal([]any{h.name, h.value}) }

func (h *header) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&h.name, &h.value})
}

// request holds the fields of every operation.
type request struct {
	Op          string             `json:"op"`
	Topic       string             `json:"topic"`
	Partitions  int32              `json:"partitions"`
	Replication int16              `json:"replication"`
	Configs     map[string]string  `json:"configs"`
	Kind        string             `json:"kind"`
	Name        string             `json:"name"`
	Changes     map[string]*string `json:"changes"`
	Replacing   bool               `json:"replacing"`
	Partition   int32              `json:"partition"`
	At          any                `json:"at"`
	Records     []record           `json:"records"`
	Codec       string             `json:"codec"`
	Acks        string             `json:"acks"`
	Idempotent  bool               `json:"idempotent"`
	MaxBytes    int32              `json:"max_bytes"`
	Start       [][2]int64         `json:"start"`
	Count       int                `json:"count"`
	Reset       string             `json:"reset"`
	FetchBytes  int32              `json:"fetch_bytes"`
	WaitMs      int                `json:"wait_ms"`
	ID          string             `json:"id"`
	IDs         []string           `json:"ids"`
	Group       string             `json:"group"`
	Topics      []string           `json:"topics"`
	Pattern     *string            `json:"pattern"`
	Protocol    string             `json:"protocol"`
	Assignor    string             `json:"assignor"`
	Instance    string             `json:"instance"`
	SessionMs   int                `json:"session_ms"`
	Ms          int                `json:"ms"`
	Offsets     []groupOffset      `json:"offsets"`
	Places      []place            `json:"places"`
	Key         int16              `json:"key"`
	Version     int16              `json:"version"`
	Body        map[string]any     `json:"body"`
}

type adapter interface {
	create(ctx context.Context, r request) error
	delete(ctx context.Context, r request) error
	partitions(ctx context.Context, r request) (int, error)
	configs(ctx context.Context, r request) (map[string]string, error)
	alter(ctx context.Context, r request) error
	grow(ctx context.Context, r request) error
	offset(ctx context.Context, r request) (int64, error)
	produce(ctx context.Context, r request) ([]int64, error)
	consume(ctx context.Context, r request) ([]record, error)
}

// unsupported says which feature the client lacks.
type unsupported string

func (u unsupported) Error() string { return string(u) }

// codeError is Kafka's error code, where a client has only a refusal of its own.
type codeError int

func (c codeError) Error() string { return fmt.Sprintf("the client's own error %d", int(c)) }

const (
	offsetOutOfRange                  = 1
	unknownTopicOrPartition codeError = 3
)

const (
	earliest     = -2
	latest       = -1
	maxTimestamp = -3
)

// timestamp is what ListOffsets calls the field `at`.
func (r request) timestamp() int64 {
	if name, ok := r.At.(string); ok {
		return map[string]int64{
			"earliest": earliest, "latest": latest, "max_timestamp": maxTimestamp}[name]
	}
	return int64(r.At.(float64))
}

func main() {
	bootstrap := os.Args[2]
	if os.Args[1] == "wire" {
		w := newWire(bootstrap)
		serve(func(_ context.Context, r request) (any, error) { return w.ask(r) })
		return
	}
	client := map[string]func(string) (adapter, error){
		"franz-go": newFranz, "sarama": newSarama, "kafka-go": newKafkaGo}[os.Args[1]]
	a, err := client(bootstrap)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	serve(func(ctx context.Context, r request) (any, error) { return perform(ctx, a, r) })
}

func serve(perform func(context.Context, request) (any, error)) {
	input, output := bufio.NewReader(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		line, err := input.ReadBytes('\n')
		if err != nil {
			return
		}
		if err := output.Encode(answer(perform, line)); err != nil {
			return
		}
	}
}

func answer(perform func(context.Context, request) (any, error), line []byte) map[string]any {
	var r request
	if err := json.Unmarshal(line, &r); err != nil {
		return map[string]any{"error": err.Error()}
	}
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	result, err := perform(ctx, r)
	if err == nil {
		return map[string]any{"ok": result}
	}
	if lacking, ok := errors.AsType[unsupported](err); ok {
		return map[string]any{"unsupported": string(lacking)}
	}
	if code, ok := codeOf(err); ok {
		return map[string]any{"code": code, "message": err.Error()}
	}
	return map[string]any{"error": err.Error()}
}

func perform(ctx context.Context, a adapter, r request) (any, error) {
	switch r.Op {
	case "create":
		return nil, a.create(ctx, r)
	case "delete":
		return nil, a.delete(ctx, r)
	case "partitions":
		return a.partitions(ctx, r)
	case "configs":
		return a.configs(ctx, r)
	case "alter":
		if r.Kind != "topic" {
			return nil, unsupported(os.Args[1] + " has no configs of groups")
		}
		return nil, a.alter(ctx, r)
	case "grow":
		return nil, a.grow(ctx, r)
	case "offset":
		return a.offset(ctx, r)
	case "produce":
		return a.produce(ctx, r)
	case "consume":
		found, err := a.consume(ctx, r)
		return append([]record{}, found...), err
	}
	if f, ok := a.(*franz); ok && r.Op == "missing" {
		return f.missing(ctx, r)
	} else if ok && r.Op == "guess" {
		return f.guess(ctx)
	} else if ok {
		return f.group(ctx, r)
	}
	return nil, errors.New("no operation " + r.Op)
}

func codeOf(err error) (int, bool) {
	if e, ok := errors.AsType[*kerr.Error](err); ok {
		return int(e.Code), true
	}
	if e, ok := errors.AsType[sarama.KError](err); ok {
		return int(e), true
	}
	if e, ok := errors.AsType[kafkago.Error](err); ok {
		return int(e), true
	}
	if _, ok := errors.AsType[*kgo.ErrDataLoss](err); ok {
		return offsetOutOfRange, true
	}
	e, ok := errors.AsType[codeError](err)
	return int(e), ok
}
