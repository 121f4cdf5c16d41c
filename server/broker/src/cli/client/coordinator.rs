//! The broker in charge of a group.

use corelog_wire::api::Request;
use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};

use super::cluster::Cluster;
use super::retries::Retries;
use crate::cli::failure::{Failure, check};

/// The first version that asks for several.
const SEVERAL_FROM: i16 = 4;

impl Cluster {
    /// Asks a group's coordinator, again while it moves or begins. `request` is given the version
    /// that both sides speak.
    pub(in crate::cli) fn ask_coordinator<R: Request, T>(
        &mut self,
        group: &str,
        request: impl Fn(i16) -> R,
        take: impl Fn(R::Response) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        patiently(|| {
            let node = self.coordinator(group)?;
            let broker = self.broker(node)?;
            let version = broker.version::<R>()?;
            take(broker.call(&request(version))?)
        })
    }

    fn coordinator(&mut self, group: &str) -> Result<i32, Failure> {
        let version = self.any().version::<FindCoordinatorRequest>()?;
        let response = self.any().call(&request(group, version))?;
        let found = found(group, response)?;
        self.learn(found.node_id, &found.host, found.port);
        Ok(found.node_id)
    }
}

/// Does it again while a coordinator is not found, moves or begins.
pub(in crate::cli) fn patiently<T>(
    mut ask: impl FnMut() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut retries = Retries::new();
    loop {
        match ask() {
            Err(failure) if is_passing(&failure) => retries.pause(failure)?,
            done => return done,
        }
    }
}

fn is_passing(failure: &Failure) -> bool {
    use ErrorCode::{CoordinatorLoadInProgress, CoordinatorNotAvailable, NotCoordinator};
    let passing = [CoordinatorLoadInProgress, CoordinatorNotAvailable, NotCoordinator];
    matches!(failure, Failure::Refused { code, .. } if passing.contains(code))
}

fn request(group: &str, version: i16) -> FindCoordinatorRequest {
    match version {
        SEVERAL_FROM.. => {
            FindCoordinatorRequest { coordinator_keys: vec![group.into()], ..Default::default() }
        }
        _ => FindCoordinatorRequest { key: group.into(), ..Default::default() },
    }
}

fn found(group: &str, response: FindCoordinatorResponse) -> Result<Coordinator, Failure> {
    let FindCoordinatorResponse { error_code, error_message, node_id, host, port, .. } = response;
    let only = Coordinator { node_id, host, port, error_code, error_message, ..Default::default() };
    let found = response.coordinators.into_iter().next().unwrap_or(only);
    let words = found.error_message.clone().filter(|words| !words.is_empty());
    check(found.error_code, words, || format!("coordinator of group `{group}`"))?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use corelog_wire::header::encode_request;

    fn refused(code: ErrorCode) -> Failure {
        check(code, None, String::new).expect_err("an error code")
    }

    #[test]
    fn every_version_can_name_the_group() {
        for version in 0..=6 {
            let frame = encode_request(version, 0, None, &request("name", version));
            let bytes = frame.expect("encodes").into_bytes().expect("no holes");
            assert!(bytes.windows(4).any(|bytes| bytes == b"name"), "version {version}");
        }
    }

    #[test]
    fn old_and_new_answers_are_read() {
        let only = FindCoordinatorResponse { node_id: 3, ..Default::default() };
        let coordinator = Coordinator { node_id: 3, ..Default::default() };
        let several =
            FindCoordinatorResponse { coordinators: vec![coordinator], ..Default::default() };
        for response in [only, several] {
            assert_eq!(found("g", response).expect("found").node_id, 3);
        }
        let code = ErrorCode::GroupAuthorizationFailed;
        let old = FindCoordinatorResponse { error_code: code, ..Default::default() };
        let refusal =
            Coordinator { error_code: code, error_message: Some("".into()), ..Default::default() };
        let new = FindCoordinatorResponse { coordinators: vec![refusal], ..Default::default() };
        for response in [old, new] {
            let text = found("g", response).expect_err("refused").to_string();
            let ours = code.message();
            let told = format!("coordinator of group `g`: {ours} (GROUP_AUTHORIZATION_FAILED)");
            assert_eq!(text, told);
        }
    }

    #[test]
    fn only_what_passes_is_waited_for() {
        let mut answers = vec![Ok(7), Err(refused(ErrorCode::NotCoordinator))];
        assert_eq!(patiently(|| answers.pop().expect("no more than two")).expect("at last"), 7);
        let mut asked = 0;
        let failure = patiently::<()>(|| {
            asked += 1;
            Err(refused(ErrorCode::UnknownTopicOrPartition))
        });
        assert!(failure.is_err());
        assert_eq!(asked, 1);
    }
}
