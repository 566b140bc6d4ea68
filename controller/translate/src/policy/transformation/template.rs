//! What templates need from the host.

use weir_crds::kgateway::{Transform, Transformation};
use weir_model::Capability;

/// The capabilities of a transformation: its log, random numbers, and each variable that a template names literally.
/// A name that is computed is granted nothing and yields the empty text.
pub(super) fn capabilities(transformation: &Transformation) -> Vec<String> {
    let sides = transformation.request.iter().chain(&transformation.response);
    let mut names: Vec<_> = sides.flat_map(Transform::templates).flat_map(variables).collect();
    names.sort_unstable();
    names.dedup();
    let variables = names
        .into_iter()
        .map(|name| Capability::Environment(Some(name.to_owned())));
    [Capability::Log, Capability::Random, Capability::Environment(None)]
        .into_iter()
        .chain(variables)
        .map(|it| it.to_string())
        .collect()
}

/// The literal arguments of `env(…)` in a template.
fn variables(template: &str) -> impl Iterator<Item = &str> {
    template.match_indices("env").filter_map(|(at, word)| {
        let is_part_of_word = template
            .get(..at)
            .and_then(|before| before.chars().next_back())
            .is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.');
        if is_part_of_word {
            return None;
        }
        let argument = template
            .get(at + word.len()..)?
            .trim_start()
            .strip_prefix('(')?
            .trim_start();
        let quote = argument.chars().next().filter(|it| matches!(it, '"' | '\''))?;
        let (name, rest) = argument.get(1..)?.split_once(quote)?;
        (rest.trim_start().starts_with(')') && !name.is_empty()).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_literal_arguments_of_env_count() {
        let check = |template: &str, expect: &[&str]| {
            assert_eq!(variables(template).collect::<Vec<_>>(), expect, "{template}");
        };
        check(r#"{{ env("HOME") }}-{{ env( 'TERM' ) }}"#, &["HOME", "TERM"]);
        check(r#"{{ myenv("HOME") }} {{ env(name) }} {{ env("") }}"#, &[]);
        check(r#"{{ env("A" ~ x) }}"#, &[]);
    }
}
