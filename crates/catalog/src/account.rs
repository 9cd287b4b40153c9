//! Accounts and their passwords (argon2id, RFC 9106; parameters of the crate's default: 19 MiB,
//! two passes).
//!
//! Invariant: verifying takes as long for a name that does not exist.

use argon2::password_hash::{PasswordHash, SaltString};
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use metsuke_event::Timestamp;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, Set,
};

use crate::audit::{Deed, append};
use crate::schema::{account, api_token, session};
use crate::token::BOOTSTRAP_TOKEN;
use crate::{Catalog, CatalogError, Result, database};

/// Shortest password, in characters.
const MIN_PASSWORD_CHARS: usize = 12;
/// Longest password, in characters: hashing time must not depend on an outsider.
const MAX_PASSWORD_CHARS: usize = 256;
/// Longest account name.
const MAX_NAME_BYTES: usize = 64;
/// The actor of what nobody in particular did, in the audit log.
pub const ANONYMOUS: &str = "anonymous";
/// Actors of the audit log that no account may be called; a sensor is `sensor:ID` there.
const RESERVED_NAMES: [&str; 2] = ["server", ANONYMOUS];
const RESERVED_PREFIX: &str = "sensor:";

/// What an account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Admin,
    /// See, triage, respond.
    Analyst,
}

impl Role {
    /// Its stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Analyst => "analyst",
        }
    }

    fn read(name: &str) -> Result<Self> {
        match name {
            "admin" => Ok(Self::Admin),
            "analyst" => Ok(Self::Analyst),
            other => {
                Err(CatalogError::Corrupt { what: "account", detail: format!("role {other}") })
            }
        }
    }
}

/// Whether a password is the person's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordKind {
    /// Chosen by the account's owner.
    Own,
    /// Given by somebody else; to be changed at the next sign-in.
    OneTime,
}

/// One account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Name.
    pub name: String,
    /// Role.
    pub role: Role,
    /// When it was made.
    pub created: Timestamp,
    /// What kind of password it has.
    pub password: PasswordKind,
}

impl TryFrom<account::Model> for Account {
    type Error = CatalogError;

    fn try_from(row: account::Model) -> Result<Self> {
        Ok(Self {
            role: Role::read(&row.role)?,
            name: row.name,
            created: Timestamp::from_nanos(row.created),
            password: if row.must_change { PasswordKind::OneTime } else { PasswordKind::Own },
        })
    }
}

/// Whether `name` may name an account.
pub fn check_account_name(name: &str) -> Result<()> {
    let fine =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    check_not_reserved(name)?;
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(fine) {
        return Err(CatalogError::Invalid(format!(
            "an account's name has 1 to {MAX_NAME_BYTES} of a-z 0-9 . _ -"
        )));
    }
    Ok(())
}

fn check_not_reserved(name: &str) -> Result<()> {
    if RESERVED_NAMES.contains(&name) || name.starts_with(RESERVED_PREFIX) {
        return Err(CatalogError::Invalid(format!(
            "`{name}` is a name of the audit log; take another one"
        )));
    }
    Ok(())
}

/// Whether `password` may be one.
pub fn check_password(password: &str) -> Result<()> {
    let length = password.chars().count();
    if !(MIN_PASSWORD_CHARS..=MAX_PASSWORD_CHARS).contains(&length) {
        return Err(CatalogError::Invalid(format!(
            "a password has {MIN_PASSWORD_CHARS} to {MAX_PASSWORD_CHARS} characters"
        )));
    }
    Ok(())
}

fn hash(password: &str) -> Result<String> {
    let failed = |error: argon2::password_hash::Error| CatalogError::Hash(error.to_string());
    let salt = SaltString::encode_b64(&rand::random::<[u8; 16]>()).map_err(failed)?;
    Ok(Argon2::default().hash_password(password.as_bytes(), &salt).map_err(failed)?.to_string())
}

fn verify(password: &str, stored: Option<&str>) -> bool {
    // The hash of nobody's password, made once, so that an unknown name costs the same.
    static NOBODY: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let nobody = NOBODY.get_or_init(|| hash(&crate::secret()).unwrap_or_default());
    let Ok(parsed) = PasswordHash::new(stored.unwrap_or(nobody)) else {
        return false;
    };
    Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok() && stored.is_some()
}

impl Catalog {
    async fn hash_password(&self, password: String) -> Result<String> {
        check_password(&password)?;
        self.hashing(move || hash(&password)).await?
    }

    async fn hashing<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let failed = |error: &dyn std::fmt::Display| CatalogError::Hash(error.to_string());
        let _permit = self.hashing.acquire().await.map_err(|error| failed(&error))?;
        tokio::task::spawn_blocking(work).await.map_err(|error| failed(&error))
    }

    /// Makes an account.
    ///
    /// # Errors
    /// [`CatalogError::Invalid`] for a bad name or password, [`CatalogError::Conflict`] when the
    /// name is taken.
    pub async fn create_account(
        &self,
        now: Timestamp,
        actor: &str,
        (name, role): (&str, Role),
        (password, kind): (String, PasswordKind),
    ) -> Result<Account> {
        check_account_name(name)?;
        let hash = self.hash_password(password).await?;
        let tx = self.begin().await?;
        let taken = account::Entity::find_by_id(name).one(&tx).await;
        if taken.map_err(database("read accounts"))?.is_some() {
            return Err(CatalogError::Conflict(format!("there is an account `{name}` already")));
        }
        let row = account::Model {
            name: name.to_owned(),
            role: role.name().to_owned(),
            password_hash: hash,
            must_change: kind == PasswordKind::OneTime,
            created: now.as_nanos(),
        };
        account::Entity::insert(account::ActiveModel::from(row.clone()).reset_all())
            .exec_without_returning(&tx)
            .await
            .map_err(database("make an account"))?;
        let deed = Deed { actor, action: "account.create", target: name, detail: role.name() };
        append(&tx, now, deed).await?;
        tx.commit().await.map_err(database("commit"))?;
        row.try_into()
    }

    /// The account, if `password` is its password.
    pub async fn verify_password(&self, name: &str, password: String) -> Result<Option<Account>> {
        if password.len() > MAX_PASSWORD_CHARS * 4 {
            return Ok(None);
        }
        let row = account::Entity::find_by_id(name)
            .one(&self.read)
            .await
            .map_err(database("read accounts"))?;
        let stored = row.as_ref().map(|row| row.password_hash.clone());
        let right = self.hashing(move || verify(&password, stored.as_deref())).await?;
        if right { row.map(Account::try_from).transpose() } else { Ok(None) }
    }

    /// Gives the account `name` a password and ends all its sessions and API tokens. The server's
    /// own token ([`BOOTSTRAP_TOKEN`]) outlives a change by the account's owner, not a reset.
    pub async fn set_password(
        &self,
        now: Timestamp,
        actor: &str,
        name: &str,
        (password, kind): (String, PasswordKind),
    ) -> Result<()> {
        let hash = self.hash_password(password).await?;
        let tx = self.begin().await?;
        let row = account::Entity::find_by_id(name).one(&tx).await;
        let row = row.map_err(database("read accounts"))?;
        let mut row: account::ActiveModel = row.ok_or(CatalogError::NotFound("account"))?.into();
        row.password_hash = Set(hash);
        row.must_change = Set(kind == PasswordKind::OneTime);
        row.update(&tx).await.map_err(database("change a password"))?;
        session::Entity::delete_many()
            .filter(session::Column::Account.eq(name))
            .exec(&tx)
            .await
            .map_err(database("end sessions"))?;
        let mut tokens =
            api_token::Entity::delete_many().filter(api_token::Column::Account.eq(name));
        if kind == PasswordKind::Own {
            tokens = tokens.filter(api_token::Column::Name.ne(BOOTSTRAP_TOKEN));
        }
        tokens.exec(&tx).await.map_err(database("end tokens"))?;
        let deed = Deed { actor, action: "account.password", target: name, detail: "" };
        append(&tx, now, deed).await?;
        tx.commit().await.map_err(database("commit"))
    }

    /// The account `name`.
    pub async fn account(&self, name: &str) -> Result<Option<Account>> {
        let row = account::Entity::find_by_id(name).one(&self.read).await;
        row.map_err(database("read accounts"))?.map(Account::try_from).transpose()
    }

    /// Every account, by name.
    pub async fn accounts(&self) -> Result<Vec<Account>> {
        let rows =
            account::Entity::find().order_by_asc(account::Column::Name).all(&self.read).await;
        rows.map_err(database("read accounts"))?.into_iter().map(Account::try_from).collect()
    }

    /// How many accounts there are.
    pub async fn count_accounts(&self) -> Result<u64> {
        account::Entity::find().count(&self.read).await.map_err(database("read accounts"))
    }
}
