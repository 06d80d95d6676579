//! The allow-list: which URL may carry a token.
//!
//! Everything here works on URLs as the browser's parser serialised them (WHATWG URL), never on what an app wrote: by
//! then hosts are lower case and punycode, default ports are gone, `\` is `/`, dot segments are resolved.

use crate::engine::challenge::is_tchar;

/// Names an allow-list path for the length of a request.
pub type RuleId = u32;

/// One entry of the allow-list; or an origin that only has entries further down, which has no URL.
#[derive(Debug)]
struct Entry {
    /// An origin, or an origin and a path, without a slash at the end.
    prefix: String,
    /// As configured, for events.
    url: String,
    /// `None`: every method.
    methods: Option<Vec<String>>,
}

/// Why an entry was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Neither `https:` nor `http:`, or no host.
    NotHttp,
    /// `http:` to a host that is not loopback.
    Insecure,
    /// `user:password@`.
    Userinfo,
    /// A query or a fragment, which would never be looked at.
    QueryOrFragment,
    /// An encoded slash, which servers read in different ways.
    Ambiguous,
    /// The same URL and method twice.
    Duplicate,
    /// A method list that is empty or holds something that is not a method.
    Method,
}

impl Refused {
    /// The rule that was broken, to follow the key's name in a message.
    pub fn rule(self) -> &'static str {
        match self {
            Self::NotHttp => "must be an absolute https: URL",
            Self::Insecure => "must be https: (http: is for loopback hosts, or with dangerouslyAllowHttp)",
            Self::Userinfo => "must not contain a user name or password",
            Self::QueryOrFragment => "must not have a query or fragment",
            Self::Ambiguous => "must not contain an encoded slash",
            Self::Duplicate => "must not repeat the URL and method of another entry",
            Self::Method => "must be a list of at least one HTTP method",
        }
    }
}

/// The allow-list. Looking a URL up costs the same however long it is.
#[derive(Debug, Default)]
pub struct Resources {
    entries: Vec<Entry>,
    /// Hash of each entry's prefix and its place in `entries`, sorted.
    index: Vec<(u32, RuleId)>,
    /// Segments of the longest path.
    depth: usize,
}

impl Resources {
    /// Adds an entry. `href` is the URL as the browser serialised it.
    ///
    /// # Errors
    /// Says which rule the entry breaks; the list is as it was.
    pub fn add(&mut self, href: &str, methods: Option<&[String]>, allow_http: bool) -> Result<(), Refused> {
        let parts = check_url(href, allow_http)?;
        if parts.rest != parts.path {
            return Err(Refused::QueryOrFragment);
        }
        if has_encoded_slash(parts.path) {
            return Err(Refused::Ambiguous);
        }
        if !methods.is_none_or(is_method_list) {
            return Err(Refused::Method);
        }
        let prefix = href.strip_suffix('/').unwrap_or(href);
        let is_taken = |entry: &Entry| match methods {
            None => !entry.url.is_empty(),
            Some(list) => list.iter().any(|method| entry.permits(method)),
        };
        if self.first(hash(prefix), |entry| entry.prefix == prefix && is_taken(entry)).is_some() {
            return Err(Refused::Duplicate);
        }
        if prefix != parts.origin && self.find(hash(parts.origin), parts.origin).is_none() {
            self.push(Entry { prefix: parts.origin.into(), url: String::new(), methods: Some(Vec::new()) });
        }
        self.push(Entry { prefix: prefix.into(), url: href.into(), methods: methods.map(Into::into) });
        self.depth = self.depth.max(prefix.bytes().filter(|byte| *byte == b'/').count().saturating_sub(2));
        Ok(())
    }

    fn push(&mut self, entry: Entry) {
        let hash = hash(&entry.prefix);
        self.index.insert(self.start_of(hash), (hash, self.entries.len() as RuleId));
        self.entries.push(entry);
    }

    /// The rule of the longest path that covers this URL. `href` is the URL as the browser serialised it.
    pub fn find_rule(&self, href: &str) -> Option<RuleId> {
        let parts = split(href)?;
        let mut state = hash(parts.origin);
        let mut found = self.find(state, parts.origin)?;
        let mut depth = 0;
        // Byte by byte, so that one pass hashes every prefix of the path.
        let mut bytes = parts.path.bytes().enumerate();
        while depth < self.depth {
            let next = bytes.next();
            let (at, byte) = next.unwrap_or((parts.path.len(), b'/'));
            if byte == b'/' && at > 0 {
                let prefix = href.get(..parts.origin.len().wrapping_add(at))?;
                found = self.find(state, prefix).unwrap_or(found);
                depth += 1;
            }
            if next.is_none() {
                break;
            }
            state = hash_byte(state, byte);
        }
        let is_listed = self.entry(found).is_some_and(|entry| !entry.url.is_empty());
        (is_listed && !is_ambiguous(parts.path)).then_some(found)
    }

    /// The URL of the entry under which a request of this method may carry a token, as configured.
    pub fn url(&self, id: RuleId, method: &str) -> Option<&str> {
        let prefix = &self.entry(id)?.prefix;
        self.first(hash(prefix), |entry| entry.prefix == *prefix && entry.permits(method))
            .and_then(|id| self.entry(id))
            .map(|entry| entry.url.as_str())
    }

    fn entry(&self, id: RuleId) -> Option<&Entry> {
        self.entries.get(id as usize)
    }

    fn find(&self, hash: u32, prefix: &str) -> Option<RuleId> {
        self.first(hash, |entry| entry.prefix == prefix)
    }

    /// The first entry of this hash that is wanted.
    fn first(&self, hash: u32, is_wanted: impl Fn(&Entry) -> bool) -> Option<RuleId> {
        let mut at = self.start_of(hash);
        loop {
            let (known, id) = *self.index.get(at)?;
            if known != hash {
                return None;
            }
            if self.entry(id).is_some_and(&is_wanted) {
                return Some(id);
            }
            at += 1;
        }
    }

    /// Where the entries of this hash stand in the index.
    fn start_of(&self, hash: u32) -> usize {
        self.index.partition_point(|(known, _)| *known < hash)
    }
}

impl Entry {
    fn permits(&self, method: &str) -> bool {
        match &self.methods {
            None => true,
            Some(list) => list.iter().any(|listed| same_method(listed, method)),
        }
    }
}

/// Checks the URL of an endpoint that gets secrets by the rules for resources; a query is allowed (RFC 6749 section 3.2).
///
/// # Errors
/// Says which rule it breaks.
pub fn check_endpoint(href: &str, allow_http: bool) -> Result<(), Refused> {
    let parts = check_url(href, allow_http)?;
    if parts.rest.bytes().any(|byte| byte == b'#') {
        return Err(Refused::QueryOrFragment);
    }
    Ok(())
}

fn check_url(href: &str, allow_http: bool) -> Result<Parts<'_>, Refused> {
    let parts = split(href).ok_or(Refused::NotHttp)?;
    if parts.origin.bytes().any(|byte| byte == b'@') {
        return Err(Refused::Userinfo);
    }
    match (parts.origin.strip_prefix("https://"), parts.origin.strip_prefix("http://")) {
        (Some(host), _) if !host.is_empty() => Ok(parts),
        (_, Some(host)) if allow_http || is_loopback(host) => Ok(parts),
        (_, Some(_)) => Err(Refused::Insecure),
        _ => Err(Refused::NotHttp),
    }
}

/// Scheme, host and port of a URL as the browser serialised it; `None` if it has no host.
pub fn origin(href: &str) -> Option<&str> {
    split(href).map(|parts| parts.origin)
}

struct Parts<'a> {
    /// With userinfo, if there is any.
    origin: &'a str,
    /// From the slash after the origin to the end of the path.
    path: &'a str,
    /// From the slash after the origin to the end of the URL.
    rest: &'a str,
}

/// Takes a serialised URL apart at its third slash. What has no host gets an origin that is not on any list.
fn split(href: &str) -> Option<Parts<'_>> {
    let mut slashes = 0;
    let origin_end = href.bytes().position(|byte| {
        slashes += u32::from(byte == b'/');
        slashes == 3
    })?;
    let rest = href.get(origin_end..)?;
    let path_end = rest.bytes().position(|byte| matches!(byte, b'?' | b'#'));
    Some(Parts { origin: href.get(..origin_end)?, path: rest.get(..path_end.unwrap_or(rest.len()))?, rest })
}

/// Hosts that never leave the machine (RFC 6761 section 6.3, and how browsers judge trustworthiness).
fn is_loopback(authority: &str) -> bool {
    let port = authority.bytes().rev().take_while(u8::is_ascii_digit).count();
    let host = match authority.len().checked_sub(port).and_then(|end| authority.get(..end)) {
        // Without a colon, those digits were no port.
        Some(host) => host.strip_suffix(':').unwrap_or(authority),
        None => authority,
    };
    host == "[::1]"
        || host == "localhost"
        || host.ends_with(".localhost")
        // The parser leaves a host that ends in a number only if it is an IPv4 address in four parts.
        || host.starts_with("127.") && host.bytes().all(|byte| byte == b'.' || byte.is_ascii_digit())
}

/// Whether a server that decodes `%2F` or `%5C`, or cuts off matrix parameters, before it looks at dot segments would
/// see another path.
fn is_ambiguous(path: &str) -> bool {
    // Byte by byte: string searching would bring 2 kB of searchers along.
    let mut encoded_slash = false;
    let mut dot_segment = false;
    let mut segment = Segment::Empty;
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        let byte = if byte == b'%' { decoded(&mut bytes) } else { byte };
        encoded_slash |= byte == ENCODED_SLASH;
        segment = match (segment, byte) {
            // Servers that cut off matrix parameters see the dots, encoded slash or not.
            (Segment::Dots, b';') => return true,
            (Segment::Dots, b'/' | ENCODED_SLASH) => {
                dot_segment = true;
                Segment::Empty
            }
            (_, b'/' | ENCODED_SLASH) => Segment::Empty,
            (Segment::Empty | Segment::Dots, b'.') => Segment::Dots,
            _ => Segment::Name,
        };
    }
    encoded_slash && (dot_segment || segment == Segment::Dots)
}

#[derive(Clone, Copy, PartialEq)]
enum Segment {
    Empty,
    /// `.`, `..`, and for good measure `...`
    Dots,
    Name,
}

/// Stands for `%2F` and `%5C`; no serialised URL holds this byte.
const ENCODED_SLASH: u8 = 0;

fn has_encoded_slash(path: &str) -> bool {
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' && decoded(&mut bytes) == ENCODED_SLASH {
            return true;
        }
    }
    false
}

/// What a `%` stands for, as far as it matters; it does not consume what it does not know.
fn decoded(bytes: &mut core::str::Bytes<'_>) -> u8 {
    let mut ahead = bytes.clone();
    let byte = match (ahead.next(), ahead.next().map(|byte| byte.to_ascii_lowercase())) {
        (Some(b'2'), Some(b'f')) | (Some(b'5'), Some(b'c')) => ENCODED_SLASH,
        (Some(b'2'), Some(b'e')) => b'.',
        (Some(b'3'), Some(b'b')) => b';',
        _ => return b'%',
    };
    *bytes = ahead;
    byte
}

fn is_method_list(list: &[String]) -> bool {
    let is_method = |method: &String| !method.is_empty() && method.bytes().all(is_tchar);
    !list.is_empty() && list.iter().all(is_method)
}

/// `fetch` upper-cases these six and leaves the case of every other method alone (Fetch standard, "normalize a method").
fn same_method(listed: &str, method: &str) -> bool {
    const NORMALISED: [&str; 6] = ["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"];
    listed == method
        || listed.eq_ignore_ascii_case(method) && NORMALISED.iter().any(|known| known.eq_ignore_ascii_case(method))
}

/// FNV-1a.
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811C_9DC5, hash_byte)
}

fn hash_byte(state: u32, byte: u8) -> u32 {
    (state ^ u32::from(byte)).wrapping_mul(0x0100_0193)
}
