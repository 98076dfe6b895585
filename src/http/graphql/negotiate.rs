//! Which media type an answer has (RFC 9110, section 12.5.1, and GraphQL over HTTP, section 6.1).

use super::respond::Refusal;
use crate::http::stream::Format;
use axum::http::{HeaderMap, StatusCode, header};

/// The media types of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// Its status says whether the request could be executed.
    Response,
    /// The older one: its status is 200 as long as the request is one.
    Json,
}

impl Media {
    pub fn name(self) -> &'static str {
        match self {
            Media::Response => "application/graphql-response+json",
            Media::Json => "application/json",
        }
    }
}

/// How answers that follow each other are wanted, if they are wanted at all. Parts are only for subscriptions: who names
/// them takes other answers in one piece.
pub fn stream(headers: &HeaderMap) -> Option<Format> {
    let values = headers.get_all(header::ACCEPT);
    let ranges = values.iter().filter_map(|value| value.to_str().ok()).flat_map(|ranges| ranges.split(','));
    let mut formats = ranges.filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let format = match parts.next()?.to_ascii_lowercase().as_str() {
            "text/event-stream" => Format::Events,
            "multipart/mixed" if parts.clone().any(|part| part.starts_with("subscriptionSpec=")) => Format::Parts,
            _ => return None,
        };
        (weight(parts) > 0).then_some(format)
    });
    formats.next()
}

/// How well a media type is accepted: the weight in thousandths, and whether it is named itself.
type Weight = Option<(u16, u8)>;

/// What the client wants most. Who says nothing, or takes anything, gets the older one; who names both alike, the newer.
pub fn media(headers: &HeaderMap) -> Result<Media, Refusal> {
    let mut ranges = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).peekable();
    if ranges.peek().is_none() {
        return Ok(Media::Json);
    }
    let (mut response, mut json): (Weight, Weight) = (None, None);
    for range in ranges.flat_map(|ranges| ranges.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = weight(parts);
        // The most particular range counts, wherever it stands.
        let take = |known: &mut Weight, named: u8| {
            if known.is_none_or(|(_, before)| named >= before) {
                *known = Some((weight, named));
            }
        };
        let (of_response, of_json) = match name.as_str() {
            "*/*" => (Some(0), Some(0)),
            "application/*" => (Some(1), Some(1)),
            "application/graphql-response+json" => (Some(2), None),
            "application/json" => (None, Some(2)),
            _ => continue,
        };
        of_response.into_iter().for_each(|named| take(&mut response, named));
        of_json.into_iter().for_each(|named| take(&mut json, named));
    }
    let wanted = |weight: Weight| weight.filter(|(weight, _)| *weight > 0);
    match (wanted(response), wanted(json)) {
        (None, None) => Err(Refusal::request(
            StatusCode::NOT_ACCEPTABLE,
            "none of the media types in Accept can be given",
            "Accept application/graphql-response+json or application/json.",
        )),
        (Some(_), None) => Ok(Media::Response),
        (None, Some(_)) => Ok(Media::Json),
        (Some(response), Some(json)) if response == json && response.1 < 2 => Ok(Media::Json),
        (Some(response), Some(json)) => Ok(if response >= json { Media::Response } else { Media::Json }),
    }
}

fn weight<'a>(mut parameters: impl Iterator<Item = &'a str>) -> u16 {
    let weight = parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse::<f32>().unwrap_or(0.0))
    });
    // At most three digits stand after the point.
    (weight.unwrap_or(1.0).clamp(0.0, 1.0) * 1000.0) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(accept: &[&str]) -> Option<Media> {
        let mut headers = HeaderMap::new();
        for accept in accept {
            headers.append(header::ACCEPT, accept.parse().expect("a header"));
        }
        media(&headers).ok()
    }

    #[test]
    fn the_client_chooses() {
        for (accept, expected) in [
            (&[][..], Some(Media::Json)),
            (&["*/*"], Some(Media::Json)),
            (&["application/*"], Some(Media::Json)),
            (&["application/json"], Some(Media::Json)),
            (&["application/graphql-response+json"], Some(Media::Response)),
            (&["Application/GraphQL-Response+JSON; charset=utf-8"], Some(Media::Response)),
            (&["application/json, application/graphql-response+json"], Some(Media::Response)),
            (&["application/graphql-response+json, application/json;q=0.9"], Some(Media::Response)),
            (&["application/graphql-response+json;q=0.8, application/json"], Some(Media::Json)),
            (&["application/graphql-response+json;q=0.8", "application/json;q=0.9"], Some(Media::Json)),
            (&["application/graphql-response+json, */*"], Some(Media::Response)),
            (&["application/json, */*"], Some(Media::Json)),
            (&["application/json;q=0, */*"], Some(Media::Response)),
            (&["text/html, */*;q=0.8"], Some(Media::Json)),
            (&["text/html"], None),
            (&["application/json;q=0"], None),
            (&["application/json;q=nonsense"], None),
            (&[""], None),
        ] {
            assert_eq!(chosen(accept), expected, "{accept:?}");
        }
    }
}
