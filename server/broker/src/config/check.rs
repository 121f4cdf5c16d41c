//! `corelog config check`: what the sources add up to, or everything that is wrong with them.

use super::load::Loaded;
use super::problem::{Notice, Rejected};
use super::setting::Setting;
use super::settings::Source;
use super::table;

/// The outcome of `load::load`, for people: effective values that are not the default, with where
/// they come from; what to know; what is wrong.
#[must_use]
pub(crate) fn report(outcome: &Result<Loaded, Rejected>) -> String {
    match outcome {
        Ok(loaded) => {
            let values: String = table::broker().filter_map(|row| value(loaded, row)).collect();
            format!("{values}{}ok\n", notices(&loaded.notices))
        }
        Err(rejected) => {
            let problems: String =
                rejected.problems.iter().map(|problem| format!("error: {problem}\n")).collect();
            format!("{}{problems}", notices(&rejected.notices))
        }
    }
}

fn value(loaded: &Loaded, setting: &Setting) -> Option<String> {
    let assigned = loaded.config.settings().effective(setting.name)?;
    if assigned.origin.source() == Source::Default {
        return None;
    }
    let value = setting.shown(&assigned.value).unwrap_or_else(|| "(hidden)".to_owned());
    Some(format!("{} = {value}  ({})\n", setting.name, assigned.origin))
}

fn notices(notices: &[Notice]) -> String {
    notices.iter().map(|notice| format!("note: {notice}\n")).collect()
}
