//! Turns readable bodies into unreadable ones.

/// The defect of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Garbage {
    CutOff,
    TrailingData,
    /// A list in place of an object.
    ArrayBody,
    Utf16,
    NotUtf8,
    /// The error page of a proxy.
    HtmlPage,
    TooDeep,
}

impl Garbage {
    pub const ALL: &[Garbage] =
        &[Self::CutOff, Self::TrailingData, Self::ArrayBody, Self::Utf16, Self::NotUtf8, Self::HtmlPage, Self::TooDeep];

    /// Makes a body unreadable. Different bodies have different results.
    pub fn corrupt(self, body: &[u8]) -> Vec<u8> {
        const LEVELS: usize = 200;
        match self {
            Garbage::CutOff => body.get(..body.len() * 2 / 3).unwrap_or_default().to_vec(),
            Garbage::TrailingData => [body, body].concat(),
            Garbage::ArrayBody => [b"[", body, b"]"].concat(),
            Garbage::Utf16 => {
                let text = String::from_utf8_lossy(body);
                [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
            }
            Garbage::NotUtf8 => [b"{\"\xc3\":0,", body.get(1..).unwrap_or_default()].concat(),
            Garbage::HtmlPage => [b"<html><body><h1>502 Bad Gateway</h1><!-- ", body, b" --></body></html>"].concat(),
            Garbage::TooDeep => [b"[".repeat(LEVELS).as_slice(), body, &b"]".repeat(LEVELS)].concat(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vendor::{self, DeliveryBody};

    #[test]
    fn no_adapter_reads_any_of_it() {
        for body in [&br#"{"event":"a","b":[1,{"c":"d"}]}"#[..], b"--hub-boundary\r\nno JSON at all"] {
            for garbage in Garbage::ALL {
                let corrupted = garbage.corrupt(body);
                for vendor in vendor::ALL {
                    let delivery = DeliveryBody { content_type: Some("application/json"), body: &corrupted };
                    assert!((vendor.parse)(&delivery).is_err(), "{}: {garbage:?}", vendor.name);
                }
            }
        }
    }
}
