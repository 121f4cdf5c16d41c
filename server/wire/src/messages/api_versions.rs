//! ApiVersions: what the broker serves, asked first on every connection.
//!
//! Its response header is always version 0, and a request in a version that is not served is
//! answered with a version 0 body and `UNSUPPORTED_VERSION`, so that any client can read it.

use crate::error_code::ErrorCode;
use crate::text::Str;

messages! {
    /// Asks for the served APIs.
    struct ApiVersionsRequest {
        client_software_name: Str [3..],
        client_software_version: Str [3..],
    }

    /// The served APIs and the features that are switched on.
    struct ApiVersionsResponse {
        error_code: ErrorCode,
        api_keys: Vec<ApiVersion>,
        throttle_time_ms: i32 [1..],
        0 => supported_features: Vec<SupportedFeatureKey> [3..],
        1 => finalized_features_epoch: i64 [3..] = -1,
        2 => finalized_features: Vec<FinalizedFeatureKey> [3..],
        3 => zk_migration_ready: bool [3..],
    }

    /// An API with its versions.
    struct ApiVersion {
        api_key: i16,
        min_version: i16,
        max_version: i16,
    }

    /// A feature this broker could run at these levels.
    struct SupportedFeatureKey {
        name: Str,
        min_version: i16,
        max_version: i16,
    }

    /// A feature the cluster runs at this level.
    struct FinalizedFeatureKey {
        name: Str,
        max_version_level: i16,
        min_version_level: i16,
    }
}
