//! The HTTP API. Answers are JSON values: this client shows them, it does not reason about them.

use std::time::Duration;

use serde_json::Value;

use crate::arguments::Arguments;
use crate::config;
use crate::failure::Failure;

/// How long one request may take; a search over a long range is the slowest.
const LIMIT: Duration = Duration::from_mins(2);

/// A client of one server.
pub(crate) struct Client {
    agent: ureq::Agent,
    url: String,
    token: Option<String>,
}

impl Client {
    /// The server and token of the options, the environment or the kept configuration, in this
    /// order.
    pub(crate) fn of(arguments: &Arguments) -> Result<Self, Failure> {
        let kept = config::load(&config::path()?)?;
        let url = arguments.url.clone().or_else(|| kept.as_ref().map(|kept| kept.url.clone()));
        let url = url.ok_or_else(|| Failure::NotAllowed("no server is known".to_owned()))?;
        // A kept token goes only to the server it is for.
        let kept = kept.filter(|kept| kept.url == url).map(|kept| kept.token);
        Ok(Self::new(&url, arguments.token.clone().or(kept)))
    }

    pub(crate) fn new(url: &str, token: Option<String>) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(LIMIT))
            .max_redirects(0)
            .build()
            .new_agent();
        Self { agent, url: url.trim_end_matches('/').to_owned(), token }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn get(&self, path: &str) -> Result<Value, Failure> {
        let mut request = self.agent.get(format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        self.read(request.call())
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let mut request = self.agent.post(format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        self.read(request.send_json(body))
    }

    fn read(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Value, Failure> {
        let mut answer = answer.map_err(|source| Failure::Unreachable {
            url: self.url.clone(),
            source: Box::new(source),
        })?;
        let status = answer.status().as_u16();
        let body: Result<Value, _> = answer.body_mut().read_json();
        if !(200..300).contains(&status) {
            return Err(Failure::of_status(status, &body.unwrap_or_default()));
        }
        if status == 204 {
            return Ok(Value::Null);
        }
        body.map_err(|error| {
            Failure::Server(format!(
                "{} does not answer with JSON ({error}); is it a metsuke server?",
                self.url
            ))
        })
    }

    /// The endpoint that `name` means: an id, or a host name that is one endpoint's only.
    pub(crate) fn endpoint(&self, name: &str) -> Result<Value, Failure> {
        let answer = self.get("/api/v1/endpoints")?;
        let mut found: Vec<&Value> = answer["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|endpoint| endpoint["id"] == name || endpoint["host"] == name)
            .collect();
        match (found.pop(), found.len()) {
            (Some(endpoint), 0) => Ok(endpoint.clone()),
            (Some(_), _) => Err(Failure::Usage(format!(
                "{} endpoints are called {name}; give the id (`metsuke endpoint list`)",
                found.len() + 1
            ))),
            (None, _) => Err(Failure::NotFound(format!("there is no endpoint {name}"))),
        }
    }
}

/// A query string of the values that are there.
pub(crate) fn query(pairs: &[(&str, Option<String>)]) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        if let Some(value) = value {
            text.push(if text.is_empty() { '?' } else { '&' });
            text.push_str(name);
            text.push('=');
            text.push_str(&escape(value));
        }
    }
    text
}

fn escape(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::query;

    #[test]
    fn only_what_is_there_is_asked() {
        let pairs =
            [("q", Some("exe:*/curl AND é".into())), ("from", None), ("limit", Some("5".into()))];
        assert_eq!(query(&pairs), "?q=exe%3A%2A%2Fcurl%20AND%20%C3%A9&limit=5");
        assert_eq!(query(&[("from", None)]), "");
    }
}
