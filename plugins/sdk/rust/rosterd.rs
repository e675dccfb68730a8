//! Plugins of rosterd in Rust: this file is all there is to copy. It speaks the ABI `rosterd_v1`, needs no crates, and
//! any Rust from 1.63 on, edition 2021.
//!
//! ```ignore
//! mod rosterd; // this file, beside the plugin's own and named in its root
//! use rosterd::{http, json, Error, Request, Roster, UrlTemplate};
//!
//! struct Intranet {
//!     people: UrlTemplate,
//! }
//!
//! fn init() -> Result<Intranet, Error> {
//!     Ok(Intranet { people: rosterd::option_url("intranet_url")? })
//! }
//!
//! fn fetch(plugin: &mut Intranet, request: &Request) -> Result<Roster, Error> {
//!     let answer = http::get(&plugin.people.fill(&request.local)?)?.ok()?;
//!     let body = answer.text()?;
//!     let people = json::parse(&body)?;
//!     let mut roster = Roster::new();
//!     for person in people.root().need("people")?.items()? {
//!         let login = person.need("login")?.text()?;
//!         roster.add(&format!("{}@{}", login, request.host)).name(&person.need("name")?.text()?);
//!     }
//!     Ok(roster)
//! }
//!
//! rosterd::plugin! { state: Intranet, init: init, fetch: fetch }
//! ```
//!
//! It is built with
//!
//! ```text
//! rustc --edition 2021 --crate-type=cdylib --target wasm32-unknown-unknown -C opt-level=3 -C target-feature=+bulk-memory \
//!     -C panic=abort -C lto -C strip=debuginfo -C link-arg=-zstack-size=65536 mod_intranet.rs -o mod_intranet.wasm
//! ```
//!
//! or by cargo with the same settings. The stack is set because Rust's own choice of 1 MiB is memory that every instance of
//! the plugin takes; the names of functions stay in, for rosterd's log of traps.
//!
//! `plugin!` exports what it is given functions for, and a plugin supplies what it exports:
//!
//! | | its function | |
//! | --- | --- | --- |
//! | `init` | `fn() -> Result<State, Error>` | reads the options; an error refuses the plugin |
//! | `fetch` | `fn(&mut State, &Request) -> Result<Roster, Error>` | rosters |
//! | `transform` | `fn(&mut State, &Request, &http::Response) -> Result<Roster, Error>` | rosters, of an answer that rosterd has asked for |
//! | `auth` | `fn(&mut State, &Login) -> Result<(), Error>` | passwords: `Ok` lets the user in, `Error::Denied` does not |
//! | `edit` | `fn(&mut State, &Wish) -> Result<(), Error>` | what users want of their rosters: `Error::Denied` is the backend's no, in words for the user |
//! | `vcard` | `fn(&mut State, &Request) -> Result<Card, Error>` | who a user is, without `reason` and `rev`: the default card and `Error::NotFound` say that nothing is known of him |
//! | `webhook` | `fn(&mut State, &Call) -> Result<Reply, Error>` | requests from outside |
//!
//! The state is that of one instance. There may be several, none of them lasts, and one serves many users: what must be
//! kept is for [`kv`].
//!
//! A panic ends the call as a fault of the plugin, with the message in rosterd's log.
//!
//! [`json`] reads without crates. With serde_json it is `serde_json::from_slice(&response.body()?)`, and
//! `map_err(|e| Error::temporary(e))`; modules become larger and slower by it, and nothing else changes.

#![allow(dead_code)]

use std::fmt;

/// Says of which ABI the module is, and exports what it supplies. See the top of this file.
macro_rules! rosterd_plugin {
    (state: $state:ty, $($export:ident: $function:expr),+ $(,)?) => {
        ::std::thread_local! {
            static ROSTERD_STATE: ::std::cell::RefCell<Option<$state>> = ::std::cell::RefCell::new(None);
        }
        #[no_mangle]
        pub extern "C" fn rosterd_abi_v1() {}
        $( $crate::rosterd::plugin! { @ $export $function } )+
    };
    (@ init $function:expr) => {
        #[no_mangle]
        pub extern "C" fn rosterd_init() -> i32 {
            $crate::rosterd::exports::init(&ROSTERD_STATE, || ($function)())
        }
    };
    (@ fetch $function:expr) => {
        #[no_mangle]
        pub extern "C" fn rosterd_fetch() -> i32 {
            $crate::rosterd::exports::fetch(&ROSTERD_STATE, |state, request| ($function)(state, request))
        }
    };
    (@ transform $function:expr) => {
        #[no_mangle]
        pub extern "C" fn rosterd_transform() -> i32 {
            $crate::rosterd::exports::transform(&ROSTERD_STATE, |state, request, response| ($function)(state, request, response))
        }
    };
    (@ auth $function:expr) => {
        #[no_mangle]
        pub extern "C" fn rosterd_auth() -> i32 {
            $crate::rosterd::exports::auth(&ROSTERD_STATE, |state, login| ($function)(state, login))
        }
    };
    (@ edit $function:expr) => {
        #[no_mangle]
        pub extern "C" fn rosterd_edit() -> i32 {
            $crate::rosterd::exports::edit(&ROSTERD_STATE, |state, wish| ($function)(state, wish))
        }
    };
    (@ vcard $function:expr) => {
        #[no_mangle]
        pub extern "C" fn rosterd_vcard() -> i32 {
            $crate::rosterd::exports::vcard(&ROSTERD_STATE, |state, request| ($function)(state, request))
        }
    };
    (@ webhook $function:expr) => {
        #[no_mangle]
        pub extern "C" fn rosterd_webhook() -> i32 {
            $crate::rosterd::exports::webhook(&ROSTERD_STATE, |state, call| ($function)(state, call))
        }
    };
}
pub(crate) use rosterd_plugin as plugin;

/// Whose roster is asked for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Bare JID.
    pub user: String,
    /// Its localpart.
    pub local: String,
    /// Its domainpart.
    pub host: String,
    /// "login", "refresh", "retry", …
    pub reason: String,
    /// Revision of the roster that rosterd holds, "" if it holds none.
    pub rev: String,
}

/// Who wants to be let in.
#[derive(Clone, Default)]
pub struct Login {
    pub user: String,
    pub local: String,
    pub host: String,
    pub password: String,
}

/// What a user wants of his roster.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    pub user: String,
    pub local: String,
    pub host: String,
    /// Of this request: two with the same are one.
    pub id: String,
    /// "set", "remove", "subscribe", "subscribed", "unsubscribe" or "unsubscribed".
    pub action: String,
    /// Bare JID.
    pub contact: String,
    pub name: String,
    pub subscription: String,
    pub groups: Vec<String>,
    /// "subscribe", or "".
    pub ask: String,
    pub approved: bool,
    /// Revision of the roster that the user has been told, "" if it has none.
    pub rev: String,
    /// Of the same, if it has a strong one.
    pub etag: String,
}

/// What others see of a user. What is empty is not said.
#[derive(Clone, Debug, Default)]
pub struct Card {
    /// The name as it is shown.
    pub full_name: String,
    pub given: String,
    pub family: String,
    pub nickname: String,
    pub email: Vec<String>,
    pub tel: Vec<String>,
    pub org: String,
    pub title: String,
    pub role: String,
    pub url: String,
    /// Such as 1990-02-28.
    pub bday: String,
    pub note: String,
    /// A picture.
    pub photo: Vec<u8>,
    /// The same in base64, where that is what there is.
    pub photo_base64: String,
    /// Such as image/png; rosterd finds it out if it is empty.
    pub photo_type: String,
}

/// A request from outside.
#[derive(Clone, Debug, Default)]
pub struct Call {
    pub host: String,
    pub method: String,
    /// As requested.
    pub path: String,
    /// What of it follows the plugin's own path, without the slash between them.
    pub rest: String,
    /// As it stands in the URL.
    pub query: String,
    /// Names are in small letters.
    pub headers: Vec<(String, String)>,
    /// The client's address.
    pub from: String,
    /// It came over TLS.
    pub secure: bool,
}

impl Call {
    /// A field of the header, "" if there is none. The name is in small letters.
    pub fn header(&self, name: &str) -> &str {
        field(&self.headers, name)
    }

    pub fn body(&self) -> Result<Vec<u8>, HostError> {
        http::body(0)
    }
}

/// What is answered to a `Call`. The default is what the refresh API answers, or 204 if nobody was to be refreshed.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// Users whose rosters are fetched anew before the answer is sent, by localpart or bare JID.
    pub refresh: Vec<String>,
    pub status: Option<u16>,
    pub headers: Vec<(String, String)>,
    pub body: Option<String>,
}

/// Why there is no answer. The text is for rosterd's log.
#[derive(Clone, Debug, PartialEq)]
pub enum Error {
    /// There is no such user.
    NotFound(String),
    /// Not now: the user keeps the roster that he had, and is tried again, after so many seconds if it is not 0.
    Temporary { text: String, retry_after: u32 },
    /// It will not work until somebody changes something, such as refused credentials.
    Permanent(String),
    /// The password is wrong, or the user must not be here.
    Denied(String),
}

impl Error {
    pub fn temporary(text: impl fmt::Display) -> Error {
        Error::Temporary { text: text.to_string(), retry_after: 0 }
    }

    pub fn permanent(text: impl fmt::Display) -> Error {
        Error::Permanent(text.to_string())
    }

    fn code(&self) -> i32 {
        match self {
            Error::NotFound(_) => 1,
            Error::Temporary { .. } => 2,
            Error::Permanent(_) => 3,
            Error::Denied(_) => 4,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Error::NotFound(text) | Error::Permanent(text) | Error::Denied(text) | Error::Temporary { text, .. } => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {}

/// What a function of rosterd did not do, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct HostError {
    pub kind: Kind,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// There is no such option, value, header field, response.
    Absent,
    /// Policy does not allow it, such as a request to a server that no option names.
    Refused,
    /// Beyond a limit.
    Limit,
    /// No answer, or none that can be read.
    Network,
    /// An argument makes no sense.
    Argument,
    /// The time of the call or of the request is over.
    Deadline,
    /// None that this file knows.
    Other,
}

impl HostError {
    /// What a negative result of an import means.
    fn last(code: i32) -> HostError {
        let kind = match code {
            -1 => Kind::Absent,
            -2 => Kind::Refused,
            -3 => Kind::Limit,
            -4 => Kind::Network,
            -5 => Kind::Argument,
            -6 => Kind::Deadline,
            _ => Kind::Other,
        };
        let text = match fill(|to, cap| unsafe { host::error_text(to, cap) }) {
            Ok(text) => lossy(text),
            Err(_) => format!("{:?}", kind),
        };
        HostError { kind, text }
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for HostError {}

/// What does not work now may work later; a plugin that knows better says so.
impl From<HostError> for Error {
    fn from(e: HostError) -> Error {
        Error::temporary(e)
    }
}

/// An answer that is not as agreed. There is no roster then, rather than one that lacks something.
impl From<json::Error> for Error {
    fn from(e: json::Error) -> Error {
        Error::temporary(e)
    }
}

/// A result of an import that is a number or an error.
fn checked(n: i32) -> Result<usize, HostError> {
    if n < 0 {
        return Err(HostError::last(n));
    }
    Ok(n as usize)
}

/// Reads what an import copies to (dst, cap): `ask` says how long it is, and copies it if it fits.
fn fill(mut ask: impl FnMut(*mut u8, u32) -> i32) -> Result<Vec<u8>, i32> {
    let mut bytes: Vec<u8> = Vec::with_capacity(256);
    loop {
        let n = ask(bytes.as_mut_ptr(), bytes.capacity() as u32);
        if n < 0 {
            return Err(n);
        }
        if n as usize <= bytes.capacity() {
            // SAFETY: rosterd has written the first n bytes.
            unsafe { bytes.set_len(n as usize) };
            return Ok(bytes);
        }
        bytes.reserve_exact(n as usize);
    }
}

/// Reads the whole of what an import copies piece by piece.
fn copied(len: i32, read: impl FnOnce(*mut u8, u32) -> i32) -> Result<Vec<u8>, HostError> {
    let len = checked(len)?;
    let mut bytes: Vec<u8> = Vec::with_capacity(len);
    let n = checked(read(bytes.as_mut_ptr(), len as u32))?;
    // SAFETY: rosterd has written the first n bytes, and n is at most what was asked for.
    unsafe { bytes.set_len(n.min(len)) };
    Ok(bytes)
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

fn field<'a>(headers: &'a [(String, String)], name: &str) -> &'a str {
    headers.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
}

// Options.

/// An option of the host as text: `true`, `false` and numbers as they are written, lists and tables as JSON. Options are
/// read in `init`: a change of those is seen at a reload.
pub fn option(name: &str) -> Result<Option<String>, Error> {
    match fill(|to, cap| unsafe { host::config_get(name.as_ptr(), name.len() as u32, to, cap) }) {
        Ok(value) => Ok(Some(lossy(value))),
        Err(code) => match HostError::last(code) {
            e if e.kind == Kind::Absent => Ok(None),
            e => Err(Error::permanent(e)),
        },
    }
}

/// An option that must be there.
pub fn option_text(name: &str) -> Result<String, Error> {
    option(name)?.ok_or_else(|| Error::Permanent(format!("option {} is not set", name)))
}

/// A number without a fraction. What is not within the bounds is taken for the nearest that is, and the log says so.
pub fn option_integer(name: &str, default: i64, bounds: std::ops::RangeInclusive<i64>) -> Result<i64, Error> {
    let text = match option(name)? {
        None => return Ok(default),
        Some(text) => text,
    };
    let n: i64 = text.trim().parse().map_err(|_| Error::Permanent(format!("option {}: not an integer", name)))?;
    let within = n.clamp(*bounds.start(), *bounds.end());
    if within != n {
        let (lo, hi) = (bounds.start(), bounds.end());
        log(Level::Warn, &format!("option {}: {} is not between {} and {}, {} is taken", name, n, lo, hi, within));
    }
    Ok(within)
}

/// True or false; 1 and 0 are those as well.
pub fn option_boolean(name: &str, default: bool) -> Result<bool, Error> {
    match option(name)?.as_deref() {
        None => Ok(default),
        Some("true") | Some("1") => Ok(true),
        Some("false") | Some("0") => Ok(false),
        Some(_) => Err(Error::Permanent(format!("option {}: neither true nor false", name))),
    }
}

/// An option that is a URL with `%s` for a user name.
pub fn option_url(name: &str) -> Result<UrlTemplate, Error> {
    UrlTemplate::new(&option_text(name)?).map_err(|why| Error::Permanent(format!("option {}: {}", name, why)))
}

/// A URL in which `%s` stands for a user name; `%%` is one percent sign, and any other is part of the URL.
#[derive(Clone, Debug)]
pub struct UrlTemplate {
    parts: Vec<String>, // what stands between the places of the name
}

impl UrlTemplate {
    pub fn new(text: &str) -> Result<UrlTemplate, &'static str> {
        let mut parts = vec![String::new()];
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let mut taken = c.len_utf8();
            if rest.starts_with("%s") {
                parts.push(String::new());
                rest = &rest[2..];
                continue;
            }
            let part = parts.last_mut().expect("there is always one");
            match rest.find("}}") {
                _ if rest.starts_with("%%") => {
                    part.push('%');
                    taken = 2;
                }
                Some(end) if rest.starts_with("{{secret:") => {
                    taken = end + 2;
                    part.push_str(&rest[..taken]);
                }
                _ if c <= ' ' || c >= '\u{7f}' || "\"<>\\^`{|}".contains(c) => escape(part, &rest[..taken]),
                _ => part.push(c),
            }
            rest = &rest[taken..];
        }
        let server = parts[0].strip_prefix("https://").or_else(|| parts[0].strip_prefix("http://"));
        let server = server.ok_or("not an http:// or https:// URL")?;
        if parts.len() < 2 {
            return Err("no %s in it, which stands for the user name");
        }
        let path = server.find(|c| c == '/' || c == '?' || c == '#');
        if path == Some(0) {
            return Err("a URL without a host");
        }
        if path.is_none() || parts[..parts.len() - 1].iter().any(|p| p.contains('#')) {
            return Err("%s may stand in the path and in the query only");
        }
        if parts[..parts.len() - 1].iter().any(|p| p.rfind('%').map_or(false, |i| p.len() - i < 3)) {
            return Err("an incomplete escape before %s would swallow a part of the name");
        }
        Ok(UrlTemplate { parts })
    }

    /// Puts the name in, so that it is one value and no syntax. The names "." and ".." have no such form where they would
    /// be a whole path segment (RFC 3986 §5.2.4).
    pub fn fill(&self, name: &str) -> Result<String, Error> {
        let url = self.parts.join(&encode_url(name));
        let path = url.split('?').next().unwrap_or("");
        if name.chars().all(|c| c == '.') && path.split('/').any(|segment| segment == "." || segment == "..") {
            return Err(Error::Permanent(format!("user name {:?} cannot stand in the path of a URL", name)));
        }
        Ok(url)
    }
}

/// Percent-encodes every byte outside the unreserved characters (RFC 3986 §2.3).
pub fn encode_url(text: &str) -> String {
    let mut to = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '.' | '_' | '~' => to.push(c),
            _ => escape(&mut to, c.encode_utf8(&mut [0; 4])),
        }
    }
    to
}

fn escape(to: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for b in text.bytes() {
        to.push('%');
        to.push(HEX[usize::from(b >> 4)] as char);
        to.push(HEX[usize::from(b & 15)] as char);
    }
}

// Log, clock, chance.

#[derive(Clone, Copy, Debug)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// Writes a line to rosterd's log.
pub fn log(level: Level, text: &str) {
    unsafe { host::log(level as i32, text.as_ptr(), text.len() as u32) }
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    unsafe { host::now_ms() }
}

/// Fills `to` with what nobody can guess.
pub fn random(to: &mut [u8]) -> Result<(), HostError> {
    checked(unsafe { host::random(to.as_mut_ptr(), to.len() as u32) }).map(|_| ())
}

/// Values that are kept beyond the call, the instance and the process.
pub mod kv {
    use super::{checked, fill, host, HostError, Kind};

    pub fn get(key: &str) -> Result<Option<Vec<u8>>, HostError> {
        match fill(|to, cap| unsafe { host::kv_get(key.as_ptr(), key.len() as u32, to, cap) }) {
            Ok(value) => Ok(Some(value)),
            Err(code) => match HostError::last(code) {
                e if e.kind == Kind::Absent => Ok(None),
                e => Err(e),
            },
        }
    }

    /// Keeps a value for so many seconds; 0 is for ever.
    pub fn set(key: &str, value: &[u8], ttl: u32) -> Result<(), HostError> {
        let n = unsafe { host::kv_set(key.as_ptr(), key.len() as u32, value.as_ptr(), value.len() as u32, ttl) };
        checked(n).map(|_| ())
    }

    pub fn delete(key: &str) -> Result<(), HostError> {
        checked(unsafe { host::kv_delete(key.as_ptr(), key.len() as u32) }).map(|_| ())
    }
}

/// Requests that rosterd sends for the plugin, to the servers that its options name.
pub mod http {
    use super::{checked, copied, field, fill, host, json, lossy, now_ms, Error, HostError};
    use std::time::Duration;

    /// Sends a GET and waits for the whole answer.
    pub fn get(url: &str) -> Result<Response, HostError> {
        Request::new("GET", url).send()
    }

    /// A request that has not been sent. `{{secret:NAME}}` in a field of the header or in the query of the URL is what
    /// rosterd_plugin_secrets has under that name.
    #[derive(Clone, Debug, Default)]
    pub struct Request {
        method: String,
        url: String,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
        timeout: Option<Duration>,
        redirects: u32,
        rev: String,
    }

    impl Request {
        pub fn new(method: &str, url: &str) -> Request {
            Request { method: method.to_owned(), url: url.to_owned(), ..Request::default() }
        }

        pub fn header(mut self, name: &str, value: &str) -> Request {
            self.headers.push((name.to_owned(), value.to_owned()));
            self
        }

        pub fn body(mut self, body: impl Into<Vec<u8>>) -> Request {
            self.body = body.into();
            self
        }

        pub fn timeout(mut self, timeout: Duration) -> Request {
            self.timeout = Some(timeout);
            self
        }

        /// How many redirects to follow; without it they are answers like any other.
        pub fn redirects(mut self, most: u32) -> Request {
            self.redirects = most;
            self
        }

        /// The revision that is held of the answer, which may then be 304.
        pub fn rev(mut self, rev: &str) -> Request {
            self.rev = rev.to_owned();
            self
        }

        pub fn send(self) -> Result<Response, HostError> {
            let head = self.head();
            let (head_len, body_len) = (head.len() as u32, self.body.len() as u32);
            let handle = unsafe { host::http_request(head.as_ptr(), head_len, self.body.as_ptr(), body_len) };
            checked(handle)?;
            let status = checked(unsafe { host::http_status(handle) })? as u16;
            Ok(Response { handle, status, headers: Vec::new(), method: self.method, url: self.url })
        }

        fn head(&self) -> String {
            let mut to = json::Writer::object();
            to.text("method", &self.method).text("url", &self.url);
            if !self.headers.is_empty() {
                to.texts("headers", &self.headers);
            }
            if let Some(timeout) = self.timeout {
                to.number("timeout_ms", timeout.as_millis().min(1 << 31) as i64);
            }
            if self.redirects > 0 {
                to.number("redirects", i64::from(self.redirects));
            }
            if !self.rev.is_empty() {
                to.text("rev", &self.rev);
            }
            to.end()
        }
    }

    /// An answer, whatever its status.
    #[derive(Debug)]
    pub struct Response {
        handle: i32,
        status: u16,
        headers: Vec<(String, String)>, // of the answer that rosterd has asked for
        method: String,
        url: String,
    }

    impl Response {
        /// The answer that came with the input.
        pub(super) fn given(status: u16, headers: Vec<(String, String)>) -> Response {
            Response { handle: 0, status, headers, method: "GET".to_owned(), url: "the backend".to_owned() }
        }

        pub fn status(&self) -> u16 {
            self.status
        }

        /// A field of the header, "" if there is none. The name is in small letters.
        pub fn header(&self, name: &str) -> String {
            if self.handle == 0 {
                return field(&self.headers, name).to_owned();
            }
            let value = fill(|to, cap| unsafe { host::http_header(self.handle, name.as_ptr(), name.len() as u32, to, cap) });
            value.map(lossy).unwrap_or_default()
        }

        /// The revision that the backend has given the answer, "" if none.
        pub fn rev(&self) -> String {
            fill(|to, cap| unsafe { host::http_rev(self.handle, to, cap) }).map(lossy).unwrap_or_default()
        }

        pub fn body(&self) -> Result<Vec<u8>, HostError> {
            body(self.handle)
        }

        /// The body, which must be UTF-8, as JSON is (RFC 8259 §8.1).
        pub fn text(&self) -> Result<String, Error> {
            String::from_utf8(self.body()?).map_err(|e| Error::temporary(format!("{}: {}", self.shown(), e)))
        }

        /// The answer if it is 200, and else the error that its status means to rosterd: 404 that there is no such user,
        /// 401 and 403 that somebody must change something, any other that it does not work now.
        pub fn ok(self) -> Result<Response, Error> {
            let shown = self.shown();
            match self.status {
                200 => Ok(self),
                404 => Err(Error::NotFound(shown)),
                401 | 403 => Err(Error::Permanent(format!("{}: the backend refuses our credentials", shown))),
                _ => Err(Error::Temporary { text: shown, retry_after: self.retry_after() }),
            }
        }

        /// What was asked and what came, in a few words. A password in the URL is left out.
        fn shown(&self) -> String {
            let (scheme, rest) = self.url.split_once("://").unwrap_or(("", &self.url));
            let server = rest.split(|c| c == '/' || c == '?' || c == '#').next().unwrap_or("");
            let rest = server.rfind('@').map_or(rest, |at| &rest[at + 1..]);
            let slashes = if scheme.is_empty() { "" } else { "://" };
            format!("{} {}{}{}: {}", self.method, scheme, slashes, rest, self.status)
        }

        /// For how many seconds the server asks to be left alone (RFC 9110 §10.2.3); 0 if it does not say.
        pub fn retry_after(&self) -> u32 {
            let value = self.header("retry-after");
            let seconds = match value.trim().parse() {
                Ok(seconds) => seconds,
                Err(_) => date(&value).map_or(0, |at| at - now_ms().div_euclid(1000)),
            };
            seconds.clamp(0, i64::from(i32::MAX)) as u32
        }
    }

    impl Drop for Response {
        fn drop(&mut self) {
            if self.handle > 0 {
                unsafe { host::http_close(self.handle) };
            }
        }
    }

    pub(super) fn body(handle: i32) -> Result<Vec<u8>, HostError> {
        copied(unsafe { host::http_body_len(handle) }, |to, len| unsafe { host::http_body_read(handle, to, 0, len) })
    }

    /// Seconds since 1970 of a date such as "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 §5.6.7).
    pub(super) fn date(text: &str) -> Option<i64> {
        let mut words = text.split_once(", ")?.1.split(' ');
        let day: i64 = words.next()?.parse().ok()?;
        let name = words.next()?;
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let month = months.iter().position(|m| *m == name)? as i64 + 1;
        let year: i64 = words.next()?.parse().ok().filter(|y| (1970..=9999).contains(y))?;
        let mut clock = words.next()?.split(':').map(|n| n.parse::<i64>().ok().filter(|n| (0..=60).contains(n)));
        let (h, m, s) = (clock.next()??, clock.next()??, clock.next()??);
        if words.next() != Some("GMT") || !(1..=31).contains(&day) {
            return None;
        }
        // A year begins in March here, so that the day of leap years is its last.
        let (y, m0) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let days = y * 365 + y / 4 - y / 100 + y / 400 + (m0 * 153 + 2) / 5 + day - 1 - 719_468;
        Some(days * 86_400 + h * 3_600 + m * 60 + s)
    }
}

/// Which of the two get to see the other's presence (RFC 6121 §2.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Subscription {
    None,
    To,
    From,
    Both,
}

/// The answer to `fetch` and `transform`. It is written in the flat form of the ABI as contacts are added.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    contacts: Vec<u8>,
    count: u32,
    more: Vec<(u32, String)>, // groups for which the flat form has no room, with the number of their contact
    rev: String,
    max_age: u32,
    unchanged: bool,
}

impl Roster {
    pub fn new() -> Roster {
        Roster::default()
    }

    /// Says that the revision asked with still holds. It has no contacts.
    pub fn unchanged() -> Roster {
        Roster { unchanged: true, ..Roster::default() }
    }

    /// Names this state of the roster. The name comes back in the next request.
    pub fn rev(&mut self, rev: &str) -> &mut Roster {
        self.rev = rev.to_owned();
        self
    }

    /// For how many seconds nobody need ask again.
    pub fn max_age(&mut self, seconds: u32) -> &mut Roster {
        self.max_age = seconds;
        self
    }

    /// Adds a contact, with the subscription `both` and no name and groups until they are set.
    pub fn add(&mut self, jid: &str) -> Contact<'_> {
        let flags = self.contacts.len();
        self.contacts.push(Subscription::Both as u8);
        put(&mut self.contacts, jid);
        let name = self.contacts.len();
        self.contacts.extend_from_slice(&[0, 0, 0]); // no name, no groups
        self.count += 1;
        self.unchanged = false;
        Contact { roster: self, flags, name, groups: name + 2 }
    }

    pub fn len(&self) -> usize {
        self.count as usize
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn write(&self) -> Result<(), HostError> {
        if !self.more.is_empty() {
            return output(self.json().as_bytes());
        }
        let said = !self.rev.is_empty() || self.max_age > 0;
        let mut head = vec![b'R', b'F', 1, u8::from(said) | u8::from(self.unchanged) << 1];
        if said {
            head.extend_from_slice(&self.max_age.to_le_bytes());
            put(&mut head, &self.rev);
        }
        head.extend_from_slice(&self.count.to_le_bytes());
        output(&head)?;
        output(&self.contacts)
    }

    /// The form without bounds.
    fn json(&self) -> String {
        let mut rest = &self.contacts[..];
        let mut items = String::new();
        for number in 1..=self.count {
            let flags = rest[0];
            rest = &rest[1..];
            let mut item = json::Writer::object();
            item.text("jid", taken(&mut rest)).text("name", taken(&mut rest));
            item.text("subscription", ["none", "to", "from", "both"][usize::from(flags & 3)]);
            item.boolean("approved", flags & 4 != 0).text("ask", if flags & 8 != 0 { "subscribe" } else { "" });
            let count = rest[0];
            rest = &rest[1..];
            let mut groups: Vec<String> = (0..count).map(|_| taken(&mut rest).to_owned()).collect();
            groups.extend(self.more.iter().filter(|(n, _)| *n == number).map(|(_, group)| group.clone()));
            item.list("groups", &groups);
            items.push_str(if number > 1 { "," } else { "" });
            items.push_str(&item.end());
        }
        let mut to = json::Writer::object();
        to.raw("items", &format!("[{}]", items)).text("rev", &self.rev).number("max_age", i64::from(self.max_age));
        to.end()
    }
}

/// A contact of a roster that is being written.
pub struct Contact<'a> {
    roster: &'a mut Roster,
    flags: usize, // where they stand
    name: usize,
    groups: usize,
}

impl Contact<'_> {
    pub fn name(self, name: &str) -> Self {
        let to = &mut self.roster.contacts;
        let groups = to.split_off(self.groups);
        to.truncate(self.name);
        put(to, name);
        let at = to.len();
        to.extend_from_slice(&groups);
        Contact { groups: at, ..self }
    }

    /// Puts it into one more group.
    pub fn group(self, group: &str) -> Self {
        let to = &mut self.roster.contacts;
        if to[self.groups] < u8::MAX {
            to[self.groups] += 1;
            put(to, group);
        } else {
            self.roster.more.push((self.roster.count, group.to_owned()));
        }
        self
    }

    pub fn groups<T: AsRef<str>>(self, groups: impl IntoIterator<Item = T>) -> Self {
        groups.into_iter().fold(self, |contact, group| contact.group(group.as_ref()))
    }

    pub fn subscription(self, subscription: Subscription) -> Self {
        self.flag(3, subscription as u8)
    }

    /// The contact may subscribe without being asked (RFC 6121 §3.4).
    pub fn approved(self, approved: bool) -> Self {
        self.flag(4, u8::from(approved) << 2)
    }

    /// The user has asked to subscribe to the contact.
    pub fn asks(self, asks: bool) -> Self {
        self.flag(8, u8::from(asks) << 3)
    }

    fn flag(self, mask: u8, value: u8) -> Self {
        let flags = &mut self.roster.contacts[self.flags];
        *flags = *flags & !mask | value;
        self
    }
}

/// Reads what `put` has written.
fn taken<'a>(from: &mut &'a [u8]) -> &'a str {
    let (text, rest) = from[2..].split_at(usize::from(u16::from_le_bytes([from[0], from[1]])));
    *from = rest;
    std::str::from_utf8(text).expect("put writes text")
}

/// Writes a text with its length. What is longer than can be written is longer than rosterd takes: it is cut, and the
/// contact is left out and reported.
fn put(to: &mut Vec<u8>, text: &str) {
    let mut n = text.len().min(usize::from(u16::MAX));
    while !text.is_char_boundary(n) {
        n -= 1;
    }
    to.extend_from_slice(&(n as u16).to_le_bytes());
    to.extend_from_slice(&text.as_bytes()[..n]);
}

fn output(bytes: &[u8]) -> Result<(), HostError> {
    checked(unsafe { host::output_write(bytes.as_ptr(), bytes.len() as u32) }).map(|_| ())
}

/// What `plugin!` exports. It is not for plugins.
pub mod exports {
    use super::*;
    use std::cell::RefCell;
    use std::thread::LocalKey;

    type Slot<S> = LocalKey<RefCell<Option<S>>>;

    pub fn init<S>(slot: &'static Slot<S>, init: impl FnOnce() -> Result<S, Error>) -> i32 {
        std::panic::set_hook(Box::new(|panic| log(Level::Error, &panic.to_string())));
        end(init().map(|state| slot.with(|slot| *slot.borrow_mut() = Some(state))))
    }

    pub fn fetch<S>(slot: &'static Slot<S>, fetch: impl FnOnce(&mut S, &Request) -> Result<Roster, Error>) -> i32 {
        end(asked().and_then(|input| {
            let request = request(&input)?;
            let roster = with(slot, |state| fetch(state, &request))?;
            Ok(roster.write()?)
        }))
    }

    pub fn transform<S>(slot: &'static Slot<S>, transform: impl FnOnce(&mut S, &Request, &http::Response) -> Result<Roster, Error>) -> i32 {
        end(asked().and_then(|input| {
            let (request, response) = (request(&input)?, response(&input)?);
            let roster = with(slot, |state| transform(state, &request, &response))?;
            Ok(roster.write()?)
        }))
    }

    pub fn auth<S>(slot: &'static Slot<S>, auth: impl FnOnce(&mut S, &Login) -> Result<(), Error>) -> i32 {
        end(asked().and_then(|input| {
            let login = login(&input)?;
            with(slot, |state| auth(state, &login))
        }))
    }

    pub fn edit<S>(slot: &'static Slot<S>, edit: impl FnOnce(&mut S, &Wish) -> Result<(), Error>) -> i32 {
        end(asked().and_then(|input| {
            let wish = wish(&input)?;
            with(slot, |state| edit(state, &wish))
        }))
    }

    pub fn vcard<S>(slot: &'static Slot<S>, vcard: impl FnOnce(&mut S, &Request) -> Result<Card, Error>) -> i32 {
        end(asked().and_then(|input| {
            let who = who(&input)?;
            let card = with(slot, |state| vcard(state, &who))?;
            Ok(output(card.encode().as_bytes())?)
        }))
    }

    pub fn webhook<S>(slot: &'static Slot<S>, webhook: impl FnOnce(&mut S, &Call) -> Result<Reply, Error>) -> i32 {
        end(asked().and_then(|input| {
            let call = call(&input)?;
            let reply = with(slot, |state| webhook(state, &call))?;
            Ok(output(reply.encode().as_bytes())?)
        }))
    }

    fn with<S, T>(slot: &'static Slot<S>, f: impl FnOnce(&mut S) -> T) -> T {
        slot.with(|slot| f(slot.borrow_mut().as_mut().expect("rosterd_init comes first")))
    }

    fn asked() -> Result<String, Error> {
        let input = copied(unsafe { host::input_len() }, |to, len| unsafe { host::input_read(to, 0, len) })?;
        String::from_utf8(input).map_err(Error::permanent)
    }

    fn end(result: Result<(), Error>) -> i32 {
        let error = match result {
            Ok(()) => return 0,
            Err(error) => error,
        };
        let after = if let Error::Temporary { retry_after, .. } = error { retry_after } else { 0 };
        let text = error.to_string();
        unsafe { host::fail(error.code(), after, text.as_ptr(), text.len() as u32) };
        error.code()
    }

    fn text(object: json::Value, name: &str) -> Result<String, json::Error> {
        Ok(object.need(name)?.text()?.into_owned())
    }

    fn request(input: &str) -> Result<Request, json::Error> {
        let document = json::parse(input)?;
        let o = document.root();
        Ok(Request {
            user: text(o, "user")?,
            local: text(o, "local")?,
            host: text(o, "host")?,
            reason: text(o, "reason")?,
            rev: text(o, "rev")?,
        })
    }

    fn who(input: &str) -> Result<Request, json::Error> {
        let document = json::parse(input)?;
        let o = document.root();
        Ok(Request { user: text(o, "user")?, local: text(o, "local")?, host: text(o, "host")?, ..Request::default() })
    }

    fn login(input: &str) -> Result<Login, json::Error> {
        let document = json::parse(input)?;
        let o = document.root();
        Ok(Login { user: text(o, "user")?, local: text(o, "local")?, host: text(o, "host")?, password: text(o, "password")? })
    }

    fn wish(input: &str) -> Result<Wish, json::Error> {
        let document = json::parse(input)?;
        let o = document.root();
        let groups = o.need("groups")?.items()?.map(|group| Ok(group.text()?.into_owned()));
        Ok(Wish {
            user: text(o, "user")?,
            local: text(o, "local")?,
            host: text(o, "host")?,
            id: text(o, "id")?,
            action: text(o, "action")?,
            contact: text(o, "contact")?,
            name: text(o, "name")?,
            subscription: text(o, "subscription")?,
            groups: groups.collect::<Result<_, json::Error>>()?,
            ask: text(o, "ask")?,
            approved: o.need("approved")?.boolean()?,
            rev: text(o, "rev")?,
            etag: text(o, "etag")?,
        })
    }

    fn response(input: &str) -> Result<http::Response, json::Error> {
        let document = json::parse(input)?;
        let o = document.root();
        Ok(http::Response::given(o.need("status")?.number()? as u16, headers(o)?))
    }

    fn headers(object: json::Value) -> Result<Vec<(String, String)>, json::Error> {
        let fields = object.need("headers")?.members()?;
        fields.map(|(name, value)| Ok((name.into_owned(), value.text()?.into_owned()))).collect()
    }

    fn call(input: &str) -> Result<Call, json::Error> {
        let document = json::parse(input)?;
        let o = document.root();
        Ok(Call {
            host: text(o, "host")?,
            method: text(o, "method")?,
            path: text(o, "path")?,
            rest: text(o, "rest")?,
            query: text(o, "query")?,
            headers: headers(o)?,
            from: text(o, "from")?,
            secure: o.need("secure")?.boolean()?,
        })
    }

    impl Card {
        fn encode(&self) -> String {
            let mut to = json::Writer::object();
            for (name, value) in [
                ("fn", &self.full_name),
                ("given", &self.given),
                ("family", &self.family),
                ("nickname", &self.nickname),
                ("org", &self.org),
                ("title", &self.title),
                ("role", &self.role),
                ("url", &self.url),
                ("bday", &self.bday),
                ("note", &self.note),
            ] {
                if !value.is_empty() {
                    to.text(name, value);
                }
            }
            to.list("email", &self.email).list("tel", &self.tel);
            let data = if self.photo.is_empty() { self.photo_base64.clone() } else { base64(&self.photo) };
            if !data.is_empty() {
                let mut photo = json::Writer::object();
                photo.text("type", &self.photo_type).text("data", &data);
                to.raw("photo", &photo.end());
            }
            to.end()
        }
    }

    /// RFC 4648 §4.
    fn base64(bytes: &[u8]) -> String {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut to = String::with_capacity(bytes.len() / 3 * 4 + 4);
        for three in bytes.chunks(3) {
            let n = three.iter().enumerate().fold(0, |n, (i, b)| n | u32::from(*b) << (16 - 8 * i));
            for i in 0..4 {
                to.push(if i <= three.len() { char::from(DIGITS[(n >> (18 - 6 * i) & 63) as usize]) } else { '=' });
            }
        }
        to
    }

    impl Reply {
        fn encode(&self) -> String {
            let mut to = json::Writer::object();
            to.list("refresh", &self.refresh);
            if let Some(status) = self.status {
                to.number("status", i64::from(status));
            }
            if !self.headers.is_empty() {
                to.texts("headers", &self.headers);
            }
            if let Some(body) = &self.body {
                to.text("body", body);
            }
            to.end()
        }
    }
}

/// JSON (RFC 8259) read in one pass: a list of where the values stand in the text, which stays where it is.
pub mod json {
    use std::borrow::Cow;
    use std::fmt::{self, Write};
    use std::num::NonZeroUsize;

    /// How deep lists and objects may be in one another.
    pub const MAX_DEPTH: usize = 64;

    /// A text that is not JSON, or not the JSON that was expected, and where.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Error {
        pub what: String,
        pub at: usize,
    }

    impl fmt::Display for Error {
        fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
            write!(f, "JSON: {} at byte {}", self.what, self.at)
        }
    }

    impl std::error::Error for Error {}

    #[derive(Clone, Copy, PartialEq)]
    enum Is {
        Null,
        True,
        False,
        Number,
        Text,    // as it stands
        Escaped, // with escapes in it
        List,
        Object,
    }

    /// A value. What is in a list or an object comes behind it; of an object, names and values in turns.
    #[derive(Clone, Copy)]
    struct Node {
        is: Is,
        from: u32,
        to: u32, // of lists and objects: the node behind what is in them
    }

    /// A text that is JSON.
    pub struct Document<'a> {
        text: &'a str,
        nodes: Vec<Node>,
    }

    /// Reads a text. Once this is done the rest of this module finds what is there.
    pub fn parse(text: &str) -> Result<Document<'_>, Error> {
        let nodes = Vec::with_capacity(text.len() / 8);
        let mut parser = Parser { text: text.as_bytes(), nodes, wrong: Error { what: String::new(), at: 0 } };
        match parser.document() {
            Some(_) => Ok(Document { text, nodes: parser.nodes }),
            None => Err(parser.wrong),
        }
    }

    /// Its functions are told where they begin, and say where they have ended, which is never at 0. What has no end is wrong.
    struct Parser<'a> {
        text: &'a [u8],
        nodes: Vec<Node>,
        wrong: Error,
    }

    type End = Option<NonZeroUsize>;

    impl<'a> Parser<'a> {
        #[cold]
        fn fail(&mut self, what: &str, at: usize) -> End {
            self.wrong = Error { what: what.to_owned(), at };
            None
        }

        /// The byte at a place; 0, which JSON has nowhere, at the end.
        #[inline(always)]
        fn peek(&self, at: usize) -> u8 {
            self.text.get(at).copied().unwrap_or(0)
        }

        /// Skips the bytes that are such.
        #[inline(always)]
        fn skip(&self, from: usize, such: impl Fn(u8) -> bool) -> usize {
            let mut at = from;
            while at < self.text.len() && such(self.text[at]) {
                at += 1;
            }
            at
        }

        #[inline(always)]
        fn blank(&self, at: usize) -> usize {
            self.skip(at, |b| matches!(b, b' ' | b'\n' | b'\r' | b'\t'))
        }

        fn document(&mut self) -> End {
            if self.text.len() > u32::MAX as usize / 2 {
                return self.fail("too much", 0);
            }
            let end = self.value(self.blank(0), 0)?.get();
            let end = self.blank(end);
            if end < self.text.len() {
                return self.fail("something behind the value", end);
            }
            NonZeroUsize::new(end)
        }

        fn value(&mut self, at: usize, depth: usize) -> End {
            match self.peek(at) {
                b'"' => self.string(at),
                b'{' => self.nested(at, depth, Is::Object, b'}'),
                b'[' => self.nested(at, depth, Is::List, b']'),
                b'-' | b'0'..=b'9' => self.number(at),
                b'n' => self.word(at, "null", Is::Null),
                b't' => self.word(at, "true", Is::True),
                b'f' => self.word(at, "false", Is::False),
                _ => self.fail("no value", at),
            }
        }

        fn nested(&mut self, at: usize, depth: usize, is: Is, end: u8) -> End {
            if depth >= MAX_DEPTH {
                return self.fail("nested too deep", at);
            }
            let node = self.nodes.len();
            self.push(is, at, 0);
            let mut at = self.blank(at + 1);
            if self.peek(at) != end {
                loop {
                    if is == Is::Object {
                        at = self.name(at)?.get();
                    }
                    let next = self.value(at, depth + 1)?.get();
                    at = self.blank(next);
                    if self.peek(at) != b',' {
                        break;
                    }
                    at = self.blank(at + 1);
                }
                if self.peek(at) != end {
                    return self.fail("neither a comma nor an end", at);
                }
            }
            self.nodes[node].to = self.nodes.len() as u32;
            NonZeroUsize::new(at + 1)
        }

        fn name(&mut self, at: usize) -> End {
            if self.peek(at) != b'"' {
                return self.fail("no name", at);
            }
            let end = self.string(at)?.get();
            let at = self.blank(end);
            if self.peek(at) != b':' {
                return self.fail("no colon", at);
            }
            NonZeroUsize::new(self.blank(at + 1))
        }

        fn string(&mut self, at: usize) -> End {
            let from = at + 1;
            let (mut at, mut is) = (from, Is::Text);
            loop {
                at = self.skip(at, |b| b >= 0x20 && b != b'"' && b != b'\\');
                match self.peek(at) {
                    b'"' => break,
                    b'\\' => {
                        is = Is::Escaped;
                        at = self.escape(at)?.get();
                    }
                    _ => return self.fail("a string with a control character in it, or without an end", at),
                }
            }
            self.push(is, from, at);
            NonZeroUsize::new(at + 1)
        }

        fn escape(&mut self, at: usize) -> End {
            match self.peek(at + 1) {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => NonZeroUsize::new(at + 2),
                b'u' if hex(self.text, at + 2).is_some() => NonZeroUsize::new(at + 6),
                _ => self.fail("not an escape", at),
            }
        }

        fn number(&mut self, from: usize) -> End {
            let mut at = from + usize::from(self.peek(from) == b'-');
            at = if self.peek(at) == b'0' { at + 1 } else { self.digits(at)?.get() };
            if self.peek(at) == b'.' {
                at = self.digits(at + 1)?.get();
            }
            if let b'e' | b'E' = self.peek(at) {
                let signed = matches!(self.peek(at + 1), b'+' | b'-');
                at = self.digits(at + 1 + usize::from(signed))?.get();
            }
            self.push(Is::Number, from, at);
            NonZeroUsize::new(at)
        }

        fn digits(&mut self, at: usize) -> End {
            match self.skip(at, |b| b.is_ascii_digit()) {
                end if end > at => NonZeroUsize::new(end),
                _ => self.fail("no digit", at),
            }
        }

        fn word(&mut self, at: usize, word: &str, is: Is) -> End {
            if !self.text[at..].starts_with(word.as_bytes()) {
                return self.fail("no value", at);
            }
            self.push(is, at, 0);
            NonZeroUsize::new(at + word.len())
        }

        #[inline(always)]
        fn push(&mut self, is: Is, from: usize, to: usize) {
            self.nodes.push(Node { is, from: from as u32, to: to as u32 });
        }
    }

    /// Four hexadecimal digits.
    fn hex(text: &[u8], at: usize) -> Option<u32> {
        let digits = text.get(at..at + 4)?;
        digits.iter().try_fold(0, |n, d| Some(n << 4 | char::from(*d).to_digit(16)?))
    }

    impl<'a> Document<'a> {
        pub fn root(&self) -> Value<'_> {
            Value { of: self, node: 0 }
        }
    }

    /// A value in a document.
    #[derive(Clone, Copy)]
    pub struct Value<'a> {
        of: &'a Document<'a>,
        node: usize,
    }

    impl<'a> Value<'a> {
        /// What an object has under a name; of those that are there more than once, the last. Anything else has nothing.
        pub fn get(self, name: &str) -> Option<Value<'a>> {
            let mut found = None;
            let mut at = self.node + 1;
            while self.is() == Is::Object && at < self.end() {
                let (it, value) = (Value { node: at, ..self }, Value { node: at + 1, ..self });
                let same = match it.is() {
                    Is::Text => it.of.text.as_bytes()[it.at()..it.it().to as usize] == *name.as_bytes(),
                    _ => unescaped(it.raw()) == name,
                };
                if same {
                    found = Some(value);
                }
                at = value.end();
            }
            found
        }

        /// `get` for what must be there.
        pub fn need(self, name: &str) -> Result<Value<'a>, Error> {
            self.get(name).ok_or_else(|| Error { what: format!("{} without {:?}", self.kind(), name), at: self.at() })
        }

        /// `get` for what need not be there, which null says as well.
        pub fn optional(self, name: &str) -> Option<Value<'a>> {
            self.get(name).filter(|value| !value.is_null())
        }

        pub fn is_null(self) -> bool {
            self.is() == Is::Null
        }

        pub fn text(self) -> Result<Cow<'a, str>, Error> {
            match self.is() {
                Is::Text => Ok(Cow::Borrowed(self.raw())),
                Is::Escaped => Ok(Cow::Owned(unescaped(self.raw()))),
                _ => self.wrong("text"),
            }
        }

        pub fn number(self) -> Result<f64, Error> {
            match self.is() {
                Is::Number => self.raw().parse().or_else(|_| self.wrong("a number")),
                _ => self.wrong("a number"),
            }
        }

        pub fn boolean(self) -> Result<bool, Error> {
            match self.is() {
                Is::True => Ok(true),
                Is::False => Ok(false),
                _ => self.wrong("true or false"),
            }
        }

        /// What is in a list.
        pub fn items(self) -> Result<Items<'a>, Error> {
            match self.is() {
                Is::List => Ok(Items { of: self.of, next: self.node + 1, end: self.end() }),
                _ => self.wrong("a list"),
            }
        }

        /// The names and values of an object.
        pub fn members(self) -> Result<Members<'a>, Error> {
            match self.is() {
                Is::Object => Ok(Members(Items { of: self.of, next: self.node + 1, end: self.end() })),
                _ => self.wrong("an object"),
            }
        }

        fn wrong<T>(self, expected: &str) -> Result<T, Error> {
            Err(Error { what: format!("{} where {} is expected", self.kind(), expected), at: self.at() })
        }

        fn kind(self) -> &'static str {
            match self.is() {
                Is::Null => "null",
                Is::True | Is::False => "a boolean",
                Is::Number => "a number",
                Is::Text | Is::Escaped => "text",
                Is::List => "a list",
                Is::Object => "an object",
            }
        }

        fn it(self) -> Node {
            self.of.nodes[self.node]
        }

        fn is(self) -> Is {
            self.it().is
        }

        fn at(self) -> usize {
            self.it().from as usize
        }

        fn raw(self) -> &'a str {
            &self.of.text[self.at()..self.it().to as usize]
        }

        /// The node behind the value and all that is in it.
        fn end(self) -> usize {
            match self.is() {
                Is::List | Is::Object => self.it().to as usize,
                _ => self.node + 1,
            }
        }
    }

    #[derive(Clone)]
    pub struct Items<'a> {
        of: &'a Document<'a>,
        next: usize,
        end: usize,
    }

    impl<'a> Iterator for Items<'a> {
        type Item = Value<'a>;

        fn next(&mut self) -> Option<Value<'a>> {
            if self.next >= self.end {
                return None;
            }
            let value = Value { of: self.of, node: self.next };
            self.next = value.end();
            Some(value)
        }
    }

    #[derive(Clone)]
    pub struct Members<'a>(Items<'a>);

    impl<'a> Iterator for Members<'a> {
        type Item = (Cow<'a, str>, Value<'a>);

        fn next(&mut self) -> Option<Self::Item> {
            let name = self.0.next()?.text().ok()?; // a name is always text
            Some((name, self.0.next()?))
        }
    }

    /// Undoes the escapes, which are known to be right. Half of a surrogate pair becomes U+FFFD.
    fn unescaped(raw: &str) -> String {
        let mut to = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some(i) = rest.find('\\') {
            to.push_str(&rest[..i]);
            let mut taken = 2;
            to.push(match rest.as_bytes()[i + 1] {
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                b'u' => {
                    let (c, length) = unit(rest.as_bytes(), i);
                    taken = length;
                    c
                }
                c => c as char,
            });
            rest = &rest[i + taken..];
        }
        to.push_str(rest);
        to
    }

    /// The character of an escape \uXXXX, or of two that are a pair, and how long that is.
    fn unit(text: &[u8], at: usize) -> (char, usize) {
        let first = hex(text, at + 2).unwrap_or(0xfffd);
        if let (0xd800..=0xdbff, Some(b"\\u")) = (first, text.get(at + 6..at + 8)) {
            if let Some(second @ 0xdc00..=0xdfff) = hex(text, at + 8) {
                let c = 0x10000 + ((first - 0xd800) << 10 | (second - 0xdc00));
                return (char::from_u32(c).unwrap_or('\u{fffd}'), 12);
            }
        }
        (char::from_u32(first).unwrap_or('\u{fffd}'), 6)
    }

    /// A text as JSON has it, in quotes.
    pub fn quote(text: &str) -> String {
        let mut to = String::with_capacity(text.len() + 2);
        put(&mut to, text);
        to
    }

    fn put(to: &mut String, text: &str) {
        to.push('"');
        for c in text.chars() {
            match c {
                '"' | '\\' => to.extend(['\\', c]),
                '\n' => to.push_str("\\n"),
                '\r' => to.push_str("\\r"),
                '\t' => to.push_str("\\t"),
                '\0'..='\x1f' => write!(to, "\\u{:04x}", c as u32).expect("memory does not refuse"),
                _ => to.push(c),
            }
        }
        to.push('"');
    }

    /// Writes an object, member by member.
    #[derive(Clone, Debug)]
    pub struct Writer(String);

    impl Writer {
        pub fn object() -> Writer {
            Writer("{".to_owned())
        }

        pub fn end(mut self) -> String {
            self.0.push('}');
            self.0
        }

        pub fn text(&mut self, name: &str, value: &str) -> &mut Writer {
            put(self.name(name), value);
            self
        }

        pub fn number(&mut self, name: &str, value: i64) -> &mut Writer {
            self.raw(name, &value.to_string())
        }

        pub fn boolean(&mut self, name: &str, value: bool) -> &mut Writer {
            self.raw(name, if value { "true" } else { "false" })
        }

        pub fn list(&mut self, name: &str, values: &[String]) -> &mut Writer {
            let to = self.name(name);
            to.push('[');
            for (i, value) in values.iter().enumerate() {
                to.push_str(if i > 0 { "," } else { "" });
                put(to, value);
            }
            to.push(']');
            self
        }

        /// What is JSON already.
        pub fn raw(&mut self, name: &str, json: &str) -> &mut Writer {
            self.name(name).push_str(json);
            self
        }

        /// An object of texts; those of one name are joined.
        pub fn texts(&mut self, name: &str, fields: &[(String, String)]) -> &mut Writer {
            let mut object = Writer::object();
            for (i, (name, _)) in fields.iter().enumerate() {
                if fields[..i].iter().any(|(n, _)| n == name) {
                    continue;
                }
                let values: Vec<&str> = fields.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect();
                object.text(name, &values.join(", "));
            }
            self.raw(name, &object.end())
        }

        fn name(&mut self, name: &str) -> &mut String {
            if self.0.len() > 1 {
                self.0.push(',');
            }
            put(&mut self.0, name);
            self.0.push(':');
            &mut self.0
        }
    }
}

/// What rosterd offers. Elsewhere, as in tests that run on one's own machine, it must not be called.
macro_rules! imports {
    ($(fn $name:ident($($arg:ident: $type:ty),*) $(-> $result:ty)?;)+) => {
        mod host {
            #[cfg(target_arch = "wasm32")]
            #[link(wasm_import_module = "rosterd_v1")]
            extern "C" {
                $(pub fn $name($($arg: $type),*) $(-> $result)?;)+
            }
            $(
                #[cfg(not(target_arch = "wasm32"))]
                pub unsafe fn $name($(_: $type),*) $(-> $result)? {
                    panic!("{} is there in rosterd only", stringify!($name))
                }
            )+
        }
    };
}

imports! {
    fn input_len() -> i32;
    fn input_read(to: *mut u8, off: u32, len: u32) -> i32;
    fn output_write(from: *const u8, len: u32) -> i32;
    fn fail(code: i32, retry_after: u32, text: *const u8, len: u32);
    fn error_text(to: *mut u8, cap: u32) -> i32;
    fn config_get(key: *const u8, key_len: u32, to: *mut u8, cap: u32) -> i32;
    fn http_request(head: *const u8, head_len: u32, body: *const u8, body_len: u32) -> i32;
    fn http_status(handle: i32) -> i32;
    fn http_header(handle: i32, name: *const u8, name_len: u32, to: *mut u8, cap: u32) -> i32;
    fn http_rev(handle: i32, to: *mut u8, cap: u32) -> i32;
    fn http_body_len(handle: i32) -> i32;
    fn http_body_read(handle: i32, to: *mut u8, off: u32, len: u32) -> i32;
    fn http_close(handle: i32) -> i32;
    fn kv_get(key: *const u8, key_len: u32, to: *mut u8, cap: u32) -> i32;
    fn kv_set(key: *const u8, key_len: u32, value: *const u8, len: u32, ttl: u32) -> i32;
    fn kv_delete(key: *const u8, key_len: u32) -> i32;
    fn log(level: i32, text: *const u8, len: u32);
    fn now_ms() -> i64;
    fn random(to: *mut u8, len: u32) -> i32;
}
