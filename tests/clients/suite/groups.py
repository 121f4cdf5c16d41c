"""What every client must be able to do in a consumer group, with each protocol that it has."""

import dataclasses
import functools
from typing import Callable

from members import Group, Member, places, span
from protocol import Record, Unsupported
from report import eventually, expect, expect_code
from scenarios import INVALID_CONFIG, make

UNKNOWN_MEMBER_ID, NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND = 25, 68, 69
GROUP_SUBSCRIBED_TO_TOPIC = 86

STATIC_SESSION_MS = 20_000  # long enough that nobody misses a member that comes back
EXPIRY_S = 25  # when the others must have the part of a member that was killed

SCENARIOS = []


@dataclasses.dataclass
class Scenario:
    name: str
    body: Callable
    protocols: tuple
    cannot: dict  # {client/protocol: why}, where only the suite can tell


def scenario(protocols=("classic", "consumer"), cannot=None):
    def register(body):
        name = body.__name__.replace("_", "-")
        SCENARIOS.append(Scenario(name, body, protocols, cannot or {}))
        return body
    return register


@dataclasses.dataclass
class Stage:
    """One test of one client: its group, and topics, all with names of their own."""

    client: object
    helper: object
    group: Group

    def topic(self, partitions, records=0, suffix=""):
        name = f"{self.group.name}{suffix}"
        make(self.helper, name, partitions)
        self.fill(name, partitions, records)
        return name

    def fill(self, topic, partitions, records):
        """Appends so many records to each partition."""
        if records:
            self.helper.produce(topic, [
                Record(b"%d" % index, partition=partition)
                for partition in range(partitions) for index in range(records)])

    def open(self, topics=(), **settings) -> Member:
        return self.group.open(settings.pop("client", self.client), topics, **settings)

    def state(self, client=None):
        return normal((client or self.helper).call(
            "group_describe", group=self.group.name)["state"])

    def await_state(self, wanted, client=None):
        eventually(lambda: self.state(client), wanted, "state of the group")

    def offsets(self):
        """{(topic, partition): (offset, metadata, leader epoch)} as the client shows it."""
        found = self.client.call("group_offsets", group=self.group.name)
        return {(topic, partition): tuple(rest) for topic, partition, *rest in found}

    def expect_offsets(self, wanted, what):
        """`wanted` in the form of offsets(); what the client hides counts as right."""
        found = self.offsets()
        expect(sorted(found), sorted(wanted), f"partitions with an offset, {what}")
        for place, shown in found.items():
            visible = tuple(
                want if have is None else have for have, want in zip(shown, wanted[place]))
            expect(visible, wanted[place], f"offset, metadata and epoch of {place}, {what}")

    def alter(self, offsets):
        self.client.call("group_alter", group=self.group.name, offsets=offsets)


def normal(state):
    """Clients spell states in their own ways; null where one hides it."""
    return state and state.replace("_", "").lower()


@scenario()
def join(stage):
    """A group of one reads, commits and leaves; its second life goes on behind the commit."""
    topic = stage.topic(3, records=10)
    member = stage.open([topic])
    stage.group.read(span(topic, 3, 0, 10))
    expect(member.held, places(topic, 3), "what the only member holds")
    member.commit()
    stage.group.close(member)
    stage.await_state("empty")
    found = {place: shown[0] for place, shown in stage.offsets().items()}
    expect(found, {place: 10 for place in places(topic, 3)}, "committed offsets")
    stage.fill(topic, 3, 5)
    stage.open([topic])
    stage.group.read(span(topic, 3, 10, 15))


@scenario()
def rebalance_on_join_and_leave(stage):
    """Commits before each change: every record is read once, whoever reads it."""
    topic, group = stage.topic(4, records=2), stage.group
    stage.open([topic])
    group.read(span(topic, 4, 0, 2))
    group.commit()
    second = stage.open([topic])
    group.settle(places(topic, 4))
    expect([len(member.held) for member in group.members], [2, 2], "partitions of each")
    stage.fill(topic, 4, 2)
    group.read(span(topic, 4, 2, 4))
    group.commit()
    group.close(second)
    group.settle(places(topic, 4))
    stage.fill(topic, 4, 2)
    group.read(span(topic, 4, 4, 6))


@scenario(protocols=("classic",))  # with the new one the broker sets the session, of 45 s
def killed_member(stage):
    topic, group = stage.topic(4), stage.group
    other = group.own_process(stage.client)
    stage.open([topic])
    stage.open([topic], client=other)
    group.settle(places(topic, 4))
    group.kill(other)
    group.settle(places(topic, 4), wait_s=EXPIRY_S)
    stage.fill(topic, 4, 2)
    group.read(span(topic, 4, 0, 2))


@scenario(cannot={
    "franz-go/consumer": "franz-go leaves as a static member without its instance id"})
def static_members(stage):
    """Each in turn goes and comes back, the leader, too: it gets its part, nobody else notices."""
    topic, group = stage.topic(4), stage.group

    def enter(instance):
        return stage.open([topic], instance=instance, session_ms=STATIC_SESSION_MS)

    members = {instance: enter(instance) for instance in ("a", "b")}
    group.settle(places(topic, 4))
    for leaving, staying in (("b", "a"), ("a", "b")):
        held = members[leaving].held
        members[staying].watch()
        group.close(members[leaving])
        members[leaving] = enter(leaving)
        group.settle(places(topic, 4))
        expect(members[leaving].held, held, f"what {leaving} holds when it is back")
        expect(members[staying].changes(), [], f"what {staying} noticed")
    described = stage.helper.call("group_describe", group=group.name)["members"]
    expect(sorted(instance for instance, _, _ in described), ["a", "b"], "described instances")


@scenario()
def cooperative_rebalance(stage):
    """Who stays keeps what is not given away, through a join and a leave."""
    topic, group = stage.topic(4), stage.group
    assignor = "cooperative-sticky" if group.protocol == "classic" else None
    first = stage.open([topic], assignor=assignor)
    group.settle(places(topic, 4))
    first.watch()
    second = stage.open([topic], assignor=assignor)
    group.settle(places(topic, 4))
    expect(first.kept, first.held, "what the first member held all the time")
    expect({what for what, _ in first.changes()} - {"assigned"}, {"revoked"}, "what it noticed")
    first.watch()
    group.close(second)
    group.settle(places(topic, 4))
    expect(len(first.kept), 2, "partitions that it held all the time, while the second left")


@scenario()
def pattern(stage):
    """A topic that is made later and matches is read."""
    group = stage.group
    early = stage.topic(2, records=3, suffix="-early")
    stage.open(pattern=f"^{group.name}-.*")
    group.read(span(early, 2, 0, 3))
    group.commit()
    late = stage.topic(2, records=3, suffix="-late")
    group.read(span(late, 2, 0, 3))
    expect(group.members[0].held, places(early, 2) | places(late, 2), "what the member holds")


@scenario()
def growing_topic(stage):
    topic, group = stage.topic(2, records=3), stage.group
    stage.open([topic])
    group.read(span(topic, 2, 0, 3))
    group.commit()
    stage.helper.grow(topic, 4)
    group.settle(places(topic, 4))
    stage.fill(topic, 4, 3)
    group.read(span(topic, 2, 3, 6) + span(topic, range(2, 4), 0, 3))


@scenario(cannot={
    "kafkajs/classic": "kafkajs joins again for ever while a topic of its own is missing"})
def deleted_topic(stage):
    """The group goes on with the other topic."""
    kept = stage.topic(2, records=3, suffix="-kept")
    gone = stage.topic(2, records=3, suffix="-gone")
    group = stage.group
    stage.open([kept, gone])
    group.read(span(kept, 2, 0, 3) + span(gone, 2, 0, 3))
    group.commit()
    stage.helper.delete(gone)
    stage.fill(kept, 2, 3)
    group.read(span(kept, 2, 3, 6))
    eventually(lambda: sorted(stage.offsets()), sorted(places(kept, 2)), "places with an offset")


@scenario()
def commit_metadata(stage):
    """An explicit commit comes back with its metadata and leader epoch, and is where to go on."""
    topic, group = stage.topic(2, records=5), stage.group
    # One from before the log began would have the member start at its beginning.
    epoch = stage.helper.call("epoch", topic=topic, partition=0)
    member = stage.open([topic])
    group.read(span(topic, 2, 0, 5))
    member.commit([[topic, 0, 3, "three of five", epoch], [topic, 1, 5, "", epoch]])
    stage.expect_offsets(
        {(topic, 0): (3, "three of five", epoch), (topic, 1): (5, "", epoch)}, "after the commit")
    group.close(member)
    stage.open([topic])
    group.read([(topic, 0, 3), (topic, 0, 4)])


@scenario()
def altered_offsets(stage):
    """An admin client sets offsets, unless somebody is there."""
    topic, group = stage.topic(2, records=5), stage.group
    stage.alter([[topic, 0, 4, "by hand", -1], [topic, 1, 3, "", -1]])
    member = stage.open([topic])
    group.read([(topic, 0, 4), (topic, 1, 3), (topic, 1, 4)])
    expect_code(UNKNOWN_MEMBER_ID, lambda: stage.alter([[topic, 0, 1, "", -1]]))
    group.close(member)
    stage.await_state("empty")
    stage.alter([[topic, 0, 1, "again", -1]])
    found = {place: shown[0] for place, shown in stage.offsets().items()}
    expect(found, {(topic, 0): 1, (topic, 1): 3}, "offsets after the second change")


@scenario()
def list_describe_delete(stage):
    client, group = stage.client, stage.group
    topic = stage.topic(3, records=2)
    member = stage.open([topic])
    group.read(span(topic, 3, 0, 2))
    member.commit()
    listed = functools.partial(client.call, "group_list")
    expect(normal(listed()[group.name]) in ("stable", None), True, "listed as stable")
    described = client.call("group_describe", group=group.name)
    expect(normal(described["state"]), "stable", "described state")
    [(instance, name, held)] = described["members"]
    expect((instance or None, name), (None, member.name), "instance and client of the member")
    expect({tuple(place) for place in held}, places(topic, 3), "described assignment")
    delete = functools.partial(client.call, "group_delete", group=group.name)
    expect_code(NON_EMPTY_GROUP, delete)
    group.close(member)
    stage.await_state("empty", client)
    delete()
    eventually(lambda: group.name in listed(), False, "listed after it was deleted")
    expect_code(GROUP_ID_NOT_FOUND, delete)


@scenario()
def deleted_offsets(stage):
    topic, group = stage.topic(2, records=5), stage.group
    forget = functools.partial(
        stage.client.call, "group_forget", group=group.name, places=[[topic, 0]])
    member = stage.open([topic])
    group.read(span(topic, 2, 0, 5))
    member.commit()
    expect_code(GROUP_SUBSCRIBED_TO_TOPIC, forget)
    group.close(member)
    stage.await_state("empty")
    forget()
    expect(sorted(stage.offsets()), [(topic, 1)], "partitions with an offset")
    stage.open([topic])
    group.read([(topic, 0, offset) for offset in range(5)])


@scenario()
def altered_configs(stage):
    """A member goes on reading while the group has configs of its own, and loses them."""
    client, group = stage.client, stage.group
    alter = functools.partial(client.alter, group.name, kind="group")

    def interval():
        return client.call("group_configs", group=group.name)["consumer.heartbeat.interval.ms"]

    alter(consumer_heartbeat_interval_ms=None)
    default, source = interval()
    expect(source, "DEFAULT_CONFIG", "source of what nobody has set")
    topic = stage.topic(2, records=3)
    stage.open([topic])
    group.read(span(topic, 2, 0, 3))
    alter(consumer_heartbeat_interval_ms="7000")
    eventually(interval, ["7000", "DYNAMIC_GROUP_CONFIG"], "interval after the change")
    for refused in ({"consumer_heartbeat_interval_ms": "1"}, {"no_such_config": "1"}):
        expect_code(INVALID_CONFIG, lambda: alter(**refused))
    expect(interval(), ["7000", "DYNAMIC_GROUP_CONFIG"], "interval after the refusals")
    stage.fill(topic, 2, 3)
    group.read(span(topic, 2, 3, 6))
    alter(consumer_heartbeat_interval_ms=None)
    eventually(interval, [default, "DEFAULT_CONFIG"], "interval without a change")


def runs(report, clients, helper, prefix):
    """For each client and protocol a function that runs its tests, one after the other."""
    return [
        functools.partial(run_client, report, client, protocol, helper, prefix)
        for client in clients for protocol in client.groups]


def run_client(report, client, protocol, helper, prefix):
    own = client.twin()  # its protocols are tested at the same time
    try:
        for one in SCENARIOS:
            if protocol in one.protocols:
                group = Group(f"{prefix}-{client.name}-{protocol}-{one.name}", protocol)
                report.test(f"{client.name}/{protocol}-group/{one.name}",
                            lambda: run_one(one, group, own, helper))
    finally:
        own.stop()


def run_one(one, group, client, helper):
    if why := one.cannot.get(f"{client.name}/{group.protocol}"):
        raise Unsupported(why)
    with group:
        one.body(Stage(client, helper, group))
