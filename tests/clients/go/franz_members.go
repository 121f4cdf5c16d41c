package main

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	heartbeat        = 500 * time.Millisecond
	groupMetadataAge = 500 * time.Millisecond
	pollRecords      = 500
)

type place struct {
	topic     string
	partition int32
}

func (p place) MarshalJSON() ([]byte, error) { return json.Marshal([]any{p.topic, p.partition}) }

func (p *place) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&p.topic, &p.partition})
}

// groupOffset is what is committed for a place.
type groupOffset struct {
	place
	offset   int64
	metadata string
	epoch    int32
}

func (o groupOffset) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{o.topic, o.partition, o.offset, o.metadata, o.epoch})
}

func (o *groupOffset) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(
		data, &[]any{&o.topic, &o.partition, &o.offset, &o.metadata, &o.epoch})
}

// told is the answer to a poll of one member.
type told struct {
	Records [][3]any `json:"records"`
	Held    []place  `json:"held"`
	Events  [][2]any `json:"events"`
}

type member struct {
	client *kgo.Client
	mu     sync.Mutex // the client calls back from goroutines of its own
	held   map[place]bool
	events [][2]any
}

func (f *franz) groupOpen(r request) (any, error) {
	m := &member{held: map[place]bool{}}
	options := append(f.base[:2:2], kgo.ClientID(r.ID), kgo.ConsumerGroup(r.Group),
		kgo.MetadataMaxAge(groupMetadataAge), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.OnPartitionsAssigned(m.noting("assigned", true)),
		kgo.OnPartitionsRevoked(m.noting("revoked", false)),
		kgo.OnPartitionsLost(m.noting("lost", false)))
	if r.Pattern == nil {
		options = append(options, kgo.ConsumeTopics(r.Topics...))
	} else {
		options = append(options, kgo.ConsumeTopics(*r.Pattern), kgo.ConsumeRegex())
	}
	if r.Protocol == "classic" {
		options = append(options, kgo.HeartbeatInterval(heartbeat),
			kgo.SessionTimeout(time.Duration(r.SessionMs)*time.Millisecond))
	} else {
		options = append(options, kgo.ServerSideBalancer())
	}
	balancer := map[string]func() kgo.GroupBalancer{
		"": kgo.StickyBalancer, "range": kgo.RangeBalancer,
		"cooperative-sticky": kgo.CooperativeStickyBalancer}[r.Assignor]
	options = append(options, kgo.Balancers(balancer()))
	if r.Instance != "" {
		options = append(options, kgo.InstanceID(r.Instance))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return nil, err
	}
	m.client, f.members[r.ID] = client, m
	return nil, nil
}

func (m *member) noting(
	what string, held bool,
) func(context.Context, *kgo.Client, map[string][]int32) {
	return func(_ context.Context, _ *kgo.Client, changed map[string][]int32) {
		m.mu.Lock()
		defer m.mu.Unlock()
		places := placesOf(changed)
		for _, p := range places {
			if held {
				m.held[p] = true
			} else {
				delete(m.held, p)
			}
		}
		m.events = append(m.events, [2]any{what, places})
	}
}

func placesOf(partitions map[string][]int32) []place {
	places := []place{}
	for topic, numbers := range partitions {
		for _, partition := range numbers {
			places = append(places, place{topic, partition})
		}
	}
	return places
}

func (f *franz) groupPoll(ctx context.Context, r request) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(r.Ms)*time.Millisecond)
	defer cancel()
	answers, wait := make([]told, len(r.IDs)), sync.WaitGroup{}
	for i, id := range r.IDs {
		wait.Go(func() { answers[i] = f.members[id].poll(ctx) })
	}
	wait.Wait()
	found := map[string]told{}
	for i, id := range r.IDs {
		found[id] = answers[i]
	}
	return found, nil
}

func (m *member) poll(ctx context.Context) told {
	answer := told{Records: [][3]any{}, Held: []place{}, Events: [][2]any{}}
	for ctx.Err() == nil {
		fetches := m.client.PollRecords(ctx, pollRecords)
		fetches.EachError(func(_ string, _ int32, err error) {
			if !errors.Is(err, context.DeadlineExceeded) {
				answer.Events = append(answer.Events, [2]any{err.Error(), []place{}})
			}
		})
		fetches.EachRecord(func(k *kgo.Record) {
			answer.Records = append(answer.Records, [3]any{k.Topic, k.Partition, k.Offset})
		})
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for p := range m.held {
		answer.Held = append(answer.Held, p)
	}
	answer.Events, m.events = append(answer.Events, m.events...), nil
	return answer
}

func (f *franz) groupCommit(ctx context.Context, r request) error {
	client := f.members[r.ID].client
	if r.Offsets == nil {
		return client.CommitUncommittedOffsets(ctx)
	}
	offsets, metadata := map[string]map[int32]kgo.EpochOffset{}, map[place]string{}
	for _, o := range r.Offsets {
		if offsets[o.topic] == nil {
			offsets[o.topic] = map[int32]kgo.EpochOffset{}
		}
		offsets[o.topic][o.partition] = kgo.EpochOffset{Epoch: o.epoch, Offset: o.offset}
		metadata[o.place] = o.metadata
	}
	ctx = kgo.PreCommitFnContext(ctx, func(commit *kmsg.OffsetCommitRequest) error {
		for t := range commit.Topics {
			topic := &commit.Topics[t]
			for p := range topic.Partitions {
				text := metadata[place{topic.Topic, topic.Partitions[p].Partition}]
				topic.Partitions[p].Metadata = &text
			}
		}
		return nil
	})
	var failure error
	client.CommitOffsetsSync(ctx, offsets, func(
		_ *kgo.Client, _ *kmsg.OffsetCommitRequest, done *kmsg.OffsetCommitResponse, err error,
	) {
		failure = err
		for _, topic := range done.Topics {
			for _, partition := range topic.Partitions {
				failure = errors.Join(failure, kerr.ErrorForCode(partition.ErrorCode))
			}
		}
	})
	return failure
}

func (f *franz) groupClose(ctx context.Context, r request) error {
	client := f.members[r.ID].client
	delete(f.members, r.ID)
	defer client.Close()
	return client.LeaveGroupContext(ctx) // Close would leave, too, and keep the answer to itself
}
