//! Configurations of a few words: bare ones, and `name=value`. A word that a guest does not know is refused, so
//! that no test is silently about something else.

use std::str::FromStr;

use weir_sdk::Phases;

/// The words of a configuration.
pub fn words(config: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(config)
        .trim_matches('"')
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

/// The words of a configuration, by name. Of two words of one name the last counts.
#[derive(Clone, Debug, Default)]
pub struct Options {
    known: &'static [&'static str],
    words: Vec<String>,
}

impl Options {
    /// Reads a configuration. `known` has the bare words, and the names of others with their `=`.
    ///
    /// # Errors
    /// When a word is not known.
    pub fn read(config: &[u8], known: &'static [&'static str]) -> Result<Self, String> {
        Self {
            known,
            words: Vec::new(),
        }
        .with(config)
    }

    /// These words, and those of `more` after them.
    ///
    /// # Errors
    /// When a word is not known.
    pub fn with(&self, more: &[u8]) -> Result<Self, String> {
        let mut options = self.clone();
        for word in words(more) {
            let name = word
                .split_once('=')
                .map_or(word.as_str(), |(name, _)| &word[..=name.len()]);
            if !self.known.contains(&name) {
                return Err(format!(
                    "unknown word {word:?}: expected one of {}",
                    self.known.join(", ")
                ));
            }
            options.words.push(word);
        }
        Ok(options)
    }

    /// Whether there is that bare word.
    pub fn has(&self, word: &str) -> bool {
        self.words.iter().any(|known| known == word)
    }

    /// The values of that name, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let value = move |word: &'a String| word.strip_prefix(name)?.strip_prefix('=');
        self.words.iter().filter_map(value)
    }

    /// The value of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.words
            .iter()
            .rev()
            .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    /// The value of that name as a number, or `default`.
    ///
    /// # Errors
    /// When it is no such number.
    pub fn number<N: FromStr>(&self, name: &str, default: N) -> Result<N, String> {
        match self.get(name) {
            None => Ok(default),
            Some(value) => value
                .parse()
                .map_err(|_| format!("{name}={value}: expected a number")),
        }
    }

    /// The phase that `at=` names, or the head of the request.
    ///
    /// # Errors
    /// When there is no phase of that name.
    pub fn phase(&self) -> Result<Phases, String> {
        crate::phase(self.get("at").unwrap_or("request-head"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["at=", "whole", "calls="];

    #[test]
    fn words_are_read_with_and_without_quotes_and_the_last_of_a_name_counts() {
        let options = Options::read(br#""whole calls=1 at=log calls=2""#, KNOWN).unwrap();
        assert!(options.has("whole"));
        assert_eq!(options.number("calls", 0), Ok(2));
        assert_eq!(options.all("calls").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(options.phase(), Ok(Phases::LOG));
        let options = options.with(b"calls=3").unwrap();
        assert_eq!(options.get("calls"), Some("3"));
        assert_eq!(options.get("call"), None);
    }

    #[test]
    fn a_word_that_makes_no_sense_is_refused_by_name() {
        let check = |config: &str, expect: &str| {
            let options = Options::read(config.as_bytes(), KNOWN);
            let outcome = options.and_then(|options| {
                options.phase()?;
                options.number("calls", 0_u32)
            });
            let problem = outcome.unwrap_err();
            assert!(problem.contains(expect), "{config}: {problem}");
        };
        check("hole", "\"hole\"");
        check("whole=1", "\"whole=1\"");
        check("calls", "\"calls\"");
        check("calls=many", "calls=many");
        check("at=noon", "\"noon\"");
    }
}
