//! The series of a closed list of words, such as phases or reasons, found without a lock and made at the first use.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;

use parking_lot::Mutex;

use crate::family::{Handle, Value};

/// Words that are found without a lock. Lists are shorter; what comes after them is counted all the same.
const QUICK: usize = 16;

/// One series per word.
pub(crate) struct Words<V: Value> {
    quick: [OnceLock<(&'static str, Handle<V>)>; QUICK],
    late: Mutex<BTreeMap<&'static str, Handle<V>>>,
    make: Box<dyn Fn(&'static str) -> Handle<V> + Send + Sync>,
}

impl<V: Value> Words<V> {
    /// Series that `make` makes.
    pub(crate) fn new(make: impl Fn(&'static str) -> Handle<V> + Send + Sync + 'static) -> Self {
        Self {
            quick: [const { OnceLock::new() }; QUICK],
            late: Mutex::default(),
            make: Box::new(make),
        }
    }

    /// Uses the series of `word`.
    pub(crate) fn with<R>(&self, word: &'static str, update: impl FnOnce(&Handle<V>) -> R) -> R {
        for place in &self.quick {
            // An empty place becomes this word's, or that of a thread that was faster.
            let (known, handle) = place.get_or_init(|| (word, (self.make)(word)));
            if *known == word {
                return update(handle);
            }
        }
        update(self.late.lock().entry(word).or_insert_with(|| (self.make)(word)))
    }
}

impl<V: Value> fmt::Debug for Words<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.quick.iter().filter_map(|place| Some(place.get()?.0));
        f.debug_list().entries(known).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Registry;

    #[test]
    fn every_word_keeps_its_series_also_those_beyond_the_quick_ones() {
        const WORDS: [&str; 18] = [
            "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r",
        ];
        let family = Registry::new()
            .counter("words_total", "Words.", ["word"])
            .unwrap();
        let words = Words::new(move |word| family.with([word]));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for word in WORDS.iter().cycle().take(18 * 100) {
                        words.with(word, |counter| counter.inc());
                    }
                });
            }
        });
        for word in WORDS {
            assert_eq!(words.with(word, |counter| counter.get()), 400, "{word}");
        }
    }
}
