//! `${NAME}` and `~/` in paths.

use std::env;

use cam_core::cache_folder;

/// A path names an environment variable that is not set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the environment variable {name} is not set; set it to the folder that is meant: export {name}=/path/to/it"
)]
pub struct UnsetVariable {
    /// Its name.
    pub name: String,
}

/// `text` with every `${NAME}` replaced by that environment variable; `CAMBENCH_CACHE` has a value even if unset, and `~/` at
/// the beginning is `${HOME}/`, as in a shell.
///
/// # Errors
/// Where a variable is not set, or empty.
pub fn expand_variables(text: &str) -> Result<String, UnsetVariable> {
    expand(text, |name| match name {
        "CAMBENCH_CACHE" => Some(cache_folder().to_string_lossy().into_owned()),
        // An empty one would turn `${ROOT}/val` into a folder of the system.
        _ => env::var(name).ok().filter(|value| !value.is_empty()),
    })
}

fn expand(text: &str, value: impl Fn(&str) -> Option<String>) -> Result<String, UnsetVariable> {
    let mut expanded = String::new();
    let at_home = text.strip_prefix("~/").map(|rest| format!("${{HOME}}/{rest}"));
    let mut rest = at_home.as_deref().unwrap_or(text);
    while let Some((before, from_name)) = rest.split_once("${") {
        let Some((name, after)) = from_name.split_once('}') else { break };
        expanded += before;
        expanded += &value(name).ok_or_else(|| UnsetVariable { name: name.to_string() })?;
        rest = after;
    }
    Ok(expanded + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_and_missing_ones_named() {
        let value = |name: &str| (name == "ROOT").then(|| "/data".to_string());
        assert_eq!(expand("${ROOT}/val/${ROOT}", value).unwrap(), "/data/val//data");
        assert_eq!(expand("plain $ROOT ${", value).unwrap(), "plain $ROOT ${");
        assert_eq!(expand("a/${NOPE}", value).unwrap_err().name, "NOPE");
        let home = |name: &str| (name == "HOME").then(|| "/me".to_string());
        assert_eq!(expand("~/photos", home).unwrap(), "/me/photos");
        assert_eq!(expand("a/~/b", home).unwrap(), "a/~/b");
    }
}
