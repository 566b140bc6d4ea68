//! A real registry that trusts a token service: tokens permit what was asked for, and the registry checks it.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, KeyPair};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};
use weir_artifact::Credentials;
use weir_harness::{Message, Origin, Registry, RegistrySetup};

use crate::support::*;

/// Signs tokens for users: `pusher` may push and pull, `puller` may pull, everyone else may do nothing.
struct Tokens {
    key: Vec<u8>,
    certificate: Vec<u8>,
}

impl Tokens {
    fn answer(&self, request: &Message) -> Vec<u8> {
        let user = request
            .header("authorization")
            .and_then(|given| given.strip_prefix("Basic "))
            .and_then(|given| STANDARD.decode(given).ok())
            .and_then(|given| String::from_utf8(given).ok());
        let permitted: &[&str] = match user.as_deref() {
            Some("pusher:open sesame") => &["push", "pull"],
            Some("puller:open sesame") => &["pull"],
            Some(_) => return answer(401, &[], b""),
            None => &[],
        };
        let (_, scope) = request.line.split_once("scope=").expect("a scope");
        let scope = scope.split([' ', '&']).next().expect("a scope");
        let scope = scope.replace("%3A", ":").replace("%2F", "/").replace("%2C", ",");
        let [kind, name, actions] = scope.split(':').collect::<Vec<_>>()[..] else {
            panic!("the scope is {scope}");
        };
        let actions: Vec<_> = actions
            .split(',')
            .filter(|action| permitted.contains(action))
            .collect();
        let access = json!([{"type": kind, "name": name, "actions": actions}]);
        let body = json!({"token": self.sign(&access)}).to_string();
        answer(200, &[], body.as_bytes())
    }

    fn sign(&self, access: &Value) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970")
            .as_secs();
        let header = json!({"typ": "JWT", "alg": "ES256", "x5c": [STANDARD.encode(&self.certificate)]});
        let claims = json!({
            "iss": "issuer", "sub": "", "aud": "registry", "jti": "1",
            "iat": now, "nbf": now - 10, "exp": now + 60, "access": access,
        });
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let random = SystemRandom::new();
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.key, &random).expect("a key");
        let signature = key.sign(&random, signed.as_bytes()).expect("signed");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

#[tokio::test]
async fn a_token_permits_what_was_asked_for_and_no_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(Vec::new())
        .and_then(|params| params.self_signed(&key))
        .expect("a certificate");
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, certificate.pem()).expect("written");
    let tokens = Tokens {
        key: key.serialize_der(),
        certificate: certificate.der().to_vec(),
    };
    let service = Origin::answering(move |request| tokens.answer(request));
    let setup = RegistrySetup {
        token: Some(format!(
            "{{realm: 'http://{}/token', service: registry, issuer: issuer, rootcertbundle: '{}'}}",
            service.address,
            roots.display()
        )),
        ..RegistrySetup::default()
    };
    let registry = Registry::start_with(folder.path(), &setup);
    let reference = format!("{}/team/geo:1", registry.name());
    let fetcher = fetcher();
    let pushing = |user: &str| {
        let mut request = push(&reference, &wasm("geo"));
        request.credentials = Some(Credentials {
            user: user.into(),
            password: "open sesame".into(),
        });
        request
    };
    let refused = fetcher
        .push(&pushing("puller"))
        .await
        .expect_err("refused")
        .to_string();
    assert!(refused.contains("answered 401 (UNAUTHORIZED)"), "{refused}");
    fetcher.push(&pushing("pusher")).await.expect("pushed");

    let puller = with_credentials(oci(&reference), "puller", "open sesame");
    assert_eq!(fetcher.fetch(&puller).await.expect("fetched").bytes, wasm("geo"));
    check_refused(&fetcher, &oci(&reference), "answered 401").await;
    let stranger = with_credentials(oci(&reference), "stranger", "open sesame");
    check_refused(&fetcher, &stranger, "/token answered 401").await;
}
