//! What is wrong with a heartbeat, whatever the group
//! (`throwIfConsumerGroupHeartbeatRequestIsInvalid`).

use crate::group::name::Epoch;
use crate::group::request::{ConsumerHeartbeat, GroupError, Refused};
use crate::group::settings::ConsumerSettings;

impl ConsumerHeartbeat {
    /// Whether it can be a heartbeat of any group's member.
    ///
    /// # Errors
    /// InvalidRequest or UnsupportedAssignor, with what to send instead.
    pub fn check(&self, settings: &ConsumerSettings) -> Result<(), Refused> {
        let request = self;
        let blank = |text: &str| text.trim().is_empty();
        let is_blank = |text: Option<&str>| text.is_some_and(blank);
        let needs_id = request.names_itself || request.epoch.0 > 0 || request.epoch == Epoch::LEFT;
        let joining = request.epoch == Epoch::JOINING;
        let no_topics = request.topics.is_none() && request.regex.is_none();
        let invalid = |why: &str| Err(Refused::new(GroupError::InvalidRequest, why.to_owned()));
        match () {
            () if needs_id && blank(request.member.as_str()) => invalid("MemberId can't be empty."),
            () if blank(request.group.as_str()) => invalid("GroupId can't be empty."),
            () if is_blank(request.instance.as_ref().map(|name| name.as_str())) => {
                invalid("InstanceId can't be empty.")
            }
            () if is_blank(request.rack.as_deref()) => invalid("RackId can't be empty."),
            () if joining && request.rebalance_ms.is_none() => {
                invalid("RebalanceTimeoutMs must be provided in first request.")
            }
            () if joining && !request.owned.as_ref().is_some_and(|owned| owned.is_empty()) => {
                invalid("TopicPartitions must be empty when (re-)joining.")
            }
            () if joining && no_topics => invalid(
                "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when \
                         (re-)joining.",
            ),
            () if request.epoch == Epoch::AWAY && request.instance.is_none() => {
                invalid("InstanceId can't be null.")
            }
            () if request.epoch < Epoch::AWAY => invalid("MemberEpoch is invalid."),
            () => knows_assignor(request, settings),
        }
    }
}

fn knows_assignor(request: &ConsumerHeartbeat, settings: &ConsumerSettings) -> Result<(), Refused> {
    let Some(asked) = &request.assignor else { return Ok(()) };
    let names: Vec<&str> = settings.assignors.iter().map(|one| one.name()).collect();
    if names.contains(&&**asked) {
        return Ok(());
    }
    let why = format!(
        "ServerAssignor {asked} is not supported. Supported assignors: {}.",
        names.join(", ")
    );
    Err(Refused::new(GroupError::UnsupportedAssignor, why))
}
