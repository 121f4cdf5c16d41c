"""Different clients in one consumer group: each understands what any other, as the leader, says."""

import functools

from members import Group, places, span
from protocol import Record
from report import expect, side_by_side
from scenarios import make

PARTITIONS = 12
CLASSIC, CONSUMER = "classic", "consumer"

# Who is in the group, in the order in which they come and go.
GROUPS = {
    "classic": [
        ("librdkafka", CLASSIC), ("java", CLASSIC), ("kafka-python", CLASSIC),
        ("kafkajs", CLASSIC), ("aiokafka", CLASSIC), ("franz-go", CLASSIC)],
    "consumer": [
        ("librdkafka", CONSUMER), ("java-async", CONSUMER), ("franz-go", CONSUMER)],
    # A group that is upgraded from one protocol to the other while it works.
    "upgrade": [
        ("java", CLASSIC), ("librdkafka", CONSUMER), ("aiokafka", CLASSIC),
        ("java-async", CONSUMER)],
}


def run_all(report, clients, helper, prefix):
    side_by_side([
        functools.partial(run_group, report, clients, helper, f"{prefix}-mixed-{name}", name)
        for name in GROUPS])


def run_group(report, clients, helper, topic, name):
    members = [(clients[client], protocol) for client, protocol in GROUPS[name]]
    report.test(f"mixed-group/{name}", lambda: run_one(topic, members, helper))


def run_one(name, members, helper):
    """Everybody gets a part; one after the other leaves; all records are read, each once."""
    make(helper, name, PARTITIONS)
    with Group(name, protocol=None) as group:
        for client, protocol in members:
            group.open(group.own_process(client), [name], protocol=protocol)
        group.settle(places(name, PARTITIONS))
        shares = {len(member.held) for member in group.members}
        expect(shares, {PARTITIONS // len(members)}, "partitions of each member")
        for offset in range(len(members)):
            helper.produce(name, [
                Record(b"%d" % offset, partition=partition) for partition in range(PARTITIONS)])
            group.read(span(name, PARTITIONS, offset, offset + 1))
            group.commit()
            if len(group.members) > 1:
                group.close(group.members[0])
                group.settle(places(name, PARTITIONS))
