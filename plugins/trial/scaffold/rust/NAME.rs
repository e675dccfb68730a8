//! Rosters from NAME. rosterd asks the backend, at NAME_url of prosody.cfg.lua, and this file says what its answer means.

mod rosterd;

use rosterd::{http, json, Error, Request, Roster};

/// What is read once, when the server opens the plugin. Options belong here: `rosterd::option_text("NAME_team")?`.
struct Plugin;

fn init() -> Result<Plugin, Error> {
    Ok(Plugin)
}

/// Here an answer is `{ "people": [ { "login": "marie", "name": "Marie", "team": "Sales" } ] }`. What is not as agreed is an
/// error: clients keep the roster that they have, and nobody is missing from it.
fn transform(_: &mut Plugin, request: &Request, answer: &http::Response) -> Result<Roster, Error> {
    let body = answer.text()?;
    let document = json::parse(&body)?;
    let mut roster = Roster::new();
    for person in document.root().need("people")?.items()? {
        let login = person.need("login")?.text()?;
        let mut contact = roster.add(&format!("{}@{}", login, request.host));
        if let Some(name) = person.optional("name") {
            contact = contact.name(&name.text()?);
        }
        if let Some(team) = person.optional("team") {
            contact.group(&team.text()?);
        }
    }
    Ok(roster)
}

rosterd::plugin! { state: Plugin, init: init, transform: transform }
