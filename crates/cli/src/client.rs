//! The HTTP API. Answers are JSON values: this client shows them, it does not reason about them.

use std::time::Duration;

use serde_json::{Value, json};
use ureq::Error;

use crate::arguments::Arguments;
use crate::config;
use crate::failure::Failure;

mod download;

/// How long one request may take; a search over a long range is the slowest.
const LIMIT: Duration = Duration::from_mins(2);
/// How long a document may take: millions of indicators are stored in minutes.
const DOCUMENT_LIMIT: Duration = Duration::from_mins(15);
/// Bytes of one answer; the largest, a search of a thousand rows, has some 5 MB.
const ANSWER_BYTES: u64 = 64 * 1024 * 1024;
/// Most pages of one list that are read: a guard against a cursor that never ends.
const MAX_PAGES: usize = 10_000;
/// Most items one page may have, whatever the list.
const PAGE_ITEMS: u32 = 500;

/// A client of one server.
pub(crate) struct Client {
    agent: ureq::Agent,
    url: String,
    token: Option<String>,
}

impl Client {
    /// The server and token of the options, the environment or the kept configuration, in this
    /// order. The configuration is looked at only when something is missing.
    pub(crate) fn of(arguments: &Arguments) -> Result<Self, Failure> {
        if let (Some(url), Some(token)) = (&arguments.url, &arguments.token) {
            return Ok(Self::new(url, Some(token.clone())));
        }
        let kept = config::load(&config::path()?)?;
        let url = arguments.url.clone().or_else(|| kept.as_ref().map(|kept| kept.url.clone()));
        let url = url.ok_or_else(|| Failure::NotAllowed("no server is known".to_owned()))?;
        // A kept token goes only to the server it is for.
        let kept = kept.filter(|kept| root(&kept.url) == root(&url)).map(|kept| kept.token);
        Ok(Self::new(&url, arguments.token.clone().or(kept)))
    }

    pub(crate) fn new(url: &str, token: Option<String>) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(LIMIT))
            .max_redirects(0)
            .build()
            .new_agent();
        Self { agent, url: root(url).to_owned(), token }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn get(&self, path: &str) -> Result<Value, Failure> {
        self.read(self.signed(self.agent.get(self.at(path))).call())
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.read(self.signed(self.agent.post(self.at(path))).send_json(body))
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.read(self.signed(self.agent.put(self.at(path))).send_json(body))
    }

    /// Sends bytes that are no JSON document of their own.
    pub(crate) fn post_bytes(&self, path: &str, kind: &str, body: &[u8]) -> Result<Value, Failure> {
        let request = self.signed(self.agent.post(self.at(path))).header("Content-Type", kind);
        self.read(request.send(body))
    }

    /// Sends a document as it is.
    pub(crate) fn post_document(&self, path: &str, document: &[u8]) -> Result<Value, Failure> {
        let request = self.signed(self.agent.post(self.at(path)));
        let request = request.header("Content-Type", "application/octet-stream");
        // A large one is taken in while this waits.
        let limit = request.config().timeout_global(Some(DOCUMENT_LIMIT)).build();
        self.read(limit.send(document))
    }

    pub(crate) fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.read(self.signed(self.agent.delete(self.at(path))).call())
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    fn signed<Body>(&self, request: ureq::RequestBuilder<Body>) -> ureq::RequestBuilder<Body> {
        match &self.token {
            Some(token) => request.header("Authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    fn read(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, Error>,
    ) -> Result<Value, Failure> {
        let mut answer = answer.map_err(|source| self.unasked(source))?;
        let status = answer.status().as_u16();
        if status == 204 {
            return Ok(Value::Null);
        }
        let body: Result<Value, _> =
            answer.body_mut().with_config().limit(ANSWER_BYTES).read_json();
        if !(200..300).contains(&status) {
            return Err(Failure::of_status(status, &body.unwrap_or_default()));
        }
        body.map_err(|error| {
            Failure::Server(match error {
                Error::Json(error) => format!(
                    "{} does not answer with JSON ({error}); is it a metsuke server?",
                    self.url
                ),
                Error::BodyExceedsLimit(_) => {
                    "the answer is too large; ask for less with --limit, or a shorter time"
                        .to_owned()
                }
                error => format!("the answer of {} broke off: {error}", self.url),
            })
        })
    }

    /// Why a question did not get as far as an answer.
    fn unasked(&self, source: Error) -> Failure {
        match source {
            Error::BadUri(_) | Error::Http(_) => Failure::Usage(format!(
                "`{}` is no server's address ({source}); it looks like http://127.0.0.1:7680",
                self.url
            )),
            source => Failure::Unreachable { url: self.url.clone(), source: Box::new(source) },
        }
    }

    /// The items of a list, from as many pages as it takes, at most `limit` of them, in the shape
    /// of one page: `items`, and `next` when there are more.
    pub(crate) fn list(
        &self,
        path: &str,
        filters: &[(&str, Option<String>)],
        limit: Option<u32>,
    ) -> Result<Value, Failure> {
        let mut items = Vec::new();
        let mut next = Value::Null;
        for _ in 0..MAX_PAGES {
            let had = u32::try_from(items.len()).unwrap_or(u32::MAX);
            let mut pairs = filters.to_vec();
            pairs.push(("limit", limit.map(|limit| (limit - had).min(PAGE_ITEMS).to_string())));
            pairs.push(("cursor", next.as_str().map(str::to_owned)));
            let mut page = self.get(&format!("{path}{}", query(&pairs)))?;
            let Value::Array(more) = page["items"].take() else {
                return Err(Failure::Server("the server's answer is no list".to_owned()));
            };
            items.extend(more);
            next = page["next"].take();
            let enough = limit.is_some_and(|limit| items.len() >= limit as usize);
            if next.is_null() || enough {
                return Ok(json!({ "items": items, "next": next }));
            }
        }
        Err(Failure::Server(format!("the list has more than {MAX_PAGES} pages; filter it")))
    }

    /// The endpoint that `name` means: an id, or a host name that is one endpoint's only.
    pub(crate) fn endpoint(&self, name: &str) -> Result<Value, Failure> {
        let answer = self.list("/api/v1/endpoints", &[], None)?;
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
            (None, _) => Err(Failure::NotFound(format!(
                "there is no endpoint {name}; `metsuke endpoint list` names them"
            ))),
        }
    }
}

/// A server's address without the slash that some write behind it.
fn root(url: &str) -> &str {
    url.trim_end_matches('/')
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

pub(crate) fn escape(text: &str) -> String {
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
pub(crate) mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    use serde_json::{Value, json};

    use super::{Client, query};
    use crate::failure::Failure;

    /// A server that gives `answers` (status, body) one after the other; when it has given all it
    /// tells what it was asked.
    pub(crate) fn server(answers: Vec<(u16, Value)>) -> (Client, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let url = format!("http://{}/", listener.local_addr().expect("address"));
        let asked = std::thread::spawn(move || {
            let mut asked = Vec::new();
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().expect("a question");
                let mut text = String::new();
                let mut buffer = [0; 4096];
                // A question without a body ends with its head, one with a body with `}`.
                while !(text.ends_with('}') || !text.starts_with('P') && text.ends_with("\r\n\r\n"))
                {
                    let read = stream.read(&mut buffer).expect("reads");
                    text.push_str(&String::from_utf8_lossy(&buffer[..read]));
                }
                asked.push(text);
                let body = body.to_string();
                let head = format!(
                    "HTTP/1.1 {status} -\r\nConnection: close\r\nContent-Type: application/json\r\n\
                     Content-Length: {}\r\n\r\n",
                    body.len()
                );
                stream.write_all(format!("{head}{body}").as_bytes()).expect("writes");
            }
            asked
        });
        (Client::new(&url, None), asked)
    }

    /// The first lines of what was asked.
    pub(crate) fn lines(asked: JoinHandle<Vec<String>>) -> Vec<String> {
        let asked = asked.join().expect("the server ends");
        let first = |text: &String| text.lines().next().unwrap_or_default().to_owned();
        asked.iter().map(first).map(|line| line.replace(" HTTP/1.1", "")).collect()
    }

    #[test]
    fn only_what_is_there_is_asked() {
        let pairs =
            [("q", Some("exe:*/curl AND é".into())), ("from", None), ("limit", Some("5".into()))];
        assert_eq!(query(&pairs), "?q=exe%3A%2A%2Fcurl%20AND%20%C3%A9&limit=5");
        assert_eq!(query(&[("from", None)]), "");
    }

    #[test]
    fn a_list_is_followed_to_its_last_page() {
        let (client, asked) = server(vec![
            (200, json!({ "items": [1, 2], "next": "a b" })),
            (200, json!({ "items": [3], "next": null })),
        ]);
        let all = client.list("/l", &[("state", Some("new".into()))], None).expect("a list");
        assert_eq!(all, json!({ "items": [1, 2, 3], "next": null }));
        assert_eq!(lines(asked), ["GET /l?state=new", "GET /l?state=new&cursor=a%20b"]);
    }

    #[test]
    fn no_more_is_asked_for_than_is_wanted() {
        let (client, asked) = server(vec![
            (200, json!({ "items": vec![0; 500], "next": "n" })),
            (200, json!({ "items": vec![0; 100], "next": "m" })),
        ]);
        let all = client.list("/l", &[], Some(600)).expect("a list");
        assert_eq!(all["items"].as_array().map(Vec::len), Some(600));
        assert_eq!(all["next"], "m", "there are more");
        assert_eq!(lines(asked), ["GET /l?limit=500", "GET /l?limit=100&cursor=n"]);
    }

    #[test]
    fn what_is_no_list_and_no_address_is_said() {
        let (client, _asked) = server(vec![(200, json!({ "items": null }))]);
        assert!(matches!(client.list("/l", &[], None), Err(Failure::Server(_))));
        for url in ["", "127.0.0.1:7680", "http://", "http://a b"] {
            let failure = Client::new(url, None).get("/x").expect_err("no address");
            assert!(matches!(failure, Failure::Usage(_)), "{url}: {failure}");
        }
        let failure = Client::new("http://127.0.0.1:9", None).get("/x").expect_err("nobody there");
        assert!(matches!(failure, Failure::Unreachable { .. }), "{failure}");
    }
}
