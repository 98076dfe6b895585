//! Which media type an answer has (RFC 9110, section 12.5.1, and GraphQL over HTTP, section 6.1).

use super::response::RequestRejection;
use crate::http::media_type::MediaRange;
use crate::http::stream::StreamFormat;
use axum::http::{HeaderMap, StatusCode, header};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseMediaType {
    /// Its status says whether the request could be executed.
    GraphqlResponse,
    /// The older one: its status is 200 for every well-formed request.
    Json,
}

impl ResponseMediaType {
    pub fn name(self) -> &'static str {
        match self {
            ResponseMediaType::GraphqlResponse => "application/graphql-response+json",
            ResponseMediaType::Json => "application/json",
        }
    }
}

/// The format of a stream, if the client accepts one. Multipart is for subscriptions only: a client that accepts it accepts
/// other responses in one piece.
pub fn stream_format(headers: &HeaderMap) -> Option<StreamFormat> {
    let mut formats = MediaRange::list_from_header(headers, header::ACCEPT).filter_map(|range| {
        let format = match range.name().as_str() {
            "text/event-stream" => StreamFormat::EventStream,
            "multipart/mixed" if range.parameter("subscriptionSpec").is_some() => StreamFormat::Multipart,
            _ => return None,
        };
        (range.weight() > 0).then_some(format)
    });
    formats.next()
}

/// The media type that the client prefers: the older one if it does not say, the newer one if it names both equally.
pub fn response_media_type(headers: &HeaderMap) -> Result<ResponseMediaType, RequestRejection> {
    if !headers.contains_key(header::ACCEPT) {
        return Ok(ResponseMediaType::Json);
    }
    // The weight, and how specific the range is: of all ranges in any order, the most specific one counts.
    let accepted = |media: ResponseMediaType| {
        let ranges = MediaRange::list_from_header(headers, header::ACCEPT);
        let specificities = ranges.filter_map(|range| match range.name().as_str() {
            "*/*" => Some((0, range.weight())),
            "application/*" => Some((1, range.weight())),
            name => (name == media.name()).then(|| (2, range.weight())),
        });
        let most_specific = specificities.max_by_key(|(specificity, _)| *specificity);
        most_specific.map(|(specificity, weight)| (weight, specificity)).filter(|(weight, _)| *weight > 0)
    };
    match (accepted(ResponseMediaType::GraphqlResponse), accepted(ResponseMediaType::Json)) {
        (None, None) => Err(RequestRejection::with_status(
            StatusCode::NOT_ACCEPTABLE,
            "none of the media types in Accept can be given",
            "Accept application/graphql-response+json or application/json.",
        )),
        (newer, older) if newer > older || newer == older && newer.is_some_and(|(_, specificity)| specificity == 2) => {
            Ok(ResponseMediaType::GraphqlResponse)
        }
        _ => Ok(ResponseMediaType::Json),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(accept: &[&str]) -> Option<ResponseMediaType> {
        let mut headers = HeaderMap::new();
        for accept in accept {
            headers.append(header::ACCEPT, accept.parse().expect("a header"));
        }
        response_media_type(&headers).ok()
    }

    #[test]
    fn the_client_chooses() {
        for (accept, expected) in [
            (&[][..], Some(ResponseMediaType::Json)),
            (&["*/*"], Some(ResponseMediaType::Json)),
            (&["application/*"], Some(ResponseMediaType::Json)),
            (&["application/json"], Some(ResponseMediaType::Json)),
            (&["application/graphql-response+json"], Some(ResponseMediaType::GraphqlResponse)),
            (&["Application/GraphQL-Response+JSON; charset=utf-8"], Some(ResponseMediaType::GraphqlResponse)),
            (&["application/json, application/graphql-response+json"], Some(ResponseMediaType::GraphqlResponse)),
            (&["application/graphql-response+json, application/json;q=0.9"], Some(ResponseMediaType::GraphqlResponse)),
            (&["application/graphql-response+json;q=0.8, application/json"], Some(ResponseMediaType::Json)),
            (&["application/graphql-response+json;q=0.8", "application/json;q=0.9"], Some(ResponseMediaType::Json)),
            (&["application/graphql-response+json, */*"], Some(ResponseMediaType::GraphqlResponse)),
            (&["application/json, */*"], Some(ResponseMediaType::Json)),
            (&["application/json;q=0, */*"], Some(ResponseMediaType::GraphqlResponse)),
            (&["text/html, */*;q=0.8"], Some(ResponseMediaType::Json)),
            (&["text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"], Some(ResponseMediaType::Json)),
            (
                &["application/json;Q=0.1, application/graphql-response+json;Q=\"0.5\""],
                Some(ResponseMediaType::GraphqlResponse),
            ),
            (&["text/html"], None),
            (&["application/json;q=0"], None),
            (&["application/json;q=nonsense"], None),
            (&[""], None),
        ] {
            assert_eq!(chosen(accept), expected, "{accept:?}");
        }
    }

    #[test]
    fn stream_formats_are_found_in_any_spelling() {
        for (accept, expected) in [
            ("multipart/mixed; subscriptionSpec=1.0", Some(StreamFormat::Multipart)),
            ("multipart/mixed;subscriptionSpec=\"1.0\", application/json", Some(StreamFormat::Multipart)),
            ("multipart/mixed; subscriptionspec=\"1.0\"", Some(StreamFormat::Multipart)),
            ("Multipart/Mixed;boundary=\"-\";SUBSCRIPTIONSPEC=1.0", Some(StreamFormat::Multipart)),
            ("multipart/mixed;deferSpec=20220824;subscriptionSpec=1.0", Some(StreamFormat::Multipart)),
            ("application/json, Text/Event-Stream;q=0.5", Some(StreamFormat::EventStream)),
            ("text/event-stream;Q=0", None),
            ("multipart/mixed; subscriptionSpec=1.0; q=0", None),
            ("multipart/mixed", None),
            ("multipart/mixed; boundary=subscriptionSpec", None),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().expect("a header"))]);
            assert_eq!(stream_format(&headers), expected, "{accept}");
        }
    }
}
