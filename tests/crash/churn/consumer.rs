//! A member of a consumer group (KIP-848).

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

use corelog_tests::live::client::Client;
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, TopicPartitions,
};
use corelog_wire::populate::Seed;
use corelog_wire::text::Str;

use super::classic::{By, commit};
use super::{AGAIN, End, PARTITIONS, SESSION, Site, TOPIC, may_be, pause};

const HEARTBEAT: i16 = 1;
const LEFT: i32 = -1;

struct Member<'a> {
    site: &'a Site,
    client: Client,
    group: &'a str,
    id: Str,
    epoch: i32,
    has: BTreeSet<i32>,
    /// Until when it is a member, as far as it was told.
    until: Instant,
}

impl<'a> Member<'a> {
    fn new(site: &'a Site, client: Client, group: &'a str, name: &str) -> Member<'a> {
        let (id, has) = (Str::from(name), BTreeSet::new());
        Member { site, client, group, id, epoch: 0, has, until: Instant::now() }
    }
}

/// A life: joins, reads, commits, and goes, with or without a word.
pub(super) fn live(
    site: &Site,
    client: Client,
    group: &str,
    name: &str,
    seed: &mut Seed,
) -> Result<(), End> {
    let mut member = Member::new(site, client, group, name);
    while site.goes_on() {
        match seed.below(40) {
            0 => return member.leaves(),
            1 => return member.gives_up(),
            2 if seed.one_in(2) => {
                member.gives_up()?;
                sleep(SESSION + Duration::from_millis(500));
            }
            3..=15 => member.commits(seed)?,
            _ => {}
        }
        member.beats()?;
        pause(seed);
    }
    member.gives_up()
}

/// Two members share the work; what each has.
pub(super) fn settle(site: &Site, group: &str, until: Instant) -> Result<Vec<Vec<i32>>, String> {
    let mut members = Vec::new();
    for name in ["last-0", "last-1"] {
        let client = Client::connect(site.address, super::PATIENCE).map_err(|e| e.to_string())?;
        members.push(Member::new(site, client, group, name));
    }
    let told = |end: End| match end {
        End::Broken(why) => why,
        End::Lost => "the broker is gone".to_owned(),
    };
    while Instant::now() < until {
        members.iter_mut().try_for_each(Member::beats).map_err(told)?;
        let count: usize = members.iter().map(|member| member.has.len()).sum();
        if count as i32 == PARTITIONS && members[0].epoch == members[1].epoch {
            return Ok(members.into_iter().map(|one| one.has.into_iter().collect()).collect());
        }
        sleep(AGAIN);
    }
    Err("time is over".to_owned())
}

impl Member<'_> {
    fn beats(&mut self) -> Result<(), End> {
        let joins = self.epoch == 0;
        if joins {
            self.gives_up()?;
        }
        // Everything each time: an answer may have been lost.
        let partitions: Vec<i32> = self.has.iter().copied().collect();
        let owned = TopicPartitions { topic_id: self.site.topic, partitions };
        let owned = if self.has.is_empty() { Vec::new() } else { vec![owned] };
        let request = ConsumerGroupHeartbeatRequest {
            group_id: Str::from(self.group),
            member_id: self.id.clone(),
            member_epoch: self.epoch,
            rebalance_timeout_ms: 2 * SESSION.as_millis() as i32,
            subscribed_topic_names: Some(vec![Str::from_static(TOPIC)]),
            topic_partitions: Some(owned),
            ..ConsumerGroupHeartbeatRequest::default()
        };
        let asked = Instant::now();
        let answer = self.client.call(HEARTBEAT, &request)?;
        match answer.error_code {
            ErrorCode::None => {}
            code => {
                may_be(code)?;
                if !super::is_in_doubt(code) {
                    self.epoch = 0;
                    self.gives_up()?;
                }
                return Ok(());
            }
        }
        self.epoch = answer.member_epoch;
        self.until = asked + SESSION;
        if let Some(assignment) = answer.assignment {
            let partitions = assignment.topic_partitions.into_iter().flat_map(|t| t.partitions);
            self.has = partitions.collect();
        }
        self.claims()
    }

    fn claims(&self) -> Result<(), End> {
        let claimed = self.site.ledger.claims(self.group, &self.id, &self.has, self.until);
        claimed.map_err(End::Broken)
    }

    /// Reads no more, with a word or without.
    fn gives_up(&mut self) -> Result<(), End> {
        self.has.clear();
        self.claims()
    }

    fn commits(&mut self, seed: &mut Seed) -> Result<(), End> {
        // Whoever may have been taken for gone does not read on.
        if self.has.is_empty() || Instant::now() >= self.until {
            return Ok(());
        }
        let all: Vec<i32> = self.has.iter().copied().collect();
        let partition = all[seed.below(all.len())];
        let by = By { group: self.group, member: &self.id, epoch: self.epoch };
        commit(self.site, &mut self.client, by, partition)
    }

    fn leaves(&mut self) -> Result<(), End> {
        self.gives_up()?;
        if self.epoch == 0 {
            return Ok(());
        }
        let request = ConsumerGroupHeartbeatRequest {
            group_id: Str::from(self.group),
            member_id: self.id.clone(),
            member_epoch: LEFT,
            ..ConsumerGroupHeartbeatRequest::default()
        };
        match self.client.call(HEARTBEAT, &request)?.error_code {
            ErrorCode::None => Ok(()),
            code => may_be(code),
        }
    }
}
