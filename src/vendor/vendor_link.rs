//! Links to inspections at their vendor.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;

/// In the template, this is replaced by the vendor's id of the inspection.
const PLACEHOLDER: &str = "{external_id}";
/// The unreserved characters of a URL are written as they are (RFC 3986, section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const WRITE: &str = "write one such as https://vendor.example/inspections/{external_id}";

/// A URL with a place for the vendor's id of an inspection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VendorLink(String);

impl VendorLink {
    /// # Errors
    /// If the template is no web address, or has not exactly one placeholder after its host. The error says what to write.
    pub fn parse(template: &str) -> Result<VendorLink, String> {
        let link = VendorLink(template.to_owned());
        let braces = template.matches(['{', '}']).count();
        if template.matches(PLACEHOLDER).count() != 1 || braces != 2 {
            return Err(format!("must contain {PLACEHOLDER} once, and no other braces; {WRITE}"));
        }
        let is_web = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        let parsed = |id: &str| Url::parse(&link.url(id)).ok().filter(is_web);
        // The parser would remove or encode whitespace.
        let urls = if template.contains(char::is_whitespace) { None } else { parsed("a").zip(parsed("b")) };
        let (url, other) = urls.ok_or_else(|| format!("is not the template of an absolute URL; {WRITE}"))?;
        if url.origin() != other.origin() || !url.username().is_empty() || url.password().is_some() {
            return Err(format!("must have {PLACEHOLDER} after the host, and no user name or password; {WRITE}"));
        }
        Ok(link)
    }

    /// The URL of an inspection.
    pub fn url(&self, external_id: &str) -> String {
        self.0.replace(PLACEHOLDER, &utf8_percent_encode(external_id, ENCODED).to_string())
    }

    pub fn template(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_encoded_wherever_the_template_has_it() {
        for (template, id, expected) in [
            ("https://vendor.example/i/{external_id}", "8471920", "https://vendor.example/i/8471920"),
            ("https://vendor.example/i/{external_id}", "SWP-7LQUT*9BHE", "https://vendor.example/i/SWP-7LQUT%2A9BHE"),
            (
                "http://vendor.example:8080/?id={external_id}&a=b",
                "a&b=c/d",
                "http://vendor.example:8080/?id=a%26b%3Dc%2Fd&a=b",
            ),
            (
                "https://vendor.example/#/{external_id}",
                "ä {external_id}",
                "https://vendor.example/#/%C3%A4%20%7Bexternal_id%7D",
            ),
        ] {
            let url = VendorLink::parse(template).expect(template).url(id);
            assert_eq!(url, expected);
            Url::parse(&url).expect("a URL");
        }
    }

    #[test]
    fn other_templates_are_refused() {
        for template in [
            "",
            "https://vendor.example/",
            "https://vendor.example/{id}",
            "https://vendor.example/{external_id}/{external_id}",
            "https://vendor.example/{external_id}?a={b}",
            "vendor.example/{external_id}",
            "javascript:alert({external_id})",
            "https://{external_id}.vendor.example/",
            "https://vendor.example{external_id}/",
            "https://vendor.example:{external_id}/",
            "https://{external_id}@vendor.example/",
            "https://user:password@vendor.example/{external_id}",
            "https://vendor.example/a b/{external_id}",
        ] {
            assert!(VendorLink::parse(template).is_err_and(|error| error.contains(WRITE)), "{template}");
        }
    }
}
