//! Tokens, fingerprints and what an identity is worth.

use metsuke_link::Identity;
use metsuke_link::enrol::EnrolFailure;
use metsuke_link::message::EnrolFacts;

use crate::world::World;

fn message(error: &EnrolFailure) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

#[tokio::test]
async fn a_token_enrols_once_and_a_wrong_one_never() {
    let world = World::start();
    world.token("good");
    let wrong = world.enrol("bad").await.expect_err("unknown");
    let identity = world.enrol("good").await.expect("enrols");
    let again = world.enrol("good").await.expect_err("used");
    assert_eq!(identity.endpoint.as_u128(), 1);
    // An outsider does not learn which of the reasons it was.
    assert_eq!(message(&wrong), message(&again));
    assert!(message(&wrong).contains("wrong, was used, or has expired"), "{}", message(&wrong));
    assert_eq!(*world.memory.log.lock().unwrap(), ["enrolled one"]);
}

#[tokio::test]
async fn an_identity_survives_the_disk_and_another_one_does_not_replace_it_by_accident() {
    let world = World::start();
    world.token("good");
    let identity = world.enrol("good").await.expect("enrols");
    let dir = world.dir.path().join("state");
    identity.save(&dir).expect("saved");
    assert_eq!(Identity::load(&dir).expect("loaded"), identity);
    assert!(!format!("{identity:?}").contains("key"), "secrets are not printed");
    let missing = Identity::load(world.dir.path()).expect_err("none there").to_string();
    assert!(missing.contains("metsuke-sensor enrol"), "{missing}");
    std::fs::write(dir.join("identity.json"), "{}").expect("overwritten");
    let damaged = Identity::load(&dir).expect_err("damaged").to_string();
    assert!(damaged.contains("enrol this sensor again"), "{damaged}");
}

#[tokio::test]
async fn a_server_with_another_fingerprint_is_not_trusted_with_the_token() {
    let world = World::start();
    let other = World::start();
    world.token("good");
    let address = world.address.to_string();
    let fingerprint = other.authority.fingerprint();
    let enrol = metsuke_link::enrol::enrol;
    let error = enrol(&address, "good", &fingerprint, EnrolFacts::default()).await;
    let error = message(&error.expect_err("another server"));
    assert!(error.contains("fingerprint"), "{error}");
    assert!(!world.memory.tokens.lock().unwrap()["good"], "the token is not used up");

    let error = enrol(&address, "good", "abc", EnrolFacts::default()).await.expect_err("none");
    assert!(matches!(error, EnrolFailure::Fingerprint(_)));
    let error = enrol("nowhere", "good", &fingerprint, EnrolFacts::default()).await;
    assert!(message(&error.expect_err("no address")).contains("HOST:PORT"));

    // As people copy it: upper case, with colons.
    let spelled: Vec<String> = world
        .authority
        .fingerprint()
        .to_uppercase()
        .as_bytes()
        .chunks(2)
        .map(|pair| String::from_utf8_lossy(pair).into_owned())
        .collect();
    enrol(&address, "good", &spelled.join(":"), EnrolFacts::default()).await.expect("enrols");
}
