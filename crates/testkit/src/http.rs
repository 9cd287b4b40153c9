//! HTTP/1.1 against a loopback address, one connection per request.
//!
//! Only what the tests and `./x run` need, so that they need nothing else. No TLS, no redirects.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// How long a server may be silent.
const SILENCE: Duration = Duration::from_mins(1);
/// Longest answer that is read.
const MAX_ANSWER: u64 = 256 * 1024 * 1024;

/// A request.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// GET, POST, PATCH, DELETE.
    pub method: &'a str,
    /// Path and query.
    pub path: &'a str,
    /// Headers besides Host, Connection and Content-Length.
    pub headers: &'a [(&'a str, &'a str)],
    /// Body, when there is one.
    pub body: Option<&'a [u8]>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Header names in lower case, with their values.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header called `name` (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Sends `request` to `address` (`host:port`) and reads the whole answer.
///
/// # Errors
/// When nobody answers, or what answers does not speak HTTP/1.1.
pub fn send(address: &str, request: &Request<'_>) -> Result<Response> {
    use std::fmt::Write as _;
    let target = address.to_socket_addrs()?.next().context("an address without a host")?;
    let mut stream = TcpStream::connect_timeout(&target, Duration::from_secs(5))
        .with_context(|| format!("connecting to {address}"))?;
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_nodelay(true)?;
    let mut head = format!(
        "{} {} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n",
        request.method, request.path
    );
    for (name, value) in request.headers {
        write!(head, "{name}: {value}\r\n")?;
    }
    let body = request.body.unwrap_or_default();
    if request.body.is_some() {
        write!(head, "Content-Length: {}\r\n", body.len())?;
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    read(BufReader::new(stream.take(MAX_ANSWER)))
}

fn read(mut reader: impl BufRead) -> Result<Response> {
    let mut line = String::new();
    reader.read_line(&mut line).context("reading the status line")?;
    let status = line
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .and_then(|code| code.parse().ok())
        .with_context(|| format!("no HTTP/1.1 status line but {line:?}"))?;
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut response = Response { status, headers, body: Vec::new() };
    if response.header("transfer-encoding").is_some_and(|value| value.contains("chunked")) {
        response.body = read_chunks(&mut reader)?;
    } else if let Some(length) = response.header("content-length") {
        let length = length.parse().context("a bad content-length")?;
        reader.take(length).read_to_end(&mut response.body)?;
    } else {
        reader.read_to_end(&mut response.body)?;
    }
    Ok(response)
}

fn read_chunks(reader: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let digits = line.trim().split(';').next().unwrap_or_default();
        let Ok(size) = u64::from_str_radix(digits, 16) else {
            bail!("a bad chunk size {line:?}");
        };
        if size == 0 {
            return Ok(body);
        }
        reader.by_ref().take(size).read_to_end(&mut body)?;
        let mut end = String::new();
        reader.read_line(&mut end)?;
    }
}

/// `text` as one value of a query string (RFC 3986: all but unreserved characters escaped).
pub fn escape(text: &str) -> String {
    use std::fmt::Write;
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::{escape, read};

    #[test]
    fn plain_and_chunked_answers_are_read() {
        let plain = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcx";
        assert_eq!(read(plain.as_bytes()).expect("reads").body, b"abc");
        let chunked = "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
        let answer = read(chunked.as_bytes()).expect("reads");
        assert_eq!((answer.status, answer.body.as_slice()), (404, b"abc".as_slice()));
        assert!(read("SSH-2.0-x\r\n".as_bytes()).is_err());
    }

    #[test]
    fn escaping_leaves_only_unreserved_characters() {
        assert_eq!(escape("sha256:ab AND é"), "sha256%3Aab%20AND%20%C3%A9");
    }
}
