//! The allow-list: which URL may carry a token.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use common::cases;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use tokenward::engine::resource::{Refused, Resources, RuleId, check_endpoint};

fn add(resources: &mut Resources, url: &str, methods: &[&str]) -> Result<(), Refused> {
    let methods: Vec<String> = methods.iter().map(|method| (*method).into()).collect();
    resources.add(url, if methods.is_empty() { None } else { Some(&methods) }, false)
}

fn list(urls: &[&str]) -> Resources {
    let mut resources = Resources::default();
    for url in urls {
        assert_eq!(add(&mut resources, url, &[]), Ok(()), "{url}");
    }
    resources
}

fn permits(resources: &Resources, rule: RuleId, method: &str) -> bool {
    resources.url(rule, method).is_some()
}

/// The entry that covers a URL.
fn entry<'a>(resources: &'a Resources, url: &str) -> Option<&'a str> {
    resources.find_rule(url).map(|rule| resources.url(rule, "GET").expect("an entry for every method"))
}

#[test]
fn an_empty_list_covers_nothing() {
    assert_eq!(Resources::default().find_rule("https://api.test/"), None);
}

#[test]
fn only_the_very_origin_is_covered() {
    let resources = list(&["https://api.example.com/"]);
    for covered in [
        "https://api.example.com/",
        "https://api.example.com/a/b?c#d",
        "https://api.example.com/?https://elsewhere.test/",
        "https://api.example.com//elsewhere.test/",
        "https://api.example.com/@elsewhere.test/",
    ] {
        assert!(entry(&resources, covered).is_some(), "{covered}");
    }
    for other in [
        "http://api.example.com/",
        "https://api.example.com:8443/",
        "https://api.example.com:80/",
        "https://api.example.com.evil.test/",
        "https://api.example.community/",
        "https://api.example.co/",
        "https://xapi.example.com/",
        "https://x.api.example.com/",
        "https://example.com/",
        "https://api.example.com./",
        "https://user@api.example.com/",
        "https://user:password@api.example.com/",
        "https://api.example.com@evil.test/",
        "https://api.example.com:443@evil.test/",
        "https://evil.test/https://api.example.com/",
        "https://evil.test/?https://api.example.com/",
        "https://evil.test/#https://api.example.com/",
        "wss://api.example.com/",
        "ftp://api.example.com/",
        "blob:https://api.example.com/0f8a",
        "data:,https://api.example.com/",
        "about:blank",
        "https:api.example.com/",
        "https:/api.example.com/",
        "https://api.example.com",
        "https://",
        "https:///",
        "",
    ] {
        assert_eq!(entry(&resources, other), None, "{other}");
    }
}

#[test]
fn ports_and_schemes_are_part_of_the_origin() {
    let resources = list(&["https://a.test:8443/", "http://localhost:3000/", "http://[::1]:3000/"]);
    for covered in ["https://a.test:8443/x", "http://localhost:3000/", "http://[::1]:3000/x"] {
        assert!(entry(&resources, covered).is_some(), "{covered}");
    }
    for other in ["https://a.test/", "https://a.test:844/", "http://a.test:8443/", "http://localhost/", "http://[::1]/"]
    {
        assert_eq!(entry(&resources, other), None, "{other}");
    }
}

#[test]
fn whole_path_segments_are_covered_and_the_longest_wins() {
    let (v1, orders, deep) = ("https://a.test/v1", "https://a.test/v1/orders/", "https://a.test/v2/x/y/z");
    let resources = list(&[v1, orders, deep]);
    let rows = [
        ("https://a.test/v1", Some(v1)),
        ("https://a.test/v1/", Some(v1)),
        ("https://a.test/v1//", Some(v1)),
        ("https://a.test/v1?q=/orders", Some(v1)),
        ("https://a.test/v1#/orders", Some(v1)),
        ("https://a.test/v1/other", Some(v1)),
        ("https://a.test/v1/ordersx", Some(v1)),
        ("https://a.test/v1/orders", Some(orders)),
        ("https://a.test/v1/orders?x", Some(orders)),
        ("https://a.test/v1/orders/7/items/9/and/much/more", Some(orders)),
        ("https://a.test/v2/x/y/z", Some(deep)),
        ("https://a.test/v2/x/y/z/", Some(deep)),
        ("https://a.test/v2/x/y", None),
        ("https://a.test/v2/x/y/zz", None),
        ("https://a.test/v10", None),
        ("https://a.test/v", None),
        ("https://a.test/V1", None),
        ("https://a.test/", None),
        ("https://a.test//v1", None),
        ("https://a.test/x/v1", None),
        ("https://a.test/?/v1", None),
        ("https://a.test/v1;x=1", None),
        ("https://a.test/v%31", None),
    ];
    for (url, expected) in rows {
        assert_eq!(entry(&resources, url), expected, "{url}");
    }
}

#[test]
fn the_order_of_entries_does_not_matter() {
    let urls = ["https://a.test/", "https://a.test/v1/", "https://a.test/v1/orders", "https://b.test/v1"];
    let mut backwards = urls;
    backwards.reverse();
    let (one, other) = (list(&urls), list(&backwards));
    for url in
        ["https://a.test/x", "https://a.test/v1", "https://a.test/v1/orders/1", "https://b.test/", "https://b.test/v1/"]
    {
        assert_eq!(entry(&one, url), entry(&other, url), "{url}");
    }
    assert_eq!(entry(&one, "https://a.test/v1/orders/1"), Some(urls[2]));
}

#[test]
fn encoded_slashes_do_not_lead_out_of_a_path() {
    let resources = list(&["https://a.test/v1/"]);
    for way_out in [
        "https://a.test/v1/..%2fadmin",
        "https://a.test/v1/..%2Fadmin",
        "https://a.test/v1/..%5cadmin",
        "https://a.test/v1/..%5Cadmin",
        "https://a.test/v1/%2e%2e%2fadmin",
        "https://a.test/v1/%2E.%2Fadmin",
        "https://a.test/v1/x%2f..%2f..%2fadmin",
        "https://a.test/v1/x%2f..",
        "https://a.test/v1/x%2f%2e%2e",
        "https://a.test/v1/x%2f.",
        "https://a.test/v1/..;a=b%2fadmin",
        "https://a.test/v1/..;%2fadmin",
        "https://a.test/v1/..;/x%2f",
        "https://a.test/v1/.%2f..%2f..%2f",
    ] {
        assert_eq!(entry(&resources, way_out), None, "{way_out}");
    }
    for harmless in [
        "https://a.test/v1/a%2fb",
        "https://a.test/v1/group%2Fproject/issues",
        "https://a.test/v1/a..%2f..b",
        "https://a.test/v1/..a%2fb",
        "https://a.test/v1/file.txt",
        "https://a.test/v1/...",
        "https://a.test/v1/%2e",
        "https://a.test/v1/100%",
        "https://a.test/v1/%2",
        "https://a.test/v1/%zz/..",
        "https://a.test/v1/%252f..%252f",
        "https://a.test/v1/x?next=..%2fadmin",
        "https://a.test/v1/x#..%2fadmin",
    ] {
        assert!(entry(&resources, harmless).is_some(), "{harmless}");
    }
}

#[test]
fn methods_are_compared_as_fetch_does() {
    let mut resources = Resources::default();
    add(&mut resources, "https://a.test/", &["get", "POST", "Purge", "patch"]).expect("methods");
    let rule = resources.find_rule("https://a.test/").expect("listed");
    for method in ["GET", "get", "Get", "POST", "post", "Purge", "patch"] {
        assert!(permits(&resources, rule, method), "{method}");
        assert_eq!(resources.url(rule, method), Some("https://a.test/"), "{method}");
    }
    for method in ["PUT", "HEAD", "OPTIONS", "purge", "PURGE", "PATCH", "GETS", "GE", "", " GET"] {
        assert!(!permits(&resources, rule, method), "{method}");
        assert_eq!(resources.url(rule, method), None, "{method}");
    }
    for method in ["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"] {
        let mut resources = Resources::default();
        add(&mut resources, "https://a.test/", &[&method.to_lowercase()]).expect("a method");
        assert!(permits(&resources, 0, method), "{method}");
    }
}

#[test]
fn a_list_without_methods_means_every_method() {
    let resources = list(&["https://a.test/"]);
    for method in ["GET", "OPTIONS", "patch", "QUERY"] {
        assert!(permits(&resources, 0, method), "{method}");
    }
    assert!(!permits(&resources, 1, "GET"), "no such rule");
    assert_eq!(resources.url(1, "GET"), None);
}

#[test]
fn entries_of_one_path_share_it_by_method() {
    let mut resources = Resources::default();
    assert_eq!(add(&mut resources, "https://a.test/v1", &["GET", "HEAD"]), Ok(()));
    assert_eq!(add(&mut resources, "https://a.test/v1/", &["POST"]), Ok(()));
    let rule = resources.find_rule("https://a.test/v1/x").expect("listed");
    assert_eq!(resources.url(rule, "HEAD"), Some("https://a.test/v1"));
    assert_eq!(resources.url(rule, "POST"), Some("https://a.test/v1/"));
    assert!(!permits(&resources, rule, "PUT"));
    for (url, methods) in
        [("https://a.test/v1", &[][..]), ("https://a.test/v1/", &["PUT", "get"]), ("https://a.test/v1/", &["POST"])]
    {
        assert_eq!(add(&mut resources, url, methods), Err(Refused::Duplicate), "{url} {methods:?}");
    }
    assert!(!permits(&resources, rule, "PUT"), "what was refused left nothing behind");
    assert_eq!(add(&mut resources, "https://a.test/v1", &["PUT"]), Ok(()));
}

#[test]
fn the_longest_path_decides_even_if_its_methods_do_not_fit() {
    let mut resources = list(&["https://a.test/"]);
    add(&mut resources, "https://a.test/v1", &["GET"]).expect("methods");
    let rule = resources.find_rule("https://a.test/v1/x").expect("listed");
    assert!(!permits(&resources, rule, "POST"));
}

#[test]
fn entries_that_break_a_rule_are_refused() {
    let rows = [
        ("ftp://a.test/", Refused::NotHttp),
        ("wss://a.test/", Refused::NotHttp),
        ("data:,x", Refused::NotHttp),
        ("https:a.test", Refused::NotHttp),
        ("https:///x", Refused::NotHttp),
        ("https://a.test", Refused::NotHttp),
        ("a.test/v1", Refused::NotHttp),
        ("/v1", Refused::NotHttp),
        ("", Refused::NotHttp),
        ("http://a.test/", Refused::Insecure),
        ("http://localhost.evil.test/", Refused::Insecure),
        ("http://notlocalhost/", Refused::Insecure),
        ("http://127.evil.test/", Refused::Insecure),
        ("http://127.0.0.1.evil.test/", Refused::Insecure),
        ("http://128.0.0.1/", Refused::Insecure),
        ("http://[::2]/", Refused::Insecure),
        ("http://[::1:1]/", Refused::Insecure),
        ("https://user@a.test/", Refused::Userinfo),
        ("https://user:password@a.test/", Refused::Userinfo),
        ("http://localhost@evil.test/", Refused::Userinfo),
        ("https://a.test/?q", Refused::QueryOrFragment),
        ("https://a.test/?", Refused::QueryOrFragment),
        ("https://a.test/#f", Refused::QueryOrFragment),
        ("https://a.test/a%2fb", Refused::Ambiguous),
        ("https://a.test/a%2Fb", Refused::Ambiguous),
        ("https://a.test/a%5cb", Refused::Ambiguous),
    ];
    for (url, refused) in rows {
        let mut resources = Resources::default();
        assert_eq!(add(&mut resources, url, &[]), Err(refused), "{url}");
        assert_eq!(resources.find_rule(url), None, "{url}");
    }
    for methods in [&[""][..], &["GET", ""], &["GET POST"], &["GET,POST"], &["GÉT"], &["GET\r\n"]] {
        assert_eq!(add(&mut Resources::default(), "https://a.test/", methods), Err(Refused::Method), "{methods:?}");
    }
    assert_eq!(Resources::default().add("https://a.test/", Some(&[]), false), Err(Refused::Method));
}

#[test]
fn http_is_for_loopback_or_on_demand() {
    for url in [
        "http://localhost/",
        "http://localhost:8080/api",
        "http://app.localhost/",
        "http://127.0.0.1:3000/",
        "http://127.1.2.3/",
        "http://[::1]/",
        "http://[::1]:3000/",
    ] {
        assert_eq!(entry(&list(&[url]), url), Some(url));
    }
    let mut resources = Resources::default();
    assert_eq!(resources.add("http://a.test/", None, true), Ok(()));
    assert!(resources.find_rule("http://a.test/x").is_some());
    assert_eq!(resources.find_rule("https://a.test/x"), None);
    assert_eq!(resources.add("ftp://a.test/", None, true), Err(Refused::NotHttp));
}

#[test]
fn endpoints_keep_the_same_rules_but_may_have_a_query() {
    let rows = [
        ("https://id.test/token", Ok(())),
        ("https://id.test/token?tenant=a%2Fb", Ok(())),
        ("http://localhost:9000/token", Ok(())),
        ("http://id.test/token", Err(Refused::Insecure)),
        ("https://user@id.test/token", Err(Refused::Userinfo)),
        ("https://id.test/token#x", Err(Refused::QueryOrFragment)),
        ("https://id.test/token?x#y", Err(Refused::QueryOrFragment)),
        ("ftp://id.test/", Err(Refused::NotHttp)),
        ("token", Err(Refused::NotHttp)),
    ];
    for (url, expected) in rows {
        assert_eq!(check_endpoint(url, false), expected, "{url}");
    }
    assert_eq!(check_endpoint("http://id.test/token", true), Ok(()));
}

#[test]
fn each_rule_says_something_else() {
    use Refused::{Ambiguous, Duplicate, Insecure, Method, NotHttp, QueryOrFragment, Userinfo};
    let all = [NotHttp, Insecure, Userinfo, QueryOrFragment, Ambiguous, Duplicate, Method];
    let mut rules: Vec<_> = all.iter().map(|refused| refused.rule()).collect();
    assert!(rules.iter().all(|rule| rule.starts_with("must ")), "{rules:?}");
    rules.sort_unstable();
    rules.dedup();
    assert_eq!(rules.len(), all.len());
}

#[test]
fn each_of_ten_thousand_entries_is_found() {
    let mut urls = Vec::new();
    for host in 0..100 {
        for path in 0..100 {
            urls.push(format!("https://host{host}.test/v{}/path{path}", path % 7));
        }
    }
    let resources = list(&urls.iter().map(String::as_str).collect::<Vec<_>>());
    for url in &urls {
        assert_eq!(entry(&resources, url), Some(url.as_str()));
        assert_eq!(entry(&resources, &format!("{url}/below?x")), Some(url.as_str()));
        assert_eq!(entry(&resources, &format!("{url}x")), urls.contains(&format!("{url}x")).then_some(url.as_str()));
    }
    for other in ["https://host100.test/v0/path0", "https://host0.test/", "https://host0.test/v0", "https://host.test/"]
    {
        assert_eq!(entry(&resources, other), None, "{other}");
    }
}

/// Pairs with the same FNV-1a hash, which anyone can find for a given list.
#[test]
fn an_equal_hash_is_not_an_equal_url() {
    let (one, other) = ("https://api.test/vlcocwa", "https://api.test/llocamo");
    assert_eq!(entry(&list(&[one]), other), None);
    for urls in [[one, other], [other, one]] {
        let resources = list(&urls);
        assert_eq!(entry(&resources, one), Some(one));
        assert_eq!(entry(&resources, other), Some(other));
    }
    assert_eq!(entry(&list(&["https://api.test/"]), "https://bl5yoid.evil.test/"), None);
}

/// What the allow-list should say, written down as simply as can be.
fn naive<'a>(entries: &[&'a str], url: &str) -> Option<&'a str> {
    let url = Split::new(url)?;
    let covers = |entry: &Split| {
        entry.origin == url.origin && url.segments.get(..entry.segments.len()) == Some(&entry.segments[..])
    };
    let decoded = url.segments.join("/").to_lowercase();
    let decoded = decoded.replace("%2f", "\0").replace("%5c", "\0").replace("%2e", ".");
    let decoded = decoded.replace("%3b", ";");
    let is_dots = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte == b'.');
    let has_dots = |segment: &str| segment.split_once(';').is_some_and(|(name, _)| is_dots(name));
    let mut segments = decoded.split(['/', '\0']);
    if segments.clone().any(has_dots) || decoded.contains('\0') && segments.any(is_dots) {
        return None;
    }
    let matching = entries.iter().filter_map(|entry| {
        let mut split = Split::new(entry)?;
        if split.segments.last() == Some(&"") {
            split.segments.pop();
        }
        covers(&split).then_some((split.segments.len(), *entry))
    });
    matching.max_by_key(|(length, _)| *length).map(|(_, entry)| entry)
}

struct Split<'a> {
    origin: &'a str,
    segments: Vec<&'a str>,
}

impl<'a> Split<'a> {
    fn new(url: &'a str) -> Option<Self> {
        let origin = url.split('/').take(3).map(str::len).sum::<usize>() + 2;
        let path = url.get(origin..)?.split(['?', '#']).next()?.strip_prefix('/')?;
        Some(Self { origin: &url[..origin], segments: path.split('/').collect() })
    }
}

const ORIGINS: [&str; 6] = [
    "https://a.test",
    "https://a.test:8443",
    "https://a.test.evil.test",
    "https://b.a.test",
    "http://localhost",
    "https://a.tes",
];

const ENTRIES: [&str; 12] = [
    "https://a.test/",
    "https://a.test/v1",
    "https://a.test/v1/a/",
    "https://a.test/v1/a/b/c",
    "https://a.test/v10/",
    "https://a.test//v1",
    "https://a.test/v1//a",
    "https://a.test:8443/v1/",
    "https://b.a.test/v1/..%2e",
    "https://b.a.test/v1",
    "http://localhost/a",
    "https://a.test.evil.test/v1",
];

fn urls() -> impl Strategy<Value = String> {
    let segment = select(vec![
        "v1", "v10", "a", "b", "c", "", "V1", "..", ".", "%2e", "..%2f", "%2F", "%5c..", "a%2fb", "..;x", "%2e.%3bx",
        ";", "%", "...", "\u{fc}",
    ]);
    let path = prop::collection::vec(segment, 0..6).prop_map(|segments| segments.join("/"));
    let end = select(vec!["", "?", "?q=/v1/", "#", "#/../", "?a#b", "/"]);
    (select(ORIGINS.to_vec()), path, end).prop_map(|(origin, path, end)| format!("{origin}/{path}{end}"))
}

proptest! {
    #![proptest_config(cases(4_000))]

    #[test]
    fn the_list_agrees_with_the_naive_one(
        entries in subsequence(ENTRIES.to_vec(), 0..=ENTRIES.len()).prop_shuffle(),
        urls in prop::collection::vec(urls(), 16),
    ) {
        let resources = list(&entries);
        for url in &urls {
            prop_assert_eq!(entry(&resources, url), naive(&entries, url), "{} in {:?}", url, entries);
        }
    }

    #[test]
    fn whatever_is_asked_is_answered(url: String, entry: String, method: String, allow_http: bool) {
        let mut resources = list(&["https://a.test/v1"]);
        let added = resources.add(&entry, Some(std::slice::from_ref(&method)), allow_http);
        prop_assert_eq!(added.is_ok(), resources.find_rule(&entry).is_some_and(|rule| permits(&resources, rule, &method)));
        let _ = resources.find_rule(&url);
        prop_assert!(resources.find_rule("https://a.test/v1/x").is_some());
    }

    #[test]
    fn no_other_host_is_covered(host in "[a-z0-9.@:\\[\\]-]{0,20}", path in "[a-z/%.;@:]{0,12}") {
        let url = format!("https://{host}/{path}");
        prop_assume!(host != "a.test");
        prop_assert_eq!(list(&["https://a.test/"]).find_rule(&url), None);
    }
}
