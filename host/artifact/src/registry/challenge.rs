//! `WWW-Authenticate`: what a registry wants before it answers. Parsing only.

use http::header::WWW_AUTHENTICATE;

use crate::transport::Reply;

/// The way to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User and password with each request.
    Basic,
    /// A token from a token service.
    Bearer {
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
}

impl Challenge {
    /// The best challenge of an answer: a token rather than a password.
    pub(super) fn of(reply: &Reply) -> Option<Self> {
        let challenges: Vec<_> = reply.headers(WWW_AUTHENTICATE.as_str()).flat_map(parse).collect();
        let bearer = challenges
            .iter()
            .find(|challenge| matches!(challenge, Self::Bearer { .. }));
        bearer.or_else(|| challenges.first()).cloned()
    }
}

/// Reads a header's challenges; those of unknown schemes are left out.
fn parse(header: &str) -> Vec<Challenge> {
    let mut challenges = Vec::new();
    let mut rest = header.trim_start();
    while !rest.is_empty() {
        let (scheme, after) = word(rest);
        if scheme.is_empty() {
            return challenges;
        }
        let (parameters, next) = parameters(after.trim_start());
        rest = next.trim_start_matches([',', ' ', '\t']);
        let find = |name: &str| {
            let parameter = parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            parameter.map(|(_, value)| value.clone())
        };
        if scheme.eq_ignore_ascii_case("basic") {
            challenges.push(Challenge::Basic);
        } else if scheme.eq_ignore_ascii_case("bearer")
            && let Some(realm) = find("realm")
        {
            challenges.push(Challenge::Bearer {
                realm,
                service: find("service"),
                scope: find("scope"),
            });
        }
    }
    challenges
}

/// Reads `name=value` pairs up to the next scheme.
fn parameters(mut rest: &str) -> (Vec<(String, String)>, &str) {
    let mut found = Vec::new();
    loop {
        let start = rest.trim_start_matches([',', ' ', '\t']);
        let (name, after) = word(start);
        let Some(after) = after.trim_start().strip_prefix('=').filter(|_| !name.is_empty()) else {
            // A word without `=` is the next scheme.
            return (found, start);
        };
        let (value, after) = value(after.trim_start());
        found.push((name.to_owned(), value));
        rest = after;
    }
}

fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = word(text);
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return (value, quoted.get(index + 1..).unwrap_or_default()),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

fn word(text: &str) -> (&str, &str) {
    let end = text.find([' ', '\t', ',', '=', '"']).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.into(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        }
    }

    fn check(header: &str, expect: &[Challenge]) {
        assert_eq!(parse(header), expect, "{header}");
    }

    #[test]
    fn tokens_and_passwords_are_understood_in_any_spelling() {
        check("Basic realm=\"r\"", &[Challenge::Basic]);
        check("basic", &[Challenge::Basic]);
        check(
            r#"Bearer realm="https://auth.example/token",service="registry",scope="repository:a/b:pull,push""#,
            &[bearer(
                "https://auth.example/token",
                Some("registry"),
                Some("repository:a/b:pull,push"),
            )],
        );
        check(
            r#"bearer REALM = "https://a/t" , service=plain"#,
            &[bearer("https://a/t", Some("plain"), None)],
        );
        check(r#"Bearer realm="a\"b""#, &[bearer("a\"b", None, None)]);
    }

    #[test]
    fn several_challenges_stand_side_by_side() {
        check(
            r#"Negotiate, Basic realm="x", Bearer realm="y""#,
            &[Challenge::Basic, bearer("y", None, None)],
        );
    }

    #[test]
    fn nonsense_is_no_challenge_and_no_endless_loop() {
        for header in [
            "",
            ",",
            "=",
            "Bearer",
            "Bearer service=x",
            "\"",
            "Bearer =\"",
            "a=b",
            "Bearer realm",
            "é\"é",
        ] {
            check(header, &[]);
        }
        check("Bearer realm=\"open", &[bearer("open", None, None)]);
    }

    proptest::proptest! {
        #[test]
        fn any_header_is_read_to_its_end(header in "(Basic|Bearer|realm|service|[ -~\u{e9}]|\"|,|=|\\\\){0,40}") {
            // A list is at most as long as its text.
            assert!(parse(&header).len() <= header.len());
        }
    }
}
