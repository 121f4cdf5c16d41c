//! What the scenario files claim, beside the loads that they describe.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::failure::Failure;

/// What a scenario is to show.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(crate) struct Claim {
    /// The scenario's name: that of its file.
    #[serde(skip)]
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) claim: String,
    #[serde(default)]
    pub(crate) bound: Option<String>,
    #[serde(default)]
    pub(crate) systems: Vec<String>,
    #[serde(default, rename = "goal")]
    pub(crate) goals: Vec<Goal>,
}

/// What Corelog is to reach beside a rival.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(crate) struct Goal {
    pub(crate) metric: String,
    pub(crate) against: String,
    #[serde(flatten)]
    pub(crate) ratio: Bound,
}

/// Where the ratio of Corelog to the rival should be.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    pub(crate) fn holds(self, ratio: f64) -> bool {
        match self {
            Bound::AtLeast(bound) => ratio >= bound,
            Bound::AtMost(bound) => ratio <= bound,
        }
    }
}

/// Reads the claims of all scenario files of a folder, by name.
///
/// # Errors
/// The folder or a file cannot be read, or a file is no scenario.
pub(crate) fn read(folder: &Path) -> Result<Vec<Claim>, Failure> {
    let failed = |path: &Path, source| Failure::File { path: path.to_owned(), source };
    let mut claims = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| failed(folder, error))? {
        let path = entry.map_err(|error| failed(folder, error))?.path();
        if path.extension() == Some(OsStr::new("toml")) {
            let text = fs::read_to_string(&path).map_err(|error| failed(&path, error))?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let broken = |source| Failure::Claim { path: path.clone(), source: Box::new(source) };
            claims.push(parse(&name, &text).map_err(broken)?);
        }
    }
    claims.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(claims)
}

/// The claim of a scenario file.
pub(crate) fn parse(name: &str, text: &str) -> Result<Claim, toml::de::Error> {
    Ok(Claim { name: name.to_owned(), ..toml::from_str(text)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_have_one_bound() {
        let scenario = |goal: &str| {
            let head = "title = \"T\"\nclaim = \"C\"\n[[goal]]\nmetric = \"m\"\nagainst = \"k\"\n";
            parse("n", &format!("{head}{goal}\n[load]\ncommand = \"produce\"")).ok()
        };
        for (goal, expected) in [
            ("at_least = 1.5", Some(Bound::AtLeast(1.5))),
            ("at_most = 1", Some(Bound::AtMost(1.0))),
            ("at_least = \"much\"", None),
            ("", None),
        ] {
            let ratio = scenario(goal).map(|claim| claim.goals[0].ratio);
            assert_eq!(ratio, expected, "{goal}");
        }
    }

    #[test]
    fn a_bound_holds_at_itself() {
        for (bound, ratio, holds) in [
            (Bound::AtLeast(1.5), 1.5, true),
            (Bound::AtLeast(1.5), 1.4, false),
            (Bound::AtMost(0.5), 0.5, true),
            (Bound::AtMost(0.5), 0.6, false),
        ] {
            assert_eq!(bound.holds(ratio), holds, "{bound:?} {ratio}");
        }
    }

    #[test]
    fn files_are_read_by_name_and_others_passed_over() {
        let folder = std::env::temp_dir().join(format!("corelog-claims-{}", std::process::id()));
        fs::create_dir(&folder).expect("a folder");
        for (file, text) in [
            ("b.toml", "title = \"B\"\nclaim = \"\""),
            ("a.toml", "title = \"A\"\nclaim = \"\""),
            ("notes.md", "# no scenario"),
        ] {
            fs::write(folder.join(file), text).expect("a file");
        }
        let names = read(&folder).map(|claims| claims.into_iter().map(|c| c.name).collect());
        fs::write(folder.join("c.toml"), "title = 1").expect("a file");
        let broken = read(&folder).err().map(|failure| failure.to_string());
        fs::remove_dir_all(&folder).expect("removed");
        assert_eq!(names.ok(), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert!(broken.is_some_and(|text| text.contains("c.toml")));
    }
}
