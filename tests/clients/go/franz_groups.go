package main

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// group performs the operations on consumer groups.
func (f *franz) group(ctx context.Context, r request) (any, error) {
	switch r.Op {
	case "group_open":
		return f.groupOpen(r)
	case "group_poll":
		return f.groupPoll(ctx, r)
	case "group_commit":
		return nil, f.groupCommit(ctx, r)
	case "group_close":
		return nil, f.groupClose(ctx, r)
	case "group_list":
		return f.groupList(ctx)
	case "group_describe":
		return f.groupDescribe(ctx, r.Group)
	case "group_offsets":
		return f.groupOffsets(ctx, r.Group)
	case "group_alter":
		return nil, f.groupAlter(ctx, r)
	case "group_forget":
		return nil, f.groupForget(ctx, r)
	case "group_delete":
		_, err := f.admin.DeleteGroup(ctx, r.Group)
		return nil, err
	}
	return nil, errors.New("no operation " + r.Op)
}

func (f *franz) groupList(ctx context.Context) (any, error) {
	listed, err := f.admin.ListGroups(ctx)
	states := map[string]string{}
	for _, group := range listed {
		states[group.Group] = group.State
	}
	return states, err
}

type description struct {
	State   string   `json:"state"`
	Members [][3]any `json:"members"`
}

// groupDescribe asks for a group of the new protocol first, since the classic request does not
// find one.
func (f *franz) groupDescribe(ctx context.Context, name string) (any, error) {
	found := description{Members: [][3]any{}}
	groups, err := f.admin.DescribeConsumerGroups(ctx, name)
	if err != nil {
		return nil, err
	}
	if group := groups[name]; !errors.Is(group.Err, kerr.GroupIDNotFound) {
		found.State = group.State
		for _, m := range group.Members {
			places := []place{}
			m.Assignment.Each(func(t string, p int32) { places = append(places, place{t, p}) })
			found.Members = append(found.Members, [3]any{m.InstanceID, m.ClientID, places})
		}
		return found, group.Err
	}
	classic, err := f.admin.DescribeGroups(ctx, name)
	if err != nil {
		return nil, err
	}
	found.State = classic[name].State
	for _, m := range classic[name].Members {
		places := []place{}
		if assigned, ok := m.Assigned.AsConsumer(); ok {
			for _, topic := range assigned.Topics {
				for _, partition := range topic.Partitions {
					places = append(places, place{topic.Topic, partition})
				}
			}
		}
		found.Members = append(found.Members, [3]any{m.InstanceID, m.ClientID, places})
	}
	return found, classic[name].Err
}

func (f *franz) groupOffsets(ctx context.Context, name string) (any, error) {
	found, err := f.admin.FetchOffsets(ctx, name)
	offsets := []groupOffset{}
	found.Each(func(o kadm.OffsetResponse) {
		err = errors.Join(err, o.Err)
		offsets = append(offsets, groupOffset{
			place{o.Topic, o.Partition}, o.At, o.Metadata, o.LeaderEpoch})
	})
	return offsets, err
}

func (f *franz) groupAlter(ctx context.Context, r request) error {
	offsets := kadm.Offsets{}
	for _, o := range r.Offsets {
		offsets.Add(kadm.Offset{Topic: o.topic, Partition: o.partition, At: o.offset,
			LeaderEpoch: o.epoch, Metadata: o.metadata})
	}
	return f.admin.CommitAllOffsets(ctx, r.Group, offsets)
}

func (f *franz) groupForget(ctx context.Context, r request) error {
	places := kadm.TopicsSet{}
	for _, p := range r.Places {
		places.Add(p.topic, p.partition)
	}
	found, err := f.admin.DeleteOffsets(ctx, r.Group, places)
	return errors.Join(err, found.Error())
}
