//! IncrementalAlterConfigs: changes of single settings (KIP-339).

use crate::text::Str;

pub use crate::messages::alter_configs::AlterConfigsResourceResponse;

messages! {
    /// What to change.
    struct IncrementalAlterConfigsRequest {
        resources: Vec<AlterConfigsResource>,
        validate_only: bool,
    }

    /// One resource's settings.
    struct AlterConfigsResource {
        resource_type: i8,
        resource_name: Str,
        configs: Vec<AlterableConfig>,
    }

    /// One setting, and what to do to it: 0 set, 1 delete, 2 append, 3 subtract.
    struct AlterableConfig {
        name: Str,
        config_operation: i8,
        value: Option<Str>,
    }

    /// What became of the resources.
    struct IncrementalAlterConfigsResponse {
        throttle_time_ms: i32,
        responses: Vec<AlterConfigsResourceResponse>,
    }
}
