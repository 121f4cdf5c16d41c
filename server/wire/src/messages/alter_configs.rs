//! AlterConfigs: all settings of a resource at once; those that are not named go.

use crate::error_code::ErrorCode;
use crate::text::Str;

messages! {
    /// What the settings are to be.
    struct AlterConfigsRequest {
        resources: Vec<AlterConfigsResource>,
        validate_only: bool,
    }

    /// One resource's settings.
    struct AlterConfigsResource {
        resource_type: i8,
        resource_name: Str,
        configs: Vec<AlterableConfig>,
    }

    /// One setting.
    struct AlterableConfig {
        name: Str,
        value: Option<Str>,
    }

    /// What became of the resources.
    struct AlterConfigsResponse {
        throttle_time_ms: i32,
        responses: Vec<AlterConfigsResourceResponse>,
    }

    /// What became of one resource.
    struct AlterConfigsResourceResponse {
        error_code: ErrorCode,
        error_message: Option<Str>,
        resource_type: i8,
        resource_name: Str,
    }
}
