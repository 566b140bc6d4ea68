//! The configuration of direct-response.

use serde::Deserialize;

/// What to answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// 200 to 599.
    pub(crate) status: u16,
    /// Plain text; none for an answer without body.
    pub(crate) body: Option<String>,
}

impl Config {
    /// Reads and checks a configuration.
    pub(crate) fn parse(config: &[u8]) -> Result<Self, String> {
        let config: Self = weir_sdk::from_json(config)?;
        if !(200..=599).contains(&config.status) {
            return Err(format!("status: {} is not between 200 and 599", config.status));
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_must_be_a_final_one() {
        let check = |config: &str, accepted: bool| {
            assert_eq!(Config::parse(config.as_bytes()).is_ok(), accepted, "{config}");
        };
        check(r#"{"status": 200}"#, true);
        check(r#"{"status": 599, "body": "gone"}"#, true);
        check(r#"{"status": 199}"#, false);
        check(r#"{"status": 600}"#, false);
        check(r#"{"status": "200"}"#, false);
        check(r#"{"status": 200, "bdy": ""}"#, false);
        check("{}", false);
    }
}
