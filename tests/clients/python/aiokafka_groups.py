"""The operations on consumer groups of the adapter of aiokafka."""

import asyncio

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocol

from protocol import Unsupported

POLL_MS = 100
HEARTBEAT_MS = 500
METADATA_MS = 500


class Member(ConsumerRebalanceListener):
    """Polls in a task of its own: during a rebalance a poll waits, whatever its time-out."""

    def __init__(self, settings):
        self.events, self.records = [], []
        self.consumer = AIOKafkaConsumer(**settings)
        self.polling = None

    async def on_partitions_assigned(self, assigned):
        self.events.append(["assigned", places(assigned)])

    async def on_partitions_revoked(self, revoked):
        self.events.append(["revoked", places(revoked)])

    async def start(self, topics, pattern):
        await self.consumer.start()  # before the subscription, for which it would wait
        self.consumer.subscribe(topics, pattern, self)
        self.polling = asyncio.create_task(self.poll())

    async def poll(self):
        while True:
            polled = await self.consumer.getmany(timeout_ms=POLL_MS)
            self.records += [
                [where.topic, where.partition, message.offset]
                for where, batch in polled.items() for message in batch]

    def told(self):
        if self.polling.done():
            self.polling.result()  # raises what it failed with
        records, self.records = self.records, []
        events, self.events = self.events, []
        held = places(self.consumer.assignment())
        return {"records": records, "held": held, "events": events}

    async def stop(self):
        self.polling.cancel()
        await self.consumer.stop()


class Groups:
    """Expects `base`, the settings of every client, and `started_admin`."""

    def __init__(self):
        self.members = {}

    async def group_open(
            self, id, group, topics, pattern, protocol, assignor, instance, session_ms):
        if protocol != "classic":
            raise Unsupported("aiokafka has the classic protocol only")
        if assignor != "range":
            raise Unsupported(f"aiokafka has no {assignor}")
        member = Member(self.base | {
            "client_id": id, "group_id": group, "group_instance_id": instance,
            "session_timeout_ms": session_ms, "heartbeat_interval_ms": HEARTBEAT_MS,
            "partition_assignment_strategy": (RangePartitionAssignor,),
            "metadata_max_age_ms": METADATA_MS, "enable_auto_commit": False,
            "auto_offset_reset": "earliest"})
        await member.start(topics, pattern)
        self.members[id] = member

    async def group_poll(self, ids, ms):
        await asyncio.sleep(ms / 1000)
        return {id: self.members[id].told() for id in ids}

    async def group_commit(self, id, offsets):
        await self.members[id].consumer.commit(offsets and {
            TopicPartition(topic, partition): (offset, metadata)
            for topic, partition, offset, metadata, _ in offsets})

    async def group_close(self, id):
        await self.members.pop(id).stop()

    async def group_list(self):
        groups = await (await self.started_admin()).list_consumer_groups()
        return {group[0]: None for group in groups}

    async def group_describe(self, group):
        admin = await self.started_admin()
        [response] = await admin.describe_consumer_groups([group])
        [(_, _, state, _, _, members, *_)] = response.groups
        described = [
            [None, client, places(ConsumerProtocol.ASSIGNMENT.decode(assignment).partitions())]
            for _, client, _, _, assignment in members]
        return {"state": state, "members": described}

    async def group_offsets(self, group):
        found = await (await self.started_admin()).list_consumer_group_offsets(group)
        return [[*where, shown.offset, shown.metadata, None] for where, shown in found.items()]

    async def group_alter(self, **_):
        raise Unsupported("aiokafka's admin client cannot change groups")

    group_forget = group_delete = group_alter


def places(partitions):
    return [list(where) for where in partitions]
