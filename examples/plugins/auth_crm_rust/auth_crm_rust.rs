//! Accounts and contacts of a CRM: whoever it knows the password of may log in, and has the contacts that it lists.

#[path = "../../../plugins/sdk/rust/rosterd.rs"]
mod rosterd;

use rosterd::json::{self, Value};
use rosterd::{http, Error, Login, Request, Roster, UrlTemplate};

struct Crm {
    login: String,
    contacts_of: Option<UrlTemplate>,
}

fn init() -> Result<Crm, Error> {
    let contacts_of = match rosterd::option("auth_crm_contacts")? {
        Some(_) => Some(rosterd::option_url("auth_crm_contacts")?),
        None => None, // for whom only the passwords are of interest
    };
    Ok(Crm { login: rosterd::option_text("auth_crm_url")?, contacts_of })
}

/// Ok lets the user in, Denied does not. Whatever else happens is no answer to the question, and must not look like a wrong
/// password: that would lock people out who did nothing wrong.
fn auth(crm: &mut Crm, login: &Login) -> Result<(), Error> {
    let mut question = json::Writer::object();
    question.text("login", &login.local).text("password", &login.password);
    let answer = http::Request::new("POST", &crm.login).header("content-type", "application/json").body(question.end()).send()?;
    if answer.status() != 200 {
        // 401, too: it says that our own token is refused, not the user's password.
        return Err(Error::temporary(format!("the CRM answers {}", answer.status())));
    }
    let (valid, locked) = verdict(&answer.text()?).map_err(|_| Error::temporary("the CRM's answer is not { valid = true or false }"))?;
    match (valid, locked) {
        (_, true) => Err(Error::Denied("the account is locked".to_owned())),
        (true, _) => Ok(()),
        (false, _) => Err(Error::Denied(String::new())),
    }
}

fn verdict(body: &str) -> Result<(bool, bool), json::Error> {
    let document = json::parse(body)?;
    let answer = document.root();
    let locked = answer.get("locked").map_or(false, |locked| locked.boolean() == Ok(true));
    Ok((answer.need("valid")?.boolean()?, locked))
}

fn fetch(crm: &mut Crm, request: &Request) -> Result<Roster, Error> {
    let contacts_of = crm.contacts_of.as_ref().ok_or_else(|| Error::permanent("option auth_crm_contacts is not set"))?;
    let answer = http::get(&contacts_of.fill(&request.local)?)?.ok()?;
    Ok(contacts(&answer.text()?, request)?)
}

fn contacts(body: &str, request: &Request) -> Result<Roster, json::Error> {
    let document = json::parse(body)?;
    let mut roster = Roster::new();
    for contact in document.root().need("contacts")?.items()? {
        let login = contact.need("login")?.text()?;
        let name = contact.optional("name").map(Value::text).transpose()?.unwrap_or_default();
        let groups: Result<Vec<_>, _> = contact.need("groups")?.items()?.map(Value::text).collect();
        roster.add(&format!("{}@{}", login, request.host)).name(&name).groups(groups?);
    }
    Ok(roster)
}

rosterd::plugin! { state: Crm, init: init, fetch: fetch, auth: auth }
