//! `metsuke token list` and `metsuke token revoke`.

use std::process::ExitCode;

use serde_json::json;

use crate::arguments::{Arguments, Token};
use crate::client::Client;
use crate::command::alert::checked;
use crate::failure::Failure;
use crate::output::{self, cell};

pub(crate) fn run(
    arguments: &Arguments,
    client: &Client,
    token: &Token,
) -> Result<ExitCode, Failure> {
    match token {
        Token::List => list(arguments, client)?,
        Token::Revoke { id } => {
            client.delete(&format!("/api/v1/tokens/{}", checked(id)?))?;
            if arguments.json {
                output::json(&json!({ "id": id, "revoked": true }))?;
            } else {
                output::say(&format!("token {id} is good no longer"))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(arguments: &Arguments, client: &Client) -> Result<(), Failure> {
    let answer = client.list("/api/v1/tokens", &[], None)?;
    if arguments.json {
        output::json(&answer)?;
        return Ok(());
    }
    output::items(&answer, &["id", "account", "name", "created", "expires"], |one| {
        ["id", "account", "name", "created", "expires"].iter().map(|key| cell(&one[*key])).collect()
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use crate::arguments::{Arguments, Command};
    use crate::client::tests::{lines, server};
    use crate::failure::Failure;

    #[test]
    fn a_token_is_revoked_by_its_id_and_an_unknown_one_is_not_found() {
        let (client, asked) = server(vec![
            (204, json!(null)),
            (404, json!({ "detail": "there is no such token", "code": "not_found" })),
        ]);
        let revoke = |id: &str| {
            let arguments = Arguments::parse_from(["metsuke", "token", "revoke", id]);
            let Command::Token(token) = &arguments.command else { unreachable!("it was typed") };
            super::run(&arguments, &client, token)
        };
        assert!(revoke("0a1b").is_ok());
        assert!(matches!(revoke("ffff"), Err(Failure::NotFound(_))));
        assert!(matches!(revoke("../users"), Err(Failure::Usage(_))), "it is asked of nobody");
        assert_eq!(lines(asked), ["DELETE /api/v1/tokens/0a1b", "DELETE /api/v1/tokens/ffff"]);
    }
}
