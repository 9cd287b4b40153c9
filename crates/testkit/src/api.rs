//! The server's API as a test sees it: JSON in, JSON out.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::http::{self, Request};

/// Most pages that [`Api::all`] reads: a guard against a cursor that never ends.
const MAX_PAGES: usize = 10_000;

/// A client of one server.
#[derive(Clone, Debug)]
pub struct Api {
    address: String,
    token: Option<String>,
}

impl Api {
    /// A client of the server at `url` (`http://host:port`), with a bearer token when there is one.
    pub fn new(url: &str, token: Option<&str>) -> Self {
        let address = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        Self { address, token: token.map(str::to_owned) }
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Status and body, whatever they are.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn raw(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let mut headers = vec![("Accept", "application/json")];
        if let Some(bearer) = &bearer {
            headers.push(("Authorization", bearer));
        }
        let body = body.map(Value::to_string);
        if body.is_some() {
            headers.push(("Content-Type", "application/json"));
        }
        let body = body.as_ref().map(String::as_bytes);
        let request = Request { method, path, headers: &headers, body };
        let response = http::send(&self.address, &request)?;
        let value = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
        Ok((response.status, value))
    }

    fn demand(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let (status, value) = self.raw(method, path, body)?;
        if (200..300).contains(&status) {
            return Ok(value);
        }
        let detail = value["detail"].as_str().unwrap_or("no detail");
        let code = value["code"].as_str().unwrap_or("-");
        bail!("{method} {path}: {status} {code}: {detail}")
    }

    /// GET; anything but 2xx is an error.
    ///
    /// # Errors
    /// When nobody answers, or the server refuses.
    pub fn get(&self, path: &str) -> Result<Value> {
        self.demand("GET", path, None)
    }

    /// POST; anything but 2xx is an error.
    ///
    /// # Errors
    /// When nobody answers, or the server refuses.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.demand("POST", path, Some(body))
    }

    /// Every item of a paged list. `path` may have a query.
    ///
    /// # Errors
    /// When nobody answers, the server refuses, or the pages do not end.
    pub fn all(&self, path: &str) -> Result<Vec<Value>> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let mut items = Vec::new();
        let mut page = path.to_owned();
        for _ in 0..MAX_PAGES {
            let mut answer = self.get(&page)?;
            let Value::Array(more) = answer["items"].take() else {
                bail!("{path}: an answer without items");
            };
            items.extend(more);
            match answer["next"].as_str() {
                Some(next) => page = format!("{path}{joint}cursor={}", http::escape(next)),
                None => return Ok(items),
            }
        }
        bail!("{path}: more than {MAX_PAGES} pages")
    }

    /// Every row that `query` finds between `from` and `to` (RFC 3339).
    ///
    /// # Errors
    /// As [`Api::all`].
    pub fn search_all(&self, query: &str, from: &str, to: &str) -> Result<Vec<Value>> {
        let path = format!(
            "/api/v1/search?q={}&from={}&to={}&limit=1000",
            http::escape(query),
            http::escape(from),
            http::escape(to)
        );
        self.all(&path)
    }

    /// The endpoint with `id`.
    ///
    /// # Errors
    /// When nobody answers or there is none.
    pub fn endpoint(&self, id: &str) -> Result<Value> {
        self.get(&format!("/api/v1/endpoints/{id}")).context("asking for an endpoint")
    }
}
