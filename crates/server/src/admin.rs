//! The first administrator, and the credentials `--bootstrap` asks for.

use anyhow::Result;
use metsuke_catalog::clock::now;
use metsuke_catalog::{BOOTSTRAP_TOKEN, Catalog, PasswordKind, Role};
use rand::Rng;

use crate::ready::FirstAdmin;

/// Characters of a one-time password: no two that look alike.
const ALPHABET: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
/// Groups of a one-time password; five characters each, about 99 bits in all.
const GROUPS: usize = 4;
const GROUP_CHARS: usize = 5;
/// How long bootstrap credentials are good: a day for enrolment, thirty for the API.
const ENROLMENT_NANOS: i64 = 24 * 3_600 * 1_000_000_000;
const API_NANOS: i64 = 30 * ENROLMENT_NANOS;

pub(crate) fn one_time_password() -> String {
    let mut random = rand::rng();
    let mut group = || -> String {
        (0..GROUP_CHARS)
            .map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())]))
            .collect()
    };
    (0..GROUPS).map(|_| group()).collect::<Vec<_>>().join("-")
}

/// Makes the account `admin` when there is no account at all.
pub(crate) async fn first(catalog: &Catalog) -> Result<Option<FirstAdmin>> {
    if catalog.count_accounts().await? > 0 {
        return Ok(None);
    }
    let password = one_time_password();
    let who = ("admin", Role::Admin);
    let kind = PasswordKind::OneTime;
    let account = catalog.create_account(now(), "server", who, (password.clone(), kind)).await?;
    Ok(Some(FirstAdmin { user: account.name, password }))
}

/// A token for one sensor and an administrator's API token.
pub(crate) async fn bootstrap(catalog: &Catalog) -> Result<(String, String)> {
    let enrolment = catalog.create_enrolment_token(now(), "server", ENROLMENT_NANOS).await?;
    let accounts = catalog.accounts().await?;
    let admin = accounts.iter().find(|account| account.role == Role::Admin);
    let admin = admin.ok_or_else(|| anyhow::anyhow!("there is no administrator's account"))?;
    let api = catalog.create_api_token(now(), admin, BOOTSTRAP_TOKEN, API_NANOS).await?;
    Ok((enrolment.secret, api.secret))
}
