//! `metsuke endpoint uninstall-token`.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::client::Client;
use crate::failure::Failure;
use crate::output;

/// Seconds of an hour.
const HOUR_S: u32 = 3_600;

/// Asks for leave for each of `endpoints`; all must be known before the first is asked for.
pub(super) fn run(
    arguments: &Arguments,
    client: &Client,
    endpoints: &[String],
    (hours, reason): (u32, &str),
) -> Result<ExitCode, Failure> {
    let known: Vec<Value> =
        endpoints.iter().map(|name| client.endpoint(name)).collect::<Result<_, _>>()?;
    let mut given = Vec::new();
    for endpoint in known {
        let id = endpoint["id"].as_str().unwrap_or_default();
        let body = json!({ "ttl_s": hours * HOUR_S, "reason": reason });
        let answer = client.post(&format!("/api/v1/endpoints/{id}/uninstall-token"), &body)?;
        if !arguments.json {
            let (host, token) = (endpoint["host"].as_str(), answer["token"].as_str());
            output::say(&format!("{} {}", host.unwrap_or_default(), token.unwrap_or_default()))?;
        }
        given.push(answer);
    }
    if arguments.json {
        output::json(&Value::Array(given))?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use crate::arguments::{Arguments, Command};
    use crate::client::tests::{lines, server};

    #[test]
    fn each_endpoint_is_asked_for_by_its_id_with_the_reason() {
        let endpoints = json!({ "items": [{ "id": "e1", "host": "h1" }], "next": null });
        let (client, asked) =
            server(vec![(200, endpoints), (200, json!({ "endpoint": "e1", "token": "9.ab" }))]);
        let words = ["metsuke", "endpoint", "uninstall-token", "h1", "--reason", "retired"];
        let arguments = Arguments::parse_from(words);
        let Command::Endpoint(endpoint) = &arguments.command else { unreachable!() };
        super::super::run(&arguments, &client, endpoint).expect("given");
        let asked = lines(asked);
        assert!(asked[1].starts_with("POST /api/v1/endpoints/e1/uninstall-token"), "{asked:?}");
    }
}
