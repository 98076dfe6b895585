//! `inspection-hub simulate`: sends realistic traffic to a running hub, and checks that its ledger adds up.

use crate::settings::{SettingFlags, Settings, SourceSettings};
use crate::simulate::{self, Amount, ChaosRates, MAX_SEED, SimulationPlan};
use crate::vendor;
use anyhow::{Context, bail};
use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use reqwest::Url;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code of a program that Ctrl-C ended, by the convention of shells.
const INTERRUPTED: i32 = 130;

#[derive(Debug, Args)]
pub struct Simulate {
    /// URL of the hub [default: the address of the setting `listen`, on this machine]
    #[arg(long, value_name = "URL")]
    hub: Option<Url>,
    /// An API key with the scope `read`, if the API is not open: env:NAME, file:PATH, or the key itself
    #[arg(long, value_name = "SECRET")]
    api_key: Option<String>,
    /// Deliveries per second [default: as many as the hub accepts]
    #[arg(long, value_name = "NUMBER")]
    rate: Option<NonZeroU32>,
    /// Number of concurrent connections
    #[arg(long, value_name = "NUMBER", default_value = "16")]
    connections: NonZeroUsize,
    /// Number of deliveries
    #[arg(long, value_name = "NUMBER", default_value = "1000")]
    count: NonZeroU64,
    /// Send until Ctrl-C, with current timestamps
    #[arg(long, conflicts_with_all = ["count", "spread", "until"])]
    forever: bool,
    /// Determines everything but the timestamps: a number up to 90000000, or `random`
    #[arg(long, value_name = "SEED", default_value = "1", value_parser = parse_seed)]
    seed: Seed,
    /// Only sources of these vendors, e.g. `pave,hover` [default: all sources of the settings]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = parse_vendor_name)]
    vendors: Vec<String>,
    /// Share of duplicates
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = parse_percentage)]
    duplicates: f64,
    /// Share of deliveries that are sent late
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = parse_percentage)]
    reorder: f64,
    /// Share of forged deliveries, to sources that verify
    #[arg(long, value_name = "PERCENT", default_value = "1%", value_parser = parse_percentage)]
    bad_signatures: f64,
    /// Share of unreadable deliveries
    #[arg(long, value_name = "PERCENT", default_value = "1%", value_parser = parse_percentage)]
    garbage: f64,
    /// Age of the first timestamp: a number with s, m, h or d
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = parse_duration)]
    spread: TimeDelta,
    /// Last timestamp (RFC 3339); the same value and seed send the same bytes [default: now]
    #[arg(long, value_name = "TIME")]
    until: Option<DateTime<Utc>>,
    #[command(flatten)]
    flags: SettingFlags,
}

/// A seed. A random one is printed, so that the run can be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seed {
    Given(u32),
    Random(u32),
}

impl Simulate {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let (settings, _) = super::load_settings(&self.flags)?;
        crate::server::install_tls();
        let plan = self.plan(settings)?;
        super::runtime()?.block_on(async {
            let stop = CancellationToken::new();
            let stopping = stop.clone();
            let mut terminate = signal(SignalKind::terminate())?;
            tokio::spawn(async move {
                tokio::select! {
                    _ = tokio::signal::ctrl_c() => {}
                    _ = terminate.recv() => {}
                }
                stopping.cancel();
                // A second Ctrl-C ends at once.
                if tokio::signal::ctrl_c().await.is_ok() {
                    std::process::exit(INTERRUPTED);
                }
            });
            let report = simulate::run(plan, stop).await?;
            super::outln!("{}", report.to_string().trim_end());
            Ok(if report.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        })
    }

    fn plan(self, settings: Settings) -> anyhow::Result<SimulationPlan> {
        let hub = match self.hub {
            Some(hub) if !matches!(hub.scheme(), "http" | "https") || !hub.has_host() => {
                bail!("--hub {hub} is not an HTTP URL; write one such as http://127.0.0.1:8080")
            }
            Some(hub) => hub,
            None => local_hub_url(settings.listen)?,
        };
        if self.rate.is_none() && !is_loopback(&hub) {
            bail!("{hub} is another machine; limit the deliveries per second with --rate");
        }
        let sources = select_sources(settings.sources, &self.vendors)?;
        let open: Vec<&str> = sources.iter().filter(|s| s.verifier.is_open()).map(|s| s.name.as_str()).collect();
        if self.bad_signatures > 0.0 && !open.is_empty() {
            _ = writeln!(std::io::stderr(), "--bad-signatures has no effect on open sources: {}", open.join(", "));
        }
        let seed = match self.seed {
            Seed::Given(seed) => seed,
            Seed::Random(seed) => {
                _ = writeln!(std::io::stderr(), "the seed is {seed}");
                seed
            }
        };
        Ok(SimulationPlan {
            hub,
            api_key: self.api_key.as_deref().map(super::read_api_key).transpose()?,
            sources,
            amount: if self.forever {
                Amount::Forever
            } else {
                let until = self.until.unwrap_or_else(crate::clock::now);
                Amount::Count { deliveries: self.count.get(), spread: self.spread, until }
            },
            seed,
            chaos: ChaosRates {
                duplicates: self.duplicates,
                reorder: self.reorder,
                bad_signatures: self.bad_signatures,
                garbage: self.garbage,
            },
            rate: self.rate,
            connections: self.connections,
        })
    }
}

// The sources of these vendors, or all sources.
fn select_sources(sources: Vec<SourceSettings>, vendors: &[String]) -> anyhow::Result<Vec<SourceSettings>> {
    for vendor in vendors {
        if !sources.iter().any(|source| source.vendor.name == vendor) {
            bail!("the settings have no source of vendor {vendor}");
        }
    }
    let wanted =
        |source: &SourceSettings| vendors.is_empty() || vendors.iter().any(|vendor| vendor == source.vendor.name);
    Ok(sources.into_iter().filter(wanted).collect())
}

// A hub that listens on all addresses listens on loopback too.
fn local_hub_url(listen: SocketAddr) -> anyhow::Result<Url> {
    if listen.port() == 0 {
        bail!("the hub listens on any free port; name its address with --hub");
    }
    let host = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => "127.0.0.1".to_owned(),
        IpAddr::V6(ip) if ip.is_unspecified() => "[::1]".to_owned(),
        IpAddr::V4(ip) if ip.is_loopback() => ip.to_string(),
        IpAddr::V6(ip) if ip.is_loopback() => format!("[{ip}]"),
        _ => bail!("the hub listens on {listen}, which is not this machine; to send there, use --hub http://{listen}"),
    };
    Url::parse(&format!("http://{host}:{}", listen.port())).context("the address of the hub")
}

fn is_loopback(hub: &Url) -> bool {
    let host = hub.host_str().unwrap_or_default();
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.to_canonical().is_loopback())
}

fn parse_seed(text: &str) -> Result<Seed, String> {
    if text == "random" {
        // Not one of the small seeds that people choose.
        return Ok(Seed::Random(rand::random_range(1_000_000..=MAX_SEED)));
    }
    let seed = text.parse().ok().filter(|seed| *seed <= MAX_SEED).map(Seed::Given);
    seed.ok_or_else(|| format!("write a whole number up to {MAX_SEED}, or random"))
}

fn parse_vendor_name(text: &str) -> Result<String, String> {
    let unknown = || format!("unknown vendor; write one of {}", vendor::names().collect::<Vec<_>>().join(", "));
    vendor::by_name(text).map(|vendor| vendor.name.to_owned()).ok_or_else(unknown)
}

/// `5%`, `0.5%` or `0`.
fn parse_percentage(text: &str) -> Result<f64, String> {
    let percent = if text == "0" { Some("0") } else { text.strip_suffix('%') };
    let percent = percent.and_then(|percent| percent.trim_end().parse::<f64>().ok());
    let percent = percent.filter(|percent| (0.0..=50.0).contains(percent));
    percent.map(|percent| percent / 100.0).ok_or_else(|| "write a share up to 50%, e.g. 5% or 0.5%".to_owned())
}

/// A number with its unit, up to ten years.
fn parse_duration(text: &str) -> Result<TimeDelta, String> {
    const UNITS: &[(&str, i64)] = &[("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];
    let wrong = || "write a time above zero with its unit: 24h (s, m, h, d; at most 3650d)".to_owned();
    let (name, seconds) = UNITS.iter().find(|(name, _)| text.ends_with(name)).ok_or_else(wrong)?;
    let number = text.strip_suffix(name).and_then(|number| number.trim_end().parse::<u32>().ok());
    let seconds = number.map(|number| i64::from(number) * seconds);
    seconds.filter(|seconds| (1..=3650 * 86_400).contains(seconds)).map(TimeDelta::seconds).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct SimulateCommand {
        #[command(flatten)]
        simulate: Simulate,
    }

    fn plan(arguments: &[&str]) -> anyhow::Result<SimulationPlan> {
        let hub = SimulateCommand::try_parse_from(std::iter::once(&"hub").chain(arguments))?;
        let (settings, _) = Settings::load(&hub.simulate.flags, [], &|_| Err(std::io::ErrorKind::NotFound.into()))
            .map_err(|problems| anyhow::anyhow!("{problems}"))?;
        hub.simulate.plan(settings)
    }

    #[test]
    fn by_default_it_sends_a_thousand_deliveries_to_this_machine() {
        let plan = plan(&[]).expect("a plan");
        assert_eq!((plan.hub.as_str(), plan.sources.len()), ("http://127.0.0.1:8080/", vendor::ALL.len()));
        assert!(matches!(plan.amount, Amount::Count { deliveries: 1000, .. }));
        assert_eq!((plan.seed, plan.chaos.duplicates, plan.chaos.garbage), (1, 0.05, 0.01));
    }

    #[test]
    fn other_machines_need_both_address_and_rate() {
        let why = |arguments: &[&str]| plan(arguments).expect_err("refused").to_string();
        assert!(why(&["--hub", "https://hub.example"]).contains("--rate"));
        assert!(why(&["--listen", "192.0.2.7:8080", "--allow-open-sources"]).contains("--hub http://192.0.2.7:8080"));
        assert!(why(&["--listen", "127.0.0.1:0"]).contains("--hub"));
        assert!(why(&["--hub", "ftp://localhost"]).contains("not an HTTP URL"));
        assert!(plan(&["--hub", "https://hub.example/base", "--rate", "5"]).is_ok());
        for hub in ["http://localhost:1", "http://[::1]:1", "http://127.9.9.9", "http://[::ffff:127.0.0.1]:1"] {
            assert!(plan(&["--hub", hub]).is_ok(), "{hub}");
        }
        let everywhere = plan(&["--listen", "0.0.0.0:9000", "--allow-open-sources"]).expect("a plan");
        assert_eq!(everywhere.hub.as_str(), "http://127.0.0.1:9000/");
    }

    #[test]
    fn vendors_are_those_of_the_settings() {
        let wanted: Vec<_> = vendor::names().take(2).collect();
        let plan = plan(&["--vendors", &wanted.join(",")]).expect("a plan");
        assert_eq!(plan.sources.iter().map(|source| source.name.as_str()).collect::<Vec<_>>(), wanted);
        let error = super::parse_vendor_name("pavee").expect_err("no vendor");
        assert!(vendor::names().all(|name| error.contains(name)), "{error}");
    }

    #[test]
    fn arguments_are_parsed() {
        assert_eq!(
            (parse_percentage("5%"), parse_percentage("0.5 %"), parse_percentage("0")),
            (Ok(0.05), Ok(0.005), Ok(0.0))
        );
        assert!(
            parse_percentage("5").is_err()
                && parse_percentage("51%").is_err()
                && parse_percentage("-1%").is_err()
                && parse_percentage("NaN%").is_err()
        );
        assert_eq!((parse_duration("24h"), parse_duration("7 d")), (Ok(TimeDelta::hours(24)), Ok(TimeDelta::days(7))));
        assert!(
            parse_duration("24").is_err()
                && parse_duration("0s").is_err()
                && parse_duration("9999d").is_err()
                && parse_duration("h").is_err()
        );
        assert_eq!(parse_seed("42"), Ok(Seed::Given(42)));
        assert!(matches!(parse_seed("random"), Ok(Seed::Random(seed)) if seed >= 1_000_000));
        assert!(parse_seed("90000001").is_err() && parse_seed("x").is_err());
        assert!(plan(&["--forever", "--count", "5"]).is_err() && plan(&["--forever"]).is_ok());
    }
}
