//! ListConfigResources: what has settings of its own (KIP-1142; KIP-1000 in version 0).

use crate::error_code::ErrorCode;
use crate::text::Str;

messages! {
    /// Asks for resources of these types; of all if there are none.
    struct ListConfigResourcesRequest {
        resource_types: Vec<i8> [1..; strict],
    }

    /// The resources.
    struct ListConfigResourcesResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        config_resources: Vec<ConfigResource>,
    }

    /// A resource.
    struct ConfigResource {
        resource_name: Str,
        resource_type: i8 [1..] = 16,
    }
}
