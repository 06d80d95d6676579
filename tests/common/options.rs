//! The options of a ward, as `options.js` leaves them.

use tokenward::engine::config::{Broken, KEYS, Setup, read};
use tokenward::engine::oauth::object::Object;
use tokenward::engine::oauth::response::Member;

use super::text;

#[derive(Clone, Debug, Default)]
pub struct Options {
    pub client_id: Option<String>,
    pub issuer: Option<String>,
    /// In the order of `KEYS`.
    pub urls: [Option<String>; KEYS.len()],
    pub page: Option<String>,
    pub restores_silently: bool,
    pub resources: Vec<Resource>,
    pub has_refresh_callback: bool,
    pub wait_s: Option<f64>,
    pub request_timeout_s: Option<f64>,
    pub max_outage_s: Option<f64>,
    pub allow_http: bool,
    pub borrows: bool,
    pub dpop: bool,
    pub exposes: bool,
}

/// An entry of the allow-list.
#[derive(Clone, Debug, Default)]
pub struct Resource {
    pub name: String,
    pub url: String,
    pub methods: Option<Vec<String>>,
}

impl Options {
    pub fn read(self) -> Result<Setup, Broken> {
        read(&self, &self.resources)
    }
}

impl Object for Options {
    fn get(&self, name: &str) -> Member {
        let maybe = |value: &Option<String>| value.as_deref().map_or(Member::Absent, text);
        let number = |value: Option<f64>| value.map_or(Member::Absent, Member::Number);
        let flag = |value| if value { Member::True } else { Member::Other };
        match name {
            "clientId" => maybe(&self.client_id),
            "issuer" => maybe(&self.issuer),
            "urls" => Member::List(self.urls.iter().map(|url| url.clone().unwrap_or_default()).collect()),
            "page" => maybe(&self.page),
            "silent" => flag(self.restores_silently),
            "calls" => flag(self.has_refresh_callback),
            "waitSeconds" => number(self.wait_s),
            "requestTimeoutSeconds" => number(self.request_timeout_s),
            "maxOutageSeconds" => number(self.max_outage_s),
            "dangerouslyAllowHttp" => flag(self.allow_http),
            "borrows" => flag(self.borrows),
            "dpop" => flag(self.dpop),
            "dangerouslyExposeAccessToken" => flag(self.exposes),
            other => panic!("{other} is no option"),
        }
    }
}

impl Object for Resource {
    fn get(&self, name: &str) -> Member {
        match name {
            "name" => text(&self.name),
            "url" => text(&self.url),
            "methods" => self.methods.clone().map_or(Member::Absent, Member::List),
            other => panic!("{other} is no member of an entry"),
        }
    }
}
