"""Consumer groups as the suite sees them: members in adapters, and waiting until they agree."""

import collections
import itertools
import time

POLL_MS = 200
WAIT_S = 40
SESSION_MS = 6_000  # the shortest that brokers allow
NUMBERS = itertools.count(1)


def places(topic, partitions):
    """{(topic, partition)} of the first so many partitions, or of those in a range."""
    numbers = range(partitions) if isinstance(partitions, int) else partitions
    return {(topic, partition) for partition in numbers}


def span(topic, partitions, start, end):
    """Every (topic, partition, offset) of these partitions from one offset to another."""
    return [(*place, offset) for place in places(topic, partitions) for offset in range(start, end)]


class Member:
    """What a client has told of its member so far."""

    def __init__(self, client, group, **settings):
        self.client, self.name = client, f"{client.name}-{next(NUMBERS)}"
        self.held = set()
        self.events = []  # (assigned, revoked or lost, places)
        self.kept = None  # once it is a set: what the member has held at every moment since
        self.uncommitted = False
        client.call("group_open", id=self.name, group=group, **settings)

    def take(self, told):
        """Remembers the answer to a poll; the records in it."""
        self.held = {tuple(place) for place in told["held"]}
        for what, changed in told["events"]:
            changed = {tuple(place) for place in changed}
            self.events.append((what, changed))
            if self.kept is not None and what != "assigned":
                self.kept -= changed
        if self.kept is not None:
            self.kept &= self.held
        self.uncommitted |= bool(told["records"])
        return [tuple(record) for record in told["records"]]

    def watch(self):
        """From now on only: events, and what is held all the time."""
        self.events.clear()
        self.kept = set(self.held)

    def changes(self):
        return [event for event in self.events if event[1]]

    def commit(self, offsets=None):
        self.client.call("group_commit", id=self.name, offsets=offsets)
        self.uncommitted = False

    def __repr__(self):
        events = [f"{what} {short(places)}" for what, places in self.events[-6:]]
        return f"{self.name} holds {short(self.held)} after {', '.join(events)}"


def short(places):
    """Partitions, with the last part of their topics' names, so that a line shows it all."""
    names = [f"{topic.rsplit('-', 1)[-1]}/{partition}" for topic, partition in sorted(places)]
    return " ".join(names) or "none"


class Group:
    """A group of one test. Leaving the context closes the members and ends processes of its own."""

    def __init__(self, name, protocol):
        self.name, self.protocol = name, protocol
        self.members, self.own_peers = [], []
        self.unread = []  # records that members have read and the test has not looked at

    def __enter__(self):
        return self

    def __exit__(self, failed, *_):
        for peer in self.own_peers:
            peer.stop()
        for member in self.members:
            if failed:
                member.client.stop()  # what is left of the group must not disturb the next test
            elif member.client not in self.own_peers:
                member.client.call("group_close", id=member.name)

    def open(self, client, topics=(), pattern=None, protocol=None, assignor=None, instance=None,
             session_ms=SESSION_MS):
        protocol = protocol or self.protocol
        if protocol == "classic":
            assignor = assignor or "range"
        member = Member(
            client, self.name, topics=list(topics), pattern=pattern, protocol=protocol,
            assignor=assignor, instance=instance, session_ms=session_ms)
        self.members.append(member)
        return member

    def close(self, member):
        self.members.remove(member)
        member.client.call("group_close", id=member.name)

    def own_process(self, client):
        """A second process of the adapter, which a test may kill."""
        self.own_peers.append(client.twin())
        return self.own_peers[-1]

    def kill(self, peer):
        self.members = [member for member in self.members if member.client is not peer]
        peer.stop()

    def poll(self):
        """All adapters at the same time: a member that is not polled holds a rebalance up."""
        by_client = {}
        for member in self.members:
            by_client.setdefault(member.client, {})[member.name] = member
        for client, members in by_client.items():
            client.send("group_poll", ids=list(members), ms=POLL_MS)
        failures = []
        for client, members in by_client.items():
            try:
                for name, told in client.receive().items():
                    self.unread += members[name].take(told)
            except Exception as failure:
                failures.append(failure)
        if failures:
            raise failures[0]

    def until(self, reached, what, wait_s=WAIT_S):
        """Polls until `reached()`; a test that waits in vain says `what()` it waited for."""
        deadline = time.monotonic() + wait_s
        while not reached():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {wait_s} s: {what()}; {self.members}")
            self.poll()

    def settle(self, wanted, wait_s=WAIT_S):
        """Until the members share `wanted`: each place held by one, each member with some."""
        self.until(lambda: shared(self.members, wanted),
                   lambda: f"{short(wanted)} shared among the members", wait_s)
        self.poll()  # a rebalance that has only begun
        if not shared(self.members, wanted):
            self.settle(wanted, wait_s)

    def read(self, wanted, wait_s=WAIT_S):
        """Until the members have read `wanted` together: every record once, and no other."""
        def missing():
            return f"{len(wanted)} records read, {first(wanted, self.unread)} lack"

        self.until(lambda: len(self.unread) >= len(wanted), missing, wait_s)
        self.poll()  # what is read twice
        found, self.unread = self.unread, []
        if sorted(found) != sorted(wanted):
            raise AssertionError(f"{len(wanted)} records expected, {len(found)} read; "
                                 f"{first(wanted, found)} lack, {first(found, wanted)} are too "
                                 f"many; {self.members}")

    def commit(self):
        for member in self.members:
            if member.uncommitted:
                member.commit()


def shared(members, wanted):
    held = [place for member in members for place in member.held]
    return all(member.held for member in members) and sorted(held) == sorted(wanted)


def first(these, those):
    """Up to three of `these` that are not among `those`."""
    return sorted((collections.Counter(these) - collections.Counter(those)).elements())[:3]
