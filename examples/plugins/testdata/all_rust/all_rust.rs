//! Asks for all that the SDK has. The path of a request from outside says what, and what came of it is the answer.

#[path = "../../../../plugins/sdk/rust/rosterd.rs"]
mod rosterd;

use rosterd::{http, json, kv, Call, Error, Kind, Level, Login, Reply, Request, Roster, Subscription, UrlTemplate};
use std::time::Duration;

struct All {
    url: String,
    calls: u32, // of this instance
}

fn init() -> Result<All, Error> {
    if rosterd::option_boolean("all_refuse", false)? {
        return Err(Error::permanent("all_refuse is true"));
    }
    Ok(All { url: rosterd::option_text("all_url")?, calls: 0 })
}

fn fetch(_: &mut All, request: &Request) -> Result<Roster, Error> {
    if request.rev == "7" {
        return Ok(Roster::unchanged());
    }
    let mut roster = Roster::new();
    roster.rev("7").max_age(90);
    roster.add(&format!("{}-{}@{}", request.local, request.reason, request.host));
    roster.add("to@example.org").name("Tö").subscription(Subscription::To).groups(vec!["A", "B"]).asks(false);
    roster.add("from@example.org").group("A").subscription(Subscription::From).name("first").name("From").group("B").asks(true);
    roster.add("none@example.org").subscription(Subscription::None).approved(true);
    roster.add("long@example.org").name(&"ö".repeat(40_000));
    if request.reason == "webhook" {
        let many: Vec<String> = (0..300).map(|i| i.to_string()).collect();
        roster.add("fit@example.org").groups(&many[..256]);
        roster.add("many@example.org").groups(&many).name("\u{1}\"");
    }
    Ok(roster)
}

fn edit(_: &mut All, w: &rosterd::Wish) -> Result<(), Error> {
    match &*w.action {
        "subscribe" => Ok(()),
        "remove" => Err(Error::NotFound(w.contact.clone())),
        "unsubscribe" => Err(Error::temporary(&w.contact)),
        _ => Err(Error::Denied(format!("{} {} {} {} {} {} {} {} {}", w.user, w.id, w.action, w.contact, w.name, w.subscription, w.ask, w.approved, w.groups.join(" ")))),
    }
}

fn vcard(_: &mut All, who: &Request) -> Result<rosterd::Card, Error> {
    let text = |s: &str| s.to_owned();
    Ok(match &*who.local {
        "john" => rosterd::Card {
            full_name: text("J\"\\é\n<&"),
            given: text("John"),
            family: text("Doe"),
            nickname: text("Jo"),
            email: vec![text("j@example.com"), text("\"j\"@example.com")],
            tel: vec![text("+49 1")],
            org: text("O"),
            title: text("T"),
            role: text("R"),
            url: text("http://h/?a&b"),
            bday: text("1990-02-28"),
            note: text("N"),
            photo: b"\x89PNG\0\xff\xfe\x01".to_vec(),
            photo_type: text("image/png"),
            ..rosterd::Card::default()
        },
        "given" => rosterd::Card { photo_base64: text("R0lGODlh"), ..rosterd::Card::default() },
        "nothing" | "silent" => rosterd::Card::default(),
        "nobody" => return Err(Error::NotFound(who.user.clone())),
        "later" => return Err(Error::Temporary { text: who.user.clone(), retry_after: 9 }),
        local => rosterd::Card { photo: local.as_bytes().to_vec(), photo_type: text("image/x-test"), ..rosterd::Card::default() },
    })
}

fn auth(all: &mut All, login: &Login) -> Result<(), Error> {
    all.calls += 1;
    match login.password.as_str() {
        "right" => Ok(()),
        "unknown" => Err(Error::NotFound(login.user.clone())),
        _ => Err(Error::Denied(format!("wrong password of {} at {}", login.local, login.host))),
    }
}

fn webhook(all: &mut All, call: &Call) -> Result<Reply, Error> {
    all.calls += 1;
    let (command, argument) = call.rest.split_once('/').unwrap_or((&call.rest, ""));
    let body = match command {
        "echo" => echo(call)?,
        "option" => rosterd::option(argument)?.unwrap_or_else(|| "absent".to_owned()),
        "boolean" => rosterd::option_boolean(argument, true)?.to_string(),
        "integer" => rosterd::option_integer(argument, 5, 1..=8)?.to_string(),
        "kept" => kept()?,
        "get" => get(&http::get(&all.url)?)?,
        "send" => get(&send(&all.url, argument).send()?)?,
        "ok" => get(&http::get(&all.url)?.ok()?)?,
        "error" => match http::get(argument) {
            Ok(_) => "no error".to_owned(),
            Err(e) => format!("{:?}: {}", e.kind, e),
        },
        "fail" => return Err(failure(argument)),
        "panic" => panic!("all is lost: {}", argument),
        "log" => {
            rosterd::log(Level::Info, argument);
            rosterd::log(Level::Warn, "two");
            String::new()
        }
        "chance" => chance()?,
        "url" => match UrlTemplate::new(&call.query) {
            Ok(template) => template.fill(argument)?,
            Err(why) => why.to_owned(),
        },
        "refresh" => {
            let headers = vec![("x-all".to_owned(), "\"yes\"".to_owned())];
            return Ok(Reply {
                refresh: vec!["john".to_owned(), "ma\"rie".to_owned()],
                status: Some(202),
                headers,
                body: Some("done\n".to_owned()),
            });
        }
        "nothing" => return Ok(Reply::default()),
        _ => return Err(Error::NotFound(call.path.clone())),
    };
    Ok(Reply { status: Some(200), body: Some(body), ..Reply::default() })
}

fn echo(call: &Call) -> Result<String, Error> {
    let body = String::from_utf8(call.body()?).map_err(Error::temporary)?;
    let said = format!("{} {} {} {} {} {} {}", call.host, call.method, call.path, call.rest, call.query, call.secure, call.from);
    Ok(format!("{} [{}] [{}] {}", said, call.header("x-test"), call.header("x-absent"), body))
}

fn kept() -> Result<String, Error> {
    let mut said = Vec::new();
    let mut see = |value: Option<Vec<u8>>| said.push(value.map_or("absent".to_owned(), |v| format!("{:02x?}", v)));
    see(kv::get("key")?);
    kv::set("key", b"", 0)?;
    see(kv::get("key")?);
    kv::set("key", &[0, 255], 3600)?;
    see(kv::get("key")?);
    kv::delete("key")?;
    see(kv::get("key")?);
    said.push(match kv::set(&"k".repeat(1000), b"", 0) {
        Err(e) if e.kind == Kind::Limit => "limit".to_owned(),
        other => format!("{:?}", other),
    });
    Ok(said.join(" "))
}

fn send(url: &str, method: &str) -> http::Request {
    let rev = json::quote("\u{1}\u{7f}é😀\\/");
    http::Request::new(method, url)
        .header("x-one", "1")
        .header("x-two", &rev)
        .body("two\nlines")
        .timeout(Duration::from_millis(1500))
        .redirects(2)
        .rev("a\"b")
}

fn get(answer: &http::Response) -> Result<String, Error> {
    let (field, long, absent) = (answer.header("x-answer"), answer.header("x-long").len(), answer.header("x-absent"));
    Ok(format!("{} {} {} [{}] {} {}", answer.status(), field, long, absent, answer.retry_after(), answer.text()?))
}

fn failure(word: &str) -> Error {
    let text = "because \"é\"".to_owned();
    match word {
        "not-found" => Error::NotFound(text),
        "temporary" => Error::Temporary { text, retry_after: 77 },
        "permanent" => Error::Permanent(text),
        _ => Error::Denied(text),
    }
}

fn chance() -> Result<String, Error> {
    let (mut a, mut b) = ([0; 16], [0; 16]);
    rosterd::random(&mut a)?;
    rosterd::random(&mut b)?;
    Ok(format!("{} {}", a != b, rosterd::now_ms()))
}

rosterd::plugin! { state: All, init: init, fetch: fetch, auth: auth, edit: edit, vcard: vcard, webhook: webhook }
