//! Kafka's own broker settings that Corelog has no use for. A `server.properties` may contain
//! them; each is reported with the reason. What would leave a cluster less protected than its
//! owner believes is refused instead.

/// What becomes of a setting that only Kafka has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is not needed, and why.
    Ignored(&'static str),
    /// It has no effect, and what has the effect that was meant.
    Replaced(&'static str),
    /// The broker does not start with it, and why.
    Refused(&'static str),
}

/// Settings that are ignored for one reason.
pub(super) struct Ignored {
    /// The reason.
    pub(super) why: &'static str,
    /// Their names, separated by white space. One that ends in a dot stands for all that begin
    /// so: Kafka leaves those names to plug-ins and to listeners.
    names: &'static str,
}

impl Ignored {
    /// The names and beginnings of names.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.names.split_ascii_whitespace()
    }

    fn has(&self, name: &str) -> bool {
        self.names().any(|known| match known.ends_with('.') {
            true => name.starts_with(known) && name.len() > known.len(),
            false => name == known,
        })
    }
}

/// All that are ignored.
pub(super) const IGNORED: &[Ignored] = &[
    Ignored {
        why: "there are no separate controllers",
        names: "process.roles initial.broker.registration.timeout.ms \
                broker.heartbeat.interval.ms broker.session.timeout.ms \
                sasl.mechanism.controller.protocol controller.quorum.voters \
                controller.quorum.bootstrap.servers controller.quorum.election.timeout.ms \
                controller.quorum.fetch.timeout.ms controller.quorum.election.backoff.max.ms \
                controller.quorum.append.linger.ms controller.quorum.request.timeout.ms \
                controller.quorum.retry.backoff.ms controller.quorum.auto.join.enable \
                controller.quorum.fetch.snapshot.max.bytes controller.quorum.fetch.max.bytes \
                controller.socket.timeout.ms controller.performance.sample.period.ms \
                controller.performance.always.log.threshold.ms server.max.startup.time.ms \
                early.start.listeners",
    },
    Ignored {
        why: "the metadata log keeps itself small",
        names: "metadata.log.dir metadata.log.max.record.bytes.between.snapshots \
                metadata.log.max.snapshot.interval.ms metadata.log.segment.bytes \
                metadata.log.segment.min.bytes metadata.log.segment.ms \
                metadata.max.retention.bytes metadata.max.retention.ms \
                metadata.max.idle.interval.ms internal.metadata.log.segment.bytes \
                internal.metadata.max.batch.size.in.bytes internal.metadata.delete.delay.millis",
    },
    Ignored {
        why: "each core runs one thread, `cores` says which",
        names: "num.network.threads num.io.threads background.threads \
                num.recovery.threads.per.data.dir num.replica.alter.log.dirs.threads \
                num.replica.fetchers log.cleaner.threads group.coordinator.threads \
                group.coordinator.background.threads share.coordinator.threads",
    },
    Ignored {
        why: "the kernel sizes socket buffers by itself",
        names: "socket.send.buffer.bytes socket.receive.buffer.bytes \
                replica.socket.receive.buffer.bytes",
    },
    Ignored {
        why: "connections and requests are limited by `max.connections` and by memory",
        names: "max.connections.per.ip max.connections.per.ip.overrides \
                max.connection.creation.rate socket.listen.backlog.size queued.max.requests \
                queued.max.request.bytes max.request.partition.size.limit \
                fetch.purgatory.purge.interval.requests \
                producer.purgatory.purge.interval.requests \
                delete.records.purgatory.purge.interval.requests \
                share.fetch.purgatory.purge.interval.requests",
    },
    Ignored {
        why: "a restart reads the journal, not checkpoints",
        names: "log.flush.offset.checkpoint.interval.ms \
                log.flush.start.offset.checkpoint.interval.ms \
                replica.high.watermark.checkpoint.interval.ms log.initial.task.delay.ms \
                log.dir.failure.timeout.ms cordoned.log.dirs controlled.shutdown.",
    },
    Ignored {
        why: "logs are not compacted yet",
        names: "log.cleaner.enable log.cleaner.backoff.ms log.cleaner.dedupe.buffer.size \
                log.cleaner.io.buffer.load.factor log.cleaner.io.buffer.size \
                log.cleaner.io.max.bytes.per.second",
    },
    Ignored {
        why: "a partition has one replica, and brokers do not talk to each other",
        names: "inter.broker.listener.name security.inter.broker.protocol \
                auto.leader.rebalance.enable leader.imbalance.check.interval.seconds \
                unclean.leader.election.interval.ms replica.lag.time.max.ms \
                replica.socket.timeout.ms replica.fetch.max.bytes replica.fetch.wait.max.ms \
                replica.fetch.backoff.ms replica.fetch.min.bytes \
                replica.fetch.response.max.bytes replica.selector.class \
                replica.lag.max.messages eligible.leader.replicas.enable \
                follower.fetch.last.tiered.offset.enable request.timeout.ms \
                socket.connection.setup.timeout.ms socket.connection.setup.timeout.max.ms",
    },
    Ignored {
        why: "a partition has one replica, and what groups decide is durable when it is answered",
        names: "offsets.topic.replication.factor offsets.topic.compression.codec \
                offsets.commit.required.acks \
                offsets.commit.timeout.ms offsets.load.buffer.size \
                group.coordinator.append.linger.ms group.coordinator.cached.buffer.max.bytes",
    },
    Ignored {
        why: "patterns are looked up as soon as there are other topics",
        names: "group.consumer.regex.refresh.interval.ms",
    },
    Ignored {
        why: "streams groups are not served",
        names: "group.streams.session.timeout.ms \
                group.streams.min.session.timeout.ms group.streams.max.session.timeout.ms \
                group.streams.heartbeat.interval.ms group.streams.min.heartbeat.interval.ms \
                group.streams.max.heartbeat.interval.ms group.streams.max.size \
                group.streams.num.standby.replicas group.streams.max.standby.replicas \
                group.streams.initial.rebalance.delay.ms group.streams.assignment.interval.ms \
                group.streams.min.assignment.interval.ms \
                group.streams.max.assignment.interval.ms",
    },
    Ignored {
        why: "there are no share groups yet",
        names: "group.share. share.coordinator.state.topic.num.partitions \
                share.coordinator.state.topic.replication.factor \
                share.coordinator.state.topic.min.isr \
                share.coordinator.state.topic.segment.bytes \
                share.coordinator.state.topic.compression.codec \
                share.coordinator.state.topic.prune.interval.ms \
                share.coordinator.snapshot.update.records.per.snapshot \
                share.coordinator.load.buffer.size share.coordinator.append.linger.ms \
                share.coordinator.write.timeout.ms share.coordinator.cached.buffer.max.bytes \
                share.coordinator.cold.partition.snapshot.interval.ms",
    },
    Ignored {
        why: "there are no transactions yet",
        names: "transaction.state.log.replication.factor transaction.state.log.min.isr \
                transaction.state.log.num.partitions transaction.state.log.segment.bytes \
                transaction.state.log.load.buffer.size transaction.partition.verification.enable \
                transaction.two.phase.commit.enable \
                transaction.abort.timed.out.transaction.cleanup.interval.ms \
                transaction.remove.expired.transaction.cleanup.interval.ms \
                add.partitions.to.txn.retry.backoff.ms \
                add.partitions.to.txn.retry.backoff.max.ms \
                producer.id.expiration.check.interval.ms",
    },
    Ignored {
        why: "there is no tiered storage",
        names: "remote.log.storage.system.enable remote.log.storage.manager.class.name \
                remote.log.storage.manager.class.path remote.log.storage.manager.impl.prefix \
                remote.log.metadata.manager.class.name remote.log.metadata.manager.class.path \
                remote.log.metadata.manager.impl.prefix \
                remote.log.metadata.manager.listener.name \
                remote.log.metadata.custom.metadata.max.bytes \
                remote.log.index.file.cache.total.size.bytes remote.log.index.file.cache.ttl.ms \
                remote.log.manager.thread.pool.size remote.log.manager.copier.thread.pool.size \
                remote.log.manager.expiration.thread.pool.size \
                remote.log.manager.follower.thread.pool.size remote.log.manager.task.interval.ms \
                remote.log.manager.task.retry.backoff.ms \
                remote.log.manager.task.retry.backoff.max.ms \
                remote.log.manager.task.retry.jitter remote.log.reader.threads \
                remote.log.reader.max.pending.tasks remote.log.manager.copy.max.bytes.per.second \
                remote.log.manager.copy.quota.window.num \
                remote.log.manager.copy.quota.window.size.seconds \
                remote.log.manager.fetch.max.bytes.per.second \
                remote.log.manager.fetch.quota.window.num \
                remote.log.manager.fetch.quota.window.size.seconds remote.fetch.max.wait.ms \
                remote.list.offsets.request.timeout.ms rsm.config. rlmm.config.",
    },
    Ignored {
        why: "only PLAINTEXT listeners are served, and any other is refused",
        names: "sasl. ssl. listener.name. security.providers principal.builder.class \
                connections.max.reauth.ms connection.failed.authentication.delay.ms \
                delegation.token.secret.key delegation.token.master.key \
                delegation.token.max.lifetime.ms \
                delegation.token.expiry.time.ms delegation.token.expiry.check.interval.ms \
                super.users allow.everyone.if.no.acl.found",
    },
    Ignored {
        why: "there are no quotas",
        names: "quota.producer.default quota.consumer.default quota.window.num \
                quota.window.size.seconds replication.quota.window.num \
                replication.quota.window.size.seconds \
                alter.log.dirs.replication.quota.window.num \
                alter.log.dirs.replication.quota.window.size.seconds controller.quota.window.num \
                controller.quota.window.size.seconds leader.replication.throttled.rate \
                follower.replication.throttled.rate \
                replica.alter.log.dirs.io.max.bytes.per.second",
    },
    Ignored {
        why: "no Java class is loaded for metrics",
        names: "metric.reporters metrics.num.samples metrics.sample.window.ms \
                metrics.recording.level kafka.metrics.reporters \
                kafka.metrics.polling.interval.secs auto.include.jmx.reporter \
                telemetry.max.bytes",
    },
    Ignored {
        why: "Kafka itself does not have it any more",
        names: "zookeeper. broker.id.generation.enable reserved.broker.max.id \
                inter.broker.protocol.version log.message.format.version \
                log.message.timestamp.difference.max.ms log.message.downconversion.enable \
                control.plane.listener.name group.coordinator.new.enable \
                leader.imbalance.per.broker.percentage \
                password.encoder.",
    },
    Ignored {
        why: "it is for a plug-in, or for another distribution of Kafka",
        names: "confluent. strimzi. cruise.control. kafka.timeline. kafka.ganglia. \
                kafka.graphite. external.kafka. prometheus.metrics.reporter. \
                client.quota.callback.static.",
    },
    Ignored {
        why: "it is for testing Kafka",
        names: "unstable.api.versions.enable unstable.feature.versions.enable",
    },
];

/// Names that Kafka's broker does not have (any more), and the settings that do what they say.
const REPLACED: [(&str, &str); 10] = [
    ("port", "use `listeners`"),
    ("host.name", "use `listeners`"),
    ("advertised.port", "use `advertised.listeners`"),
    ("advertised.host.name", "use `advertised.listeners`"),
    ("log.cleanup.interval.mins", "use `log.retention.check.interval.ms`"),
    ("max.request.size", "it is for producers; the broker's limit is `message.max.bytes`"),
    ("buffer.memory", "it is for producers; a core of the broker has `memory.per.core`"),
    ("fetch.message.max.bytes", "it is for consumers; the broker's limit is `fetch.max.bytes`"),
    ("max.partition.fetch.bytes", "it is for consumers; the broker's limit is `fetch.max.bytes`"),
    ("bootstrap.servers", "it is for clients; the broker has `listeners`"),
];

/// Settings that name a Java class whose work would be missed.
const CLASSES: [(&str, &str); 5] = [
    ("authorizer.class.name", "there is no authorization, every client may do everything"),
    ("create.topic.policy.class.name", "no Java class is loaded to check new topics"),
    ("alter.config.policy.class.name", "no Java class is loaded to check changed settings"),
    ("client.quota.callback.class", "no Java class is loaded to limit clients"),
    ("config.providers", "values are not fetched from elsewhere"),
];

/// What becomes of `name = value`; `None` when Kafka does not have it either.
pub(super) fn verdict(name: &str, value: &str) -> Option<Verdict> {
    let value = value.trim();
    if let Some((_, why)) = CLASSES.iter().find(|(class, _)| *class == name) {
        return Some(match value.is_empty() {
            true => Verdict::Ignored("it is empty"),
            false => Verdict::Refused(why),
        });
    }
    if name == "process.roles" && !value.split(',').any(|role| role.trim() == "broker") {
        return Some(Verdict::Refused("this file is of a controller, not of a broker"));
    }
    if name.starts_with("config.providers.") {
        return Some(Verdict::Ignored("values are not fetched from elsewhere"));
    }
    if let Some((_, instead)) = REPLACED.iter().find(|(replaced, _)| *replaced == name) {
        return Some(Verdict::Replaced(instead));
    }
    IGNORED.iter().find(|group| group.has(name)).map(|group| Verdict::Ignored(group.why))
}

/// Every name that can be misspelt.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    IGNORED
        .iter()
        .flat_map(Ignored::names)
        .chain(CLASSES.iter().map(|(class, _)| *class))
        .filter(|name| !name.ends_with('.'))
}

/// The classes that are refused, and why.
pub(super) fn refused() -> impl Iterator<Item = (&'static str, &'static str)> {
    CLASSES.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        let table = [
            ("num.io.threads", "8", Some(true)),
            ("process.roles", "broker,controller", Some(true)),
            ("process.roles", "controller", Some(false)),
            ("ssl.keystore.password", "x", Some(true)),
            ("ssl.", "x", None),
            ("listener.name.internal.ssl.keystore.location", "x", Some(true)),
            ("authorizer.class.name", "", Some(true)),
            ("authorizer.class.name", "a.B", Some(false)),
            ("config.providers", "file", Some(false)),
            ("num.io.thread", "8", None),
        ];
        for (name, value, ignored) in table {
            let found = verdict(name, value).map(|v| matches!(v, Verdict::Ignored(_)));
            assert_eq!(found, ignored, "{name}");
        }
    }
}
