//! Which media type an answer has (RFC 9110, section 12.5.1, and GraphQL over HTTP, section 6.1).

use super::respond::Refusal;
use crate::http::media::Media as Ranges;
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
    let mut formats = Ranges::all(headers, header::ACCEPT).filter_map(|range| {
        let format = match range.name().as_str() {
            "text/event-stream" => Format::Events,
            "multipart/mixed" if range.parameter("subscriptionSpec").is_some() => Format::Parts,
            _ => return None,
        };
        (range.weight() > 0).then_some(format)
    });
    formats.next()
}

/// How well a media type is accepted: the weight in thousandths, and whether it is named itself.
type Weight = Option<(u16, u8)>;

/// What the client wants most. Who says nothing, or takes anything, gets the older one; who names both alike, the newer.
pub fn media(headers: &HeaderMap) -> Result<Media, Refusal> {
    if !headers.contains_key(header::ACCEPT) {
        return Ok(Media::Json);
    }
    let (mut response, mut json): (Weight, Weight) = (None, None);
    for range in Ranges::all(headers, header::ACCEPT) {
        let (name, weight) = (range.name(), range.weight());
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
            (&["text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"], Some(Media::Json)),
            (&["application/json;Q=0.1, application/graphql-response+json;Q=\"0.5\""], Some(Media::Response)),
            (&["text/html"], None),
            (&["application/json;q=0"], None),
            (&["application/json;q=nonsense"], None),
            (&[""], None),
        ] {
            assert_eq!(chosen(accept), expected, "{accept:?}");
        }
    }

    #[test]
    fn answers_that_follow_each_other_are_asked_for_in_any_spelling() {
        for (accept, expected) in [
            ("multipart/mixed; subscriptionSpec=1.0", Some(Format::Parts)),
            ("multipart/mixed;subscriptionSpec=\"1.0\", application/json", Some(Format::Parts)),
            ("multipart/mixed; subscriptionspec=\"1.0\"", Some(Format::Parts)),
            ("Multipart/Mixed;boundary=\"-\";SUBSCRIPTIONSPEC=1.0", Some(Format::Parts)),
            ("multipart/mixed;deferSpec=20220824;subscriptionSpec=1.0", Some(Format::Parts)),
            ("application/json, Text/Event-Stream;q=0.5", Some(Format::Events)),
            ("text/event-stream;Q=0", None),
            ("multipart/mixed; subscriptionSpec=1.0; q=0", None),
            ("multipart/mixed", None),
            ("multipart/mixed; boundary=subscriptionSpec", None),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().expect("a header"))]);
            assert_eq!(stream(&headers), expected, "{accept}");
        }
    }
}
