package main

import (
	"context"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

type franz struct {
	base    []kgo.Opt
	client  *kgo.Client
	admin   *kadm.Client
	members map[string]*member
}

func newFranz(bootstrap string) (adapter, error) {
	base := []kgo.Opt{kgo.SeedBrokers(bootstrap), kgo.MetadataMinAge(metadataAge)}
	client, err := kgo.NewClient(base...)
	if err != nil {
		return nil, err
	}
	return &franz{base: base, client: client, admin: kadm.NewClient(client),
		members: map[string]*member{}}, nil
}

func (f *franz) create(ctx context.Context, r request) error {
	configs := map[string]*string{}
	for name, value := range r.Configs {
		configs[name] = &value
	}
	_, err := f.admin.CreateTopic(ctx, r.Partitions, r.Replication, configs, r.Topic)
	return err
}

func (f *franz) delete(ctx context.Context, r request) error {
	_, err := f.admin.DeleteTopic(ctx, r.Topic)
	return err
}

func (f *franz) partitions(ctx context.Context, r request) (int, error) {
	topics, err := f.admin.ListTopics(ctx, r.Topic)
	return len(topics[r.Topic].Partitions), err
}

func (f *franz) configs(ctx context.Context, r request) (map[string]string, error) {
	found, err := f.admin.DescribeTopicConfigs(ctx, r.Topic)
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for _, entry := range found[0].Configs {
		values[entry.Key] = entry.MaybeValue()
	}
	return values, found[0].Err
}

func (f *franz) alter(ctx context.Context, r request) error {
	change, configs := f.admin.AlterTopicConfigs, []kadm.AlterConfig{}
	if r.Replacing {
		change = f.admin.AlterTopicConfigsState
	}
	for name, value := range r.Changes {
		config := kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: value}
		if value == nil {
			config.Op = kadm.DeleteConfig
		}
		configs = append(configs, config)
	}
	done, err := change(ctx, configs, r.Name)
	if err != nil {
		return err
	}
	return done[0].Err
}

func (f *franz) grow(ctx context.Context, r request) error {
	done, err := f.admin.UpdatePartitions(ctx, int(r.Partitions), r.Topic)
	if err != nil {
		return err
	}
	return done[r.Topic].Err
}

func (f *franz) offset(ctx context.Context, r request) (int64, error) {
	partition := kmsg.NewListOffsetsRequestTopicPartition()
	partition.Partition, partition.Timestamp = r.Partition, r.timestamp()
	topic := kmsg.NewListOffsetsRequestTopic()
	topic.Topic, topic.Partitions = r.Topic, append(topic.Partitions, partition)
	list := kmsg.NewPtrListOffsetsRequest()
	list.Topics = append(list.Topics, topic)
	found, err := list.RequestWith(ctx, f.client)
	if err != nil {
		return 0, err
	}
	answer := found.Topics[0].Partitions[0]
	return answer.Offset, kerr.ErrorForCode(answer.ErrorCode)
}

func (f *franz) produce(ctx context.Context, r request) ([]int64, error) {
	codec := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "lz4": kgo.Lz4Compression(),
		"snappy": kgo.SnappyCompression(), "zstd": kgo.ZstdCompression()}[r.Codec]
	acks := map[string]kgo.Acks{
		"0": kgo.NoAck(), "1": kgo.LeaderAck(), "all": kgo.AllISRAcks()}[r.Acks]
	options := append(f.base[:2:2], kgo.ProducerBatchCompression(codec), kgo.RequiredAcks(acks),
		kgo.ProducerBatchMaxBytes(r.MaxBytes), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if r.Records[0].Partition == nil {
		options = append(options, kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)))
	}
	if !r.Idempotent {
		options = append(options, kgo.DisableIdempotentWrite())
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	records := make([]*kgo.Record, len(r.Records))
	for i, sent := range r.Records {
		records[i] = franzRecord(r.Topic, sent)
	}
	done := client.ProduceSync(ctx, records...)
	if err := done.FirstErr(); err != nil {
		if strings.Contains(err.Error(), "invalid record partitioning choice") {
			return nil, unknownTopicOrPartition
		}
		return nil, err
	}
	if r.Acks == "0" {
		return nil, nil
	}
	offsets := make([]int64, len(records))
	for i := range records {
		offsets[i] = records[i].Offset
	}
	return offsets, nil
}

func franzRecord(topic string, sent record) *kgo.Record {
	record := &kgo.Record{Topic: topic, Key: sent.Key, Value: sent.Value}
	if sent.Partition != nil {
		record.Partition = *sent.Partition
	}
	if sent.Timestamp != nil {
		record.Timestamp = time.UnixMilli(*sent.Timestamp)
	}
	for _, h := range sent.Headers {
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: h.name, Value: h.value})
	}
	return record
}

func (f *franz) consume(ctx context.Context, r request) ([]record, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(r.WaitMs)*time.Millisecond)
	defer cancel()
	places := map[int32]kgo.Offset{}
	for _, place := range r.Start {
		places[int32(place[0])] = kgo.NewOffset().At(place[1])
	}
	reset := map[string]kgo.Offset{"error": kgo.NoResetOffset(),
		"earliest": kgo.NewOffset().AtStart(), "latest": kgo.NewOffset().AtEnd()}[r.Reset]
	client, err := kgo.NewClient(append(f.base[:2:2], kgo.ConsumeResetOffset(reset),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{r.Topic: places}),
		kgo.FetchMaxPartitionBytes(r.FetchBytes), kgo.FetchMaxWait(500*time.Millisecond))...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	var found []record
	for len(found) < r.Count {
		fetches := client.PollRecords(ctx, r.Count-len(found))
		if ctx.Err() != nil {
			break
		}
		if err := fetches.Err(); err != nil {
			return nil, err
		}
		fetches.EachRecord(func(k *kgo.Record) { found = append(found, franzFound(k)) })
	}
	return found, nil
}

func franzFound(k *kgo.Record) record {
	timestamp := k.Timestamp.UnixMilli()
	found := record{Partition: &k.Partition, Key: k.Key, Value: k.Value, Timestamp: &timestamp,
		Offset: k.Offset}
	for _, h := range k.Headers {
		found.Headers = append(found.Headers, header{h.Key, h.Value})
	}
	return found
}
