//! Contacts from a CRM: whoever is in a team of the user, or in a team below one of those.

#[path = "../../../plugins/sdk/rust/rosterd.rs"]
mod rosterd;

use rosterd::json::{self, Value};
use rosterd::{http, Error, Request, Roster, UrlTemplate};
use std::collections::BTreeMap;
use std::rc::Rc;

struct Crm {
    teams_of: UrlTemplate,
    max_pages: i64,
}

fn init() -> Result<Crm, Error> {
    Ok(Crm {
        teams_of: rosterd::option_url("crm_url")?,
        max_pages: rosterd::option_integer("crm_pages", 5, 1..=8)?, // a call may send 8 requests
    })
}

fn fetch(crm: &mut Crm, request: &Request) -> Result<Roster, Error> {
    let url = crm.teams_of.fill(&request.local)?;
    let mut people = People::default();
    let (mut pages, mut number) = (1.0, 1);
    while f64::from(number) <= pages {
        if i64::from(number) > crm.max_pages {
            return Err(Error::temporary(format!("{} pages, more than crm_pages = {}", pages, crm.max_pages)));
        }
        let page = http::get(&format!("{}?page={}", url, number))?.ok()?;
        pages = read_page(&mut people, &page.text()?, request)
            .map_err(|e| Error::temporary(format!("page {} cannot be read: {}", number, e)))?;
        number += 1;
    }
    Ok(people.roster(request))
}

/// Says how many pages there are. What is not as agreed is an error: a roster without contacts must not be read into it.
fn read_page(people: &mut People, body: &str, request: &Request) -> Result<f64, json::Error> {
    let document = json::parse(body)?;
    let page = document.root();
    people.add(page.need("teams")?, request)?;
    Ok(page.get("pages").and_then(count).unwrap_or(1.0))
}

/// A number, or a text that is one.
fn count(pages: Value) -> Option<f64> {
    pages.number().ok().or_else(|| pages.text().ok()?.trim().parse().ok())
}

/// Who was found, by login. A member of several teams is in several groups.
#[derive(Default)]
struct People(BTreeMap<String, Person>);

#[derive(Default)]
struct Person {
    name: String,
    groups: Vec<Rc<str>>,
}

impl People {
    /// Adds the members of teams, and of the teams in them.
    fn add(&mut self, teams: Value, request: &Request) -> Result<(), json::Error> {
        for team in teams.items()? {
            let title = team.need("title").and_then(Value::text).map(|title| Rc::from(&*title));
            for member in team.need("members")?.items()? {
                self.add_member(member, &title, request)?;
            }
            if let Some(below) = team.get("teams") {
                self.add(below, request)?;
            }
        }
        Ok(())
    }

    fn add_member(&mut self, member: Value, title: &Result<Rc<str>, json::Error>, request: &Request) -> Result<(), json::Error> {
        let login = member.need("login")?.text()?;
        if login == request.local {
            return Ok(()); // the user is in his teams himself
        }
        let title = title.clone()?;
        if let Some(person) = self.0.get_mut(&*login) {
            person.groups.push(title);
            return Ok(());
        }
        let name = member.need("profile")?.optional("display_name").map(Value::text).transpose()?.unwrap_or_default();
        self.0.insert(login.into_owned(), Person { name: name.into_owned(), groups: vec![title] });
        Ok(())
    }

    fn roster(&self, request: &Request) -> Roster {
        let mut roster = Roster::new();
        for (login, person) in &self.0 {
            roster.add(&[login, "@", &request.host].concat()).name(&person.name).groups(&person.groups);
        }
        roster
    }
}

rosterd::plugin! { state: Crm, init: init, fetch: fetch }
