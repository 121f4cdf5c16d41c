package main

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// missing sends what clients refuse to send: requests for a partition, a topic and a topic id
// that do not exist. The answer holds the error code of each.
func (f *franz) missing(ctx context.Context, r request) (map[string]int16, error) {
	byName, err := kgo.NewClient(append(f.base[:2:2], kgo.MaxVersions(kversion.V2_7_0()))...)
	if err != nil {
		return nil, err
	}
	defer byName.Close()
	codes := map[string]int16{}
	for _, ask := range []struct {
		what      string
		client    *kgo.Client
		topic     string
		partition int32
	}{
		{"partition", byName, r.Topic, 99},
		{"topic", byName, r.Topic + "-missing", 0},
		{"topic id", f.client, "", 0},
	} {
		broker := ask.client.SeedBrokers()[0]
		produced, err := broker.RetriableRequest(ctx, rawProduce(ask.topic, ask.partition))
		if err != nil {
			return nil, err
		}
		fetched, err := broker.RetriableRequest(ctx, rawFetch(ask.topic, ask.partition))
		if err != nil {
			return nil, err
		}
		codes["produce to "+ask.what] =
			produced.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode
		codes["fetch from "+ask.what] =
			fetched.(*kmsg.FetchResponse).Topics[0].Partitions[0].ErrorCode
	}
	return codes, nil
}

// kversion's own list of keys that it passes over, which SkipKeys replaces.
var notCompared = []int16{4, 5, 6, 7, 27, 56, 57, 58, 67, 71, 72}

// guess is the version that kversion takes the broker for by the APIs that it serves. What 4.3 has
// and the broker does not serve is passed over: kversion compares whole tables, and names the
// release before the first API that is missing.
func (f *franz) guess(ctx context.Context) (string, error) {
	answer, err := f.client.Request(ctx, kmsg.NewPtrApiVersionsRequest())
	if err != nil {
		return "", err
	}
	served := kversion.FromApiVersionsResponse(answer.(*kmsg.ApiVersionsResponse))
	passed := notCompared
	kversion.V4_3_0().EachMaxKeyVersion(func(key, _ int16) {
		if !served.HasKey(key) {
			passed = append(passed, key)
		}
	})
	return served.VersionGuess(kversion.SkipKeys(passed...)), nil
}

// unknownID stands for a topic in the versions that name topics by id.
var unknownID = [16]byte{0xc0, 0x4e, 0x1f, 0x06}

func rawProduce(topic string, partition int32) kmsg.Request {
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, []byte{}
	t := kmsg.NewProduceRequestTopic()
	t.Topic, t.TopicID, t.Partitions = topic, unknownID, append(t.Partitions, p)
	produce := kmsg.NewPtrProduceRequest()
	produce.Acks, produce.TimeoutMillis, produce.Topics = -1, 5_000, append(produce.Topics, t)
	return produce
}

func rawFetch(topic string, partition int32) kmsg.Request {
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.PartitionMaxBytes = partition, 1<<20
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID, t.Partitions = topic, unknownID, append(t.Partitions, p)
	fetch := kmsg.NewPtrFetchRequest()
	fetch.MaxWaitMillis, fetch.MaxBytes, fetch.Topics = 500, 1<<20, append(fetch.Topics, t)
	return fetch
}
