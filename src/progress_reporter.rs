//! Progress of a command on standard error: a bar on a terminal, lines otherwise.

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use std::fmt;
use std::io::Write;
use std::pin::pin;
use std::time::Duration;

const BAR_INTERVAL: Duration = Duration::from_millis(100);
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Counts deliveries.
#[derive(Clone, Debug)]
pub struct ProgressReporter {
    /// The verb: `delivered`.
    what: &'static str,
    /// Hidden if standard error is not a terminal.
    bar: ProgressBar,
}

impl ProgressReporter {
    /// `total` is `None` if there is no end.
    pub fn new(what: &'static str, total: Option<u64>) -> ProgressReporter {
        let (bar, template) = match total {
            Some(total) => (ProgressBar::new(total), "{wide_bar} {human_pos} of {human_len} WHAT, {rate}, {eta} left"),
            None => (ProgressBar::new_spinner(), "{spinner} {human_pos} WHAT, {rate}, for {elapsed}"),
        };
        let style = ProgressStyle::with_template(&template.replace("WHAT", what));
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let style = style.with_key("rate", |state: &ProgressState, to: &mut dyn fmt::Write| {
            let _ = write!(to, "{:.0}/s", state.per_sec());
        });
        ProgressReporter { what, bar: bar.with_style(style) }
    }

    pub fn advance(&self, more: u64) {
        self.bar.inc(more);
    }

    /// Advances it.
    pub fn counter(&self) -> impl Fn(u64) + Clone + Send + 'static {
        let bar = self.bar.clone();
        move |more| bar.inc(more)
    }

    /// Shows the progress until the work is done.
    pub async fn report_while<T>(&self, work: impl Future<Output = T>) -> T {
        let mut ticks = tokio::time::interval(if self.bar.is_hidden() { LINE_INTERVAL } else { BAR_INTERVAL });
        ticks.tick().await;
        let mut work = pin!(work);
        let result = loop {
            tokio::select! {
                result = &mut work => break result,
                _ = ticks.tick() => self.draw(),
            }
        };
        self.draw();
        self.bar.abandon();
        result
    }

    fn draw(&self) {
        if self.bar.is_hidden() {
            let (done, total) = (self.bar.position(), self.bar.length());
            // Work does not end because the reader of its progress has.
            _ = writeln!(std::io::stderr(), "{}", progress_line(self.what, done, total, self.bar.elapsed()));
        } else {
            self.bar.tick();
        }
    }
}

fn progress_line(what: &str, done: u64, total: Option<u64>, elapsed: Duration) -> String {
    let rate = done as f64 / elapsed.as_secs_f64().max(0.001);
    match total {
        Some(total) => {
            let left = total.saturating_sub(done) as f64 / rate.max(0.001);
            format!("{done} of {total} {what}, {rate:.0}/s, {left:.0} s left")
        }
        None => format!("{done} {what}, {rate:.0}/s, for {} s", elapsed.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_count_rate_and_time() {
        let ten = Duration::from_secs(10);
        assert_eq!(progress_line("delivered", 400, Some(1000), ten), "400 of 1000 delivered, 40/s, 15 s left");
        assert_eq!(progress_line("checked", 400, None, ten), "400 checked, 40/s, for 10 s");
    }
}
