package main

import (
	"context"
	"errors"
	"time"

	"github.com/IBM/sarama"
)

type saramaClient struct {
	brokers []string
	client  sarama.Client
	admin   sarama.ClusterAdmin
}

func saramaConfig() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Metadata.AllowAutoTopicCreation = false
	return config
}

func newSarama(bootstrap string) (adapter, error) {
	brokers := []string{bootstrap}
	client, err := sarama.NewClient(brokers, saramaConfig())
	if err != nil {
		return nil, err
	}
	admin, err := sarama.NewClusterAdminFromClient(client)
	return &saramaClient{brokers: brokers, client: client, admin: admin}, err
}

func (s *saramaClient) create(_ context.Context, r request) error {
	configs := map[string]*string{}
	for name, value := range r.Configs {
		configs[name] = &value
	}
	detail := &sarama.TopicDetail{NumPartitions: r.Partitions, ReplicationFactor: r.Replication,
		ConfigEntries: configs}
	return s.admin.CreateTopic(r.Topic, detail, false)
}

func (s *saramaClient) delete(_ context.Context, r request) error {
	return s.admin.DeleteTopic(r.Topic)
}

func (s *saramaClient) partitions(_ context.Context, r request) (int, error) {
	topics, err := s.admin.DescribeTopics([]string{r.Topic})
	if err != nil {
		return 0, err
	}
	return len(topics[0].Partitions), nil
}

func (s *saramaClient) configs(_ context.Context, r request) (map[string]string, error) {
	entries, err := s.admin.DescribeConfig(
		sarama.ConfigResource{Type: sarama.TopicResource, Name: r.Topic})
	values := map[string]string{}
	for _, entry := range entries {
		values[entry.Name] = entry.Value
	}
	return values, err
}

func (s *saramaClient) alter(_ context.Context, r request) error {
	if r.Replacing {
		return s.admin.AlterConfig(sarama.TopicResource, r.Name, r.Changes, false)
	}
	entries := map[string]sarama.IncrementalAlterConfigsEntry{}
	for name, value := range r.Changes {
		operation := sarama.IncrementalAlterConfigsOperationSet
		if value == nil {
			operation = sarama.IncrementalAlterConfigsOperationDelete
		}
		entries[name] = sarama.IncrementalAlterConfigsEntry{Operation: operation, Value: value}
	}
	return s.admin.IncrementalAlterConfig(sarama.TopicResource, r.Name, entries, false)
}

func (s *saramaClient) grow(_ context.Context, r request) error {
	return s.admin.CreatePartitions(r.Topic, r.Partitions, nil, false)
}

func (s *saramaClient) offset(_ context.Context, r request) (int64, error) {
	if r.timestamp() == maxTimestamp {
		return 0, unsupported("sarama has no look-up of the largest timestamp")
	}
	return s.client.GetOffset(r.Topic, r.Partition, r.timestamp())
}

func (s *saramaClient) produce(_ context.Context, r request) ([]int64, error) {
	producer, err := sarama.NewSyncProducer(s.brokers, producerConfig(r))
	if err != nil {
		return nil, err
	}
	defer producer.Close()
	messages := make([]*sarama.ProducerMessage, len(r.Records))
	for i, sent := range r.Records {
		messages[i] = saramaMessage(r.Topic, sent)
	}
	if err := producer.SendMessages(messages); err != nil {
		if failed, ok := errors.AsType[sarama.ProducerErrors](err); ok {
			err = failed[0].Err
		}
		if errors.Is(err, sarama.ErrInvalidPartition) {
			err = unknownTopicOrPartition
		}
		return nil, err
	}
	if r.Acks == "0" {
		return nil, nil
	}
	offsets := make([]int64, len(messages))
	for i, message := range messages {
		offsets[i] = message.Offset
	}
	return offsets, nil
}

func producerConfig(r request) *sarama.Config {
	config := saramaConfig()
	config.Producer.Return.Successes = true
	config.Producer.MaxMessageBytes = int(r.MaxBytes)
	config.Producer.Flush.Frequency = 5 * time.Millisecond
	config.Producer.RequiredAcks = map[string]sarama.RequiredAcks{
		"0": sarama.NoResponse, "1": sarama.WaitForLocal, "all": sarama.WaitForAll}[r.Acks]
	config.Producer.Compression = map[string]sarama.CompressionCodec{
		"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP,
		"snappy": sarama.CompressionSnappy, "lz4": sarama.CompressionLZ4,
		"zstd": sarama.CompressionZSTD}[r.Codec]
	if r.Idempotent {
		config.Producer.Idempotent = true
		config.Net.MaxOpenRequests = 1
	}
	if r.Records[0].Partition != nil {
		config.Producer.Partitioner = sarama.NewManualPartitioner
	}
	return config
}

func saramaMessage(topic string, sent record) *sarama.ProducerMessage {
	message := &sarama.ProducerMessage{Topic: topic}
	if sent.Key != nil {
		message.Key = sarama.ByteEncoder(sent.Key)
	}
	if sent.Value != nil {
		message.Value = sarama.ByteEncoder(sent.Value)
	}
	if sent.Partition != nil {
		message.Partition = *sent.Partition
	}
	if sent.Timestamp != nil {
		message.Timestamp = time.UnixMilli(*sent.Timestamp)
	}
	for _, h := range sent.Headers {
		message.Headers = append(message.Headers,
			sarama.RecordHeader{Key: []byte(h.name), Value: h.value})
	}
	return message
}

func (s *saramaClient) consume(ctx context.Context, r request) ([]record, error) {
	if r.Reset != "error" {
		return nil, unsupported("sarama leaves an offset out of range to the caller")
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(r.WaitMs)*time.Millisecond)
	defer cancel()
	config := saramaConfig()
	config.Consumer.Fetch.Default = r.FetchBytes
	consumer, err := sarama.NewConsumer(s.brokers, config)
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	messages := make(chan *sarama.ConsumerMessage)
	for _, place := range r.Start {
		one, err := consumer.ConsumePartition(r.Topic, int32(place[0]), place[1])
		if err != nil {
			return nil, err
		}
		defer one.AsyncClose()
		go forward(ctx, one.Messages(), messages)
	}
	var found []record
	for len(found) < r.Count {
		select {
		case message := <-messages:
			found = append(found, saramaFound(message))
		case <-ctx.Done():
			return found, nil
		}
	}
	return found, nil
}

func forward[T any](ctx context.Context, from <-chan T, to chan<- T) {
	for message := range from {
		select {
		case to <- message:
		case <-ctx.Done():
		}
	}
}

func saramaFound(message *sarama.ConsumerMessage) record {
	timestamp := message.Timestamp.UnixMilli()
	found := record{Partition: &message.Partition, Key: message.Key, Value: message.Value,
		Timestamp: &timestamp, Offset: message.Offset}
	for _, h := range message.Headers {
		found.Headers = append(found.Headers, header{string(h.Key), h.Value})
	}
	return found
}
