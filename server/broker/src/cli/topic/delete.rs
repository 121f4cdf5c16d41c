//! `corelog topic delete`

use std::fmt;

use corelog_wire::messages::delete_topics::{
    DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use serde::Serialize;

use super::TIMEOUT_MS;
use crate::cli::client::{ClientArguments, Cluster};
use crate::cli::failure::{Failure, check};
use crate::cli::output::print;

/// The first version that lists states in place of names.
const STATES: i16 = 6;

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Deleted {
    name: String,
}

pub(super) fn run(name: &str, client: &ClientArguments) -> Result<(), Failure> {
    let mut cluster = Cluster::connect(&client.bootstrap)?;
    // For its words: a broker refuses a topic that does not exist too.
    cluster.topic(name)?;
    let controller = cluster.controller()?;
    let version = controller.version::<DeleteTopicsRequest>()?;
    let response = controller.call(&request(name, version))?;
    print(client.output, &deleted(name, response)?)
}

fn request(name: &str, version: i16) -> DeleteTopicsRequest {
    let state = DeleteTopicState { name: Some(name.into()), ..Default::default() };
    let (topics, topic_names) = match version {
        STATES.. => (vec![state], Vec::new()),
        _ => (Vec::new(), vec![name.into()]),
    };
    DeleteTopicsRequest { topics, topic_names, timeout_ms: TIMEOUT_MS }
}

fn deleted(name: &str, response: DeleteTopicsResponse) -> Result<Deleted, Failure> {
    let what = || format!("topic `{name}` cannot be deleted");
    let Some(topic) = response.responses.into_iter().next() else {
        return Err(Failure::NoAnswer { what: what() });
    };
    check(topic.error_code, topic.error_message, what)?;
    Ok(Deleted { name: name.to_owned() })
}

impl fmt::Display for Deleted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "deleted `{}`", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corelog_wire::error_code::ErrorCode;
    use corelog_wire::header::encode_request;
    use corelog_wire::messages::delete_topics::DeletableTopicResult;

    #[test]
    fn every_version_can_say_the_name() {
        for version in 1..=6 {
            let frame = encode_request(version, 0, None, &request("name", version));
            let bytes = frame.expect("encodes").into_bytes().expect("no holes");
            assert!(bytes.windows(4).any(|bytes| bytes == b"name"), "version {version}");
        }
    }

    #[test]
    fn outcomes_are_told() {
        let answer = |error_code| {
            let result = DeletableTopicResult { error_code, ..Default::default() };
            deleted("t", DeleteTopicsResponse { responses: vec![result], ..Default::default() })
        };
        let done = answer(ErrorCode::None).expect("deleted");
        assert_eq!(done.to_string(), "deleted `t`");
        assert_eq!(serde_json::to_string(&done).expect("serializes"), r#"{"name":"t"}"#);
        let refused = answer(ErrorCode::TopicDeletionDisabled).expect_err("refused");
        let text = refused.to_string();
        assert!(text.starts_with("topic `t` cannot be deleted: "), "{text}");
        assert!(text.ends_with(" (TOPIC_DELETION_DISABLED)"), "{text}");
    }
}
