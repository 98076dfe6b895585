//! Trains the dictionaries of `store::payload`, from simulated traffic and headers alone: no real delivery is in them.

use crate::simulate::patch::TimeMapping;
use crate::simulate::sample::{SampleBody, SampleTemplate};
use crate::simulate::traffic::{Traffic, TrafficClock};
use crate::store::VendorDictionary;
use crate::vendor::verify::{RawDelivery, UnverifiedDelivery, Verifier};
use crate::vendor::{self, Vendor};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use chrono::{DateTime, TimeDelta, Utc};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// Vendors whose dictionaries are trained again, separated by commas; `all` for all of them.
const UPDATE: &str = "UPDATE_DICTIONARIES";
/// The size of a dictionary. Larger ones save less than 2 % more.
const DICTIONARY_BYTES: usize = 16 << 10;
/// Deliveries that a dictionary is trained from.
const TRAINING_DELIVERIES: usize = 4000;
/// Deliveries that are compressed to see whether a dictionary fits.
const COMPARED: usize = 500;
/// How often each sample is among them, too.
const SAMPLE_COPIES: usize = 4;
/// Deliveries in a row with the same dates.
const DELIVERIES_PER_PERIOD: usize = 50;

/// Headers that a client sends.
const CLIENTS: &[&[(&str, &str)]] = &[
    &[("accept", "*/*"), ("host", "hub.example.com")],
    &[("accept", "*/*"), ("accept-encoding", "gzip, deflate"), ("user-agent", "python-requests/2.32.3")],
    &[("accept-encoding", "gzip"), ("user-agent", "Go-http-client/1.1"), ("host", "hooks.example.com")],
    &[("accept-encoding", "gzip"), ("user-agent", "Go-http-client/2.0")],
    &[
        ("accept", "application/json, text/plain, */*"),
        ("accept-encoding", "gzip, compress, deflate, br"),
        ("user-agent", "axios/1.7.9"),
        ("connection", "keep-alive"),
    ],
    &[
        ("accept", "*/*"),
        ("accept-encoding", "gzip, deflate, br"),
        ("user-agent", "node-fetch/1.0"),
        ("connection", "close"),
    ],
    &[("accept", "*/*"), ("accept-encoding", "gzip;q=1.0,deflate;q=0.6,identity;q=0.3"), ("user-agent", "Ruby")],
    &[
        ("accept", "*/*"),
        ("accept-encoding", "gzip;q=1.0,deflate;q=0.6,identity;q=0.3"),
        ("user-agent", "Faraday v2.12.0"),
    ],
    &[("accept", "application/json"), ("user-agent", "GuzzleHttp/7"), ("connection", "close")],
    &[("accept-encoding", "gzip"), ("user-agent", "okhttp/4.12.0"), ("connection", "Keep-Alive")],
    &[("accept-encoding", "gzip,deflate"), ("user-agent", "Apache-HttpClient/4.5.14 (Java/17.0.@@)")],
];

/// Headers that a proxy on the way adds. `#` is any hexadecimal digit, `@` any decimal one.
const PROXIES: &[&[(&str, &str)]] = &[
    &[],
    &[("x-forwarded-for", "@@.@@@.@@.@@@"), ("x-forwarded-proto", "https"), ("x-real-ip", "@@.@@@.@@.@@@")],
    &[
        ("x-amzn-trace-id", "Root=1-########-########################"),
        ("x-forwarded-for", "@@.@@@.@@.@@"),
        ("x-forwarded-port", "443"),
        ("x-forwarded-proto", "https"),
    ],
    &[
        ("cdn-loop", "cloudflare; loops=1"),
        ("cf-connecting-ip", "@@.@@@.@@.@@@"),
        ("cf-ipcountry", "US"),
        ("cf-ray", "################-IAD"),
        ("cf-visitor", "{\"scheme\":\"https\"}"),
        ("x-forwarded-for", "@@.@@@.@@.@@@"),
        ("x-forwarded-proto", "https"),
    ],
    &[
        ("traceparent", "00-################################-################-01"),
        ("via", "1.1 google"),
        ("x-cloud-trace-context", "################################/@@@@@@@@@@@@@@@@@@@"),
        ("x-forwarded-for", "@@.@@.@@@.@@@, @@.@@@.@@.@@"),
        ("x-forwarded-proto", "https"),
    ],
    &[
        ("x-forwarded-for", "10.@.@@.@@@"),
        ("x-forwarded-host", "hub.example.com"),
        ("x-forwarded-port", "443"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-scheme", "https"),
        ("x-real-ip", "10.@.@@.@@@"),
        ("x-request-id", "################################"),
        ("x-scheme", "https"),
    ],
];

#[test]
fn every_vendor_has_a_dictionary_that_fits_its_traffic() {
    let updated = std::env::var(UPDATE).unwrap_or_default();
    for vendor in vendor::ALL {
        if updated == "all" || updated.split(',').any(|name| name == vendor.name) {
            std::fs::write(path(vendor), train(vendor)).expect("written");
        }
    }
    for vendor in vendor::ALL {
        let run = format!("run {UPDATE}={} cargo test --lib dictionaries", vendor.name);
        let content =
            std::fs::read(path(vendor)).unwrap_or_else(|_| panic!("{} has no dictionary: {run}", vendor.name));
        let dictionary = VendorDictionary::new(vendor.name.to_owned(), content.into()).expect("a dictionary");
        let dictionary: &'static VendorDictionary = Box::leak(Box::new(dictionary));
        let (mut received, mut stored) = (0, 0);
        for raw in deliveries(vendor, 99).take(COMPARED) {
            received += raw.headers.len() + raw.body.len();
            stored += dictionary.encode(&raw.headers, &raw.body).bytes();
        }
        println!("{:10} {:5} bytes of a delivery, {:4} stored", vendor.name, received / COMPARED, stored / COMPARED);
        assert!(stored * 3 < received, "{}: {stored} bytes are stored of {received}: {run}", vendor.name);
    }
}

fn path(vendor: &Vendor) -> String {
    format!("{}/src/store/payload/dictionaries/{}.dict", env!("CARGO_MANIFEST_DIR"), vendor.name)
}

fn train(vendor: &'static Vendor) -> Vec<u8> {
    let mut rng = StdRng::seed_from_u64(0);
    let mut raw: Vec<RawDelivery> = deliveries(vendor, 1).take(TRAINING_DELIVERIES).collect();
    // Scenarios do not have all events.
    let order = std::fs::read_to_string(format!("{}/tests/samples/{}/ORDER", env!("CARGO_MANIFEST_DIR"), vendor.name));
    for file in order.expect("the order").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let sample = SampleTemplate::get(&format!("{}/{file}", vendor.name)).expect("a sample");
        raw.extend((0..SAMPLE_COPIES).map(|_| received(vendor, sample.body(), &mut rng)));
    }
    let parts: Vec<&[u8]> = raw.iter().flat_map(|raw| [raw.headers.as_bytes(), &raw.body]).collect();
    let sizes: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    let mut dictionary = Vec::with_capacity(DICTIONARY_BYTES);
    let trained = zstd_safe::train_from_buffer(&mut dictionary, &parts.concat(), &sizes);
    trained.unwrap_or_else(|code| panic!("{}: {}", vendor.name, zstd_safe::get_error_name(code)));
    dictionary
}

/// Simulated deliveries of a vendor as they are stored, of all dates and over all ways.
fn deliveries(vendor: &'static Vendor, seed: u32) -> impl Iterator<Item = RawDelivery> {
    let mut rng = StdRng::seed_from_u64(seed.into());
    let bodies = (seed..).flat_map(move |seed| {
        let days = StdRng::seed_from_u64(seed.into()).random_range(20_000..24_000);
        let at = DateTime::from_timestamp(days * 86_400, 0).expect("a moment");
        let clock = TrafficClock::Fixed(TimeMapping { anchor: TimeDelta::zero(), at, scale: 1.0 });
        let traffic = Traffic::new(seed, &[vendor.name], clock, None).take(DELIVERIES_PER_PERIOD);
        traffic.map(|delivery| delivery.body().expect("a body"))
    });
    bodies.map(move |body| received(vendor, body, &mut rng))
}

fn received(vendor: &'static Vendor, body: SampleBody, rng: &mut StdRng) -> RawDelivery {
    let (client, proxy) = (CLIENTS.choose(rng).expect("a client"), PROXIES.choose(rng).expect("a proxy"));
    let mut headers = HeaderMap::new();
    for (name, value) in client.iter().chain(*proxy) {
        let digits = value.chars().map(|template| match template {
            '#' => char::from_digit(rng.random_range(0..16), 16).expect("a digit"),
            '@' => char::from_digit(rng.random_range(0..10), 10).expect("a digit"),
            other => other,
        });
        let value: HeaderValue = digits.collect::<String>().parse().expect("a header's value");
        headers.insert(HeaderName::from_static(name), value);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(body.content_type));
    headers.insert(CONTENT_LENGTH, body.bytes.len().into());
    let delivery = UnverifiedDelivery {
        source: vendor.name.into(),
        vendor,
        received_at: Utc::now(),
        method: "POST",
        path: "/",
        query: None,
        headers: &headers,
        body: body.bytes,
    };
    Verifier::open().check(delivery).expect("an open source").into_raw()
}
