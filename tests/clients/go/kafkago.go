package main

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// kafkaGo makes a client per request: a kafka-go transport keeps metadata for seconds, and the
// suite makes topics all the time.
type kafkaGo struct {
	bootstrap string
}

func newKafkaGo(bootstrap string) (adapter, error) {
	return &kafkaGo{bootstrap: bootstrap}, nil
}

func (k *kafkaGo) client() *kafkago.Client {
	return &kafkago.Client{Addr: kafkago.TCP(k.bootstrap), Timeout: requestTimeout,
		Transport: &kafkago.Transport{IdleTimeout: time.Second}}
}

func (k *kafkaGo) create(ctx context.Context, r request) error {
	topic := kafkago.TopicConfig{Topic: r.Topic, NumPartitions: int(r.Partitions),
		ReplicationFactor: int(r.Replication)}
	for name, value := range r.Configs {
		topic.ConfigEntries = append(topic.ConfigEntries,
			kafkago.ConfigEntry{ConfigName: name, ConfigValue: value})
	}
	done, err := k.client().CreateTopics(ctx,
		&kafkago.CreateTopicsRequest{Topics: []kafkago.TopicConfig{topic}})
	if err != nil {
		return err
	}
	return done.Errors[r.Topic]
}

func (k *kafkaGo) delete(ctx context.Context, r request) error {
	done, err := k.client().DeleteTopics(ctx, &kafkago.DeleteTopicsRequest{Topics: []string{r.Topic}})
	if err != nil {
		return err
	}
	return done.Errors[r.Topic]
}

func (k *kafkaGo) partitions(ctx context.Context, r request) (int, error) {
	found, err := k.client().Metadata(ctx, &kafkago.MetadataRequest{Topics: []string{r.Topic}})
	if err != nil {
		return 0, err
	}
	return len(found.Topics[0].Partitions), nil
}

func (k *kafkaGo) configs(ctx context.Context, r request) (map[string]string, error) {
	found, err := k.client().DescribeConfigs(ctx, &kafkago.DescribeConfigsRequest{
		Resources: []kafkago.DescribeConfigRequestResource{
			{ResourceType: kafkago.ResourceTypeTopic, ResourceName: r.Topic}}})
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for _, entry := range found.Resources[0].ConfigEntries {
		values[entry.ConfigName] = entry.ConfigValue
	}
	return values, found.Resources[0].Error
}

func (k *kafkaGo) alter(ctx context.Context, r request) error {
	if r.Replacing {
		return k.replace(ctx, r)
	}
	resource := kafkago.IncrementalAlterConfigsRequestResource{
		ResourceType: kafkago.ResourceTypeTopic, ResourceName: r.Name}
	for name, value := range r.Changes {
		config := kafkago.IncrementalAlterConfigsRequestConfig{
			Name: name, ConfigOperation: kafkago.ConfigOperationDelete}
		if value != nil {
			config.Value, config.ConfigOperation = *value, kafkago.ConfigOperationSet
		}
		resource.Configs = append(resource.Configs, config)
	}
	done, err := k.client().IncrementalAlterConfigs(ctx, &kafkago.IncrementalAlterConfigsRequest{
		Resources: []kafkago.IncrementalAlterConfigsRequestResource{resource}})
	if err != nil {
		return err
	}
	return done.Resources[0].Error
}

func (k *kafkaGo) replace(ctx context.Context, r request) error {
	resource := kafkago.AlterConfigRequestResource{
		ResourceType: kafkago.ResourceTypeTopic, ResourceName: r.Name}
	for name, value := range r.Changes {
		resource.Configs = append(resource.Configs,
			kafkago.AlterConfigRequestConfig{Name: name, Value: *value})
	}
	done, err := k.client().AlterConfigs(ctx, &kafkago.AlterConfigsRequest{
		Resources: []kafkago.AlterConfigRequestResource{resource}})
	if err != nil {
		return err
	}
	for _, refused := range done.Errors {
		err = errors.Join(err, refused)
	}
	return err
}

func (k *kafkaGo) grow(ctx context.Context, r request) error {
	done, err := k.client().CreatePartitions(ctx, &kafkago.CreatePartitionsRequest{
		Topics: []kafkago.TopicPartitionsConfig{{Name: r.Topic, Count: r.Partitions}}})
	if err != nil {
		return err
	}
	return done.Errors[r.Topic]
}

func (k *kafkaGo) offset(ctx context.Context, r request) (int64, error) {
	at := kafkago.OffsetRequest{Partition: int(r.Partition), Timestamp: r.timestamp()}
	found, err := k.client().ListOffsets(ctx, &kafkago.ListOffsetsRequest{
		Topics: map[string][]kafkago.OffsetRequest{r.Topic: {at}}})
	if err != nil {
		return 0, err
	}
	partition := found.Topics[r.Topic][0]
	switch r.timestamp() {
	case earliest:
		return partition.FirstOffset, partition.Error
	case latest:
		return partition.LastOffset, partition.Error
	case maxTimestamp:
		return 0, unsupported("kafka-go has no look-up of the largest timestamp")
	}
	for offset := range partition.Offsets {
		return offset, partition.Error
	}
	return -1, partition.Error
}

func (k *kafkaGo) produce(ctx context.Context, r request) ([]int64, error) {
	if r.Idempotent {
		return nil, unsupported("kafka-go has no idempotent producer")
	}
	writer := k.writer(r)
	offsets, messages := make([]int64, len(r.Records)), make([]kafkago.Message, len(r.Records))
	writer.Completion = func(done []kafkago.Message, _ error) {
		for _, message := range done {
			offsets[message.WriterData.(int)] = message.Offset
		}
	}
	for i, sent := range r.Records {
		messages[i] = kafkaGoMessage(sent, i)
	}
	err := writer.WriteMessages(ctx, messages...)
	if closing := writer.Close(); err == nil {
		err = closing
	}
	if err != nil && strings.Contains(err.Error(), "topic partition not found") {
		return nil, unknownTopicOrPartition
	}
	if failed, ok := errors.AsType[kafkago.WriteErrors](err); ok {
		return nil, errors.Join(failed...)
	}
	if r.Acks == "0" {
		return nil, err
	}
	return offsets, err
}

// writer gives each message to the partition that its record names.
func (k *kafkaGo) writer(r request) *kafkago.Writer {
	codec := map[string]kafkago.Compression{
		"gzip": kafkago.Gzip, "snappy": kafkago.Snappy, "lz4": kafkago.Lz4, "zstd": kafkago.Zstd}
	acks := map[string]kafkago.RequiredAcks{
		"0": kafkago.RequireNone, "1": kafkago.RequireOne, "all": kafkago.RequireAll}
	writer := &kafkago.Writer{Addr: kafkago.TCP(k.bootstrap), Topic: r.Topic,
		Transport:   &kafkago.Transport{IdleTimeout: time.Second},
		Compression: codec[r.Codec], RequiredAcks: acks[r.Acks], BatchBytes: int64(r.MaxBytes),
		BatchTimeout: 5 * time.Millisecond, MaxAttempts: 3, Balancer: kafkago.Murmur2Balancer{}}
	if r.Records[0].Partition != nil {
		writer.Balancer = kafkago.BalancerFunc(func(m kafkago.Message, _ ...int) int {
			return int(*r.Records[m.WriterData.(int)].Partition)
		})
	}
	return writer
}

func kafkaGoMessage(sent record, index int) kafkago.Message {
	message := kafkago.Message{Key: sent.Key, Value: sent.Value, WriterData: index}
	if sent.Timestamp != nil {
		message.Time = time.UnixMilli(*sent.Timestamp)
	}
	for _, h := range sent.Headers {
		message.Headers = append(message.Headers, kafkago.Header{Key: h.name, Value: h.value})
	}
	return message
}

func (k *kafkaGo) consume(ctx context.Context, r request) ([]record, error) {
	if r.Reset != "error" {
		return nil, unsupported("kafka-go's reader has no reset policy")
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(r.WaitMs)*time.Millisecond)
	results := make(chan kafkaGoRead)
	var readers sync.WaitGroup
	for _, place := range r.Start {
		readers.Go(func() { k.read(ctx, r, place, results) })
	}
	defer readers.Wait()
	defer cancel()
	var found []record
	for len(found) < r.Count {
		select {
		case result := <-results:
			if result.err != nil {
				return nil, result.err
			}
			if hidesNull(result.message) {
				return nil, unsupported("kafka-go's reader returns null for what is empty")
			}
			found = append(found, kafkaGoFound(result.message))
		case <-ctx.Done():
			return found, nil
		}
	}
	return found, nil
}

type kafkaGoRead struct {
	message kafkago.Message
	err     error
}

// read sends what one partition holds until ctx ends.
func (k *kafkaGo) read(ctx context.Context, r request, place [2]int64, results chan<- kafkaGoRead) {
	reader := kafkago.NewReader(kafkago.ReaderConfig{Brokers: []string{k.bootstrap},
		Topic: r.Topic, Partition: int(place[0]), MinBytes: 1, MaxBytes: int(r.FetchBytes),
		MaxWait: 500 * time.Millisecond, OffsetOutOfRangeError: true, MaxAttempts: 3})
	defer reader.Close()
	err := reader.SetOffset(place[1])
	for err == nil && ctx.Err() == nil {
		var message kafkago.Message
		message, err = reader.ReadMessage(ctx)
		if ctx.Err() == nil {
			select {
			case results <- kafkaGoRead{message, err}:
			case <-ctx.Done():
			}
		}
	}
}

func hidesNull(message kafkago.Message) bool {
	hidden := message.Key == nil || message.Value == nil
	for _, h := range message.Headers {
		hidden = hidden || h.Value == nil
	}
	return hidden
}

func kafkaGoFound(message kafkago.Message) record {
	partition, timestamp := int32(message.Partition), message.Time.UnixMilli()
	found := record{Partition: &partition, Key: message.Key, Value: message.Value,
		Timestamp: &timestamp, Offset: message.Offset}
	for _, h := range message.Headers {
		found.Headers = append(found.Headers, header{h.Key, h.Value})
	}
	return found
}
