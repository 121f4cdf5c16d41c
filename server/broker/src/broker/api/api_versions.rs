//! ApiVersions: what is served, and which features the cluster has switched on.

use corelog_drive::{Answer, Response};
use std::ops::RangeInclusive;
use std::rc::Rc;

use corelog_engine::metadata::image::{
    GROUP_VERSION, GROUP_VERSIONS, METADATA_VERSION, METADATA_VERSIONS,
};
use corelog_wire::api::ApiKey;
use corelog_wire::error_code::ErrorCode;
use corelog_wire::header::RequestHeader;
use corelog_wire::messages::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};
use corelog_wire::text::Str;

use crate::broker::api::{Call, Handled, encode};
use crate::broker::node::Node;

pub(crate) fn handle(call: &Call, request: ApiVersionsRequest) -> Handled<ApiVersionsResponse> {
    let named = is_software_name(&request.client_software_name)
        && is_software_name(&request.client_software_version);
    if call.header.version >= 3 {
        if !named {
            let error_code = ErrorCode::InvalidRequest;
            let refused = ApiVersionsResponse { error_code, ..ApiVersionsResponse::default() };
            return Handled::Now(refused);
        }
        let (name, version) = (&request.client_software_name, &request.client_software_version);
        call.entrance.hear_software(name, version);
    }
    Handled::Now(answer(&call.node))
}

/// Kafka's rule for client software names and versions: letters, digits, `-` and `.`, the latter
/// two not at the ends.
fn is_software_name(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.chars().all(inner) && end(text.chars().next()) && end(text.chars().next_back())
}

/// The answer to a version that is not known: in version 0, which every client reads, with the
/// versions to choose from.
pub(crate) fn unsupported(node: Rc<Node>, correlation_id: i32) -> Response {
    let header = RequestHeader {
        api: ApiKey::ApiVersions,
        version: 0,
        correlation_id,
        client_id: Str::new(),
    };
    Box::pin(async move {
        let error_code = ErrorCode::UnsupportedVersion;
        let body = ApiVersionsResponse { error_code, ..answer(&node) };
        encode(&header, &body).map(Answer::from)
    })
}

fn answer(node: &Node) -> ApiVersionsResponse {
    let image = node.image();
    let keys = ApiKey::advertised().map(|(api, min_version, max_version)| ApiVersion {
        api_key: api as i16,
        min_version,
        max_version,
    });
    let finalized = image.features().iter().map(|(name, level)| FinalizedFeatureKey {
        name: Str::from(name.clone()),
        max_version_level: *level,
        min_version_level: *level,
    });
    ApiVersionsResponse {
        api_keys: keys.collect(),
        supported_features: vec![
            supported(GROUP_VERSION, &GROUP_VERSIONS),
            supported(METADATA_VERSION, &METADATA_VERSIONS),
        ],
        finalized_features_epoch: i64::try_from(image.version()).unwrap_or(i64::MAX),
        finalized_features: finalized.collect(),
        ..ApiVersionsResponse::default()
    }
}

fn supported(name: &'static str, levels: &RangeInclusive<i16>) -> SupportedFeatureKey {
    SupportedFeatureKey {
        name: Str::from_static(name),
        min_version: *levels.start(),
        max_version: *levels.end(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_names_are_kafkas() {
        for good in ["librdkafka", "apache-kafka-java", "4.3.1", "v2.15.1-RC1", "a"] {
            assert!(is_software_name(good), "{good}");
        }
        for bad in ["", "-a", "a.", "a b", "a_b", "ä"] {
            assert!(!is_software_name(bad), "{bad}");
        }
    }
}
