//! `corelog group delete`

use std::fmt;

use corelog_wire::error_code::ErrorCode;
use corelog_wire::messages::delete_groups::{DeleteGroupsRequest, DeleteGroupsResponse};
use serde::Serialize;

use crate::cli::client::{ClientArguments, Cluster};
use crate::cli::failure::{Failure, check};
use crate::cli::output::{complain, print};

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Deleted {
    groups: Vec<Row>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Row {
    name: String,
}

/// Each group has a coordinator of its own, and an outcome: one does not keep others from it.
pub(super) fn run(names: &[String], client: &ClientArguments) -> Result<(), Failure> {
    let mut cluster = Cluster::connect(&client.bootstrap)?;
    let (mut groups, mut failures) = (Vec::new(), Vec::new());
    for name in names {
        match delete(&mut cluster, name) {
            Ok(()) => groups.push(Row { name: name.clone() }),
            Err(failure) => failures.push(failure),
        }
    }
    if !groups.is_empty() {
        print(client.output, &Deleted { groups })?;
    }
    let last = failures.pop();
    failures.into_iter().for_each(complain);
    last.map_or(Ok(()), Err)
}

fn delete(cluster: &mut Cluster, name: &str) -> Result<(), Failure> {
    let request = |_| DeleteGroupsRequest { groups_names: vec![name.into()] };
    cluster.ask_coordinator(name, request, |response| outcome(name, response))
}

fn outcome(name: &str, response: DeleteGroupsResponse) -> Result<(), Failure> {
    let what = || format!("group `{name}` cannot be deleted");
    let Some(result) = response.results.into_iter().next() else {
        return Err(Failure::NoAnswer { what: what() });
    };
    match result.error_code {
        ErrorCode::GroupIdNotFound => Err(Failure::NoGroup(name.to_owned())),
        ErrorCode::NonEmptyGroup => Err(Failure::GroupInUse { what: what(), group: name.into() }),
        code => check(code, None, what),
    }
}

impl fmt::Display for Deleted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> =
            self.groups.iter().map(|row| format!("deleted `{}`", row.name)).collect();
        f.write_str(&lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corelog_wire::messages::delete_groups::DeletableGroupResult;

    #[test]
    fn what_is_deleted_is_told() {
        let row = |name: &str| Row { name: name.to_owned() };
        let deleted = Deleted { groups: vec![row("a"), row("b")] };
        assert_eq!(deleted.to_string(), "deleted `a`\ndeleted `b`");
        let json = serde_json::to_string(&deleted).expect("serializes");
        assert_eq!(json, r#"{"groups":[{"name":"a"},{"name":"b"}]}"#);
    }

    #[test]
    fn refusals_say_what_to_do() {
        let answer = |error_code| {
            let result = DeletableGroupResult { error_code, ..Default::default() };
            outcome("g", DeleteGroupsResponse { results: vec![result], ..Default::default() })
        };
        assert!(answer(ErrorCode::None).is_ok());
        for (code, words) in [
            (ErrorCode::GroupIdNotFound, "there is no group `g`"),
            (ErrorCode::NonEmptyGroup, "`corelog group describe g` shows"),
            (ErrorCode::InvalidGroupId, "group `g` cannot be deleted: "),
            (ErrorCode::InvalidGroupId, " (INVALID_GROUP_ID)"),
        ] {
            let text = answer(code).expect_err("refused").to_string();
            assert!(text.contains(words), "{text}");
        }
        let nothing = outcome("g", DeleteGroupsResponse::default());
        assert!(matches!(nothing, Err(Failure::NoAnswer { .. })));
    }
}
