//! The typed facts that vendors report, in the hub's terms. A field is absent until a vendor has reported it.
//!
//! Each group is also a GraphQL object (`SimpleObject`), the one place where `event` depends on async-graphql: a fact
//! has its name, description and type in one place. Without the derive, `graphql` would repeat some 20 structs of some
//! 130 fields, with a conversion for each.

use super::json::Json;
use async_graphql::SimpleObject;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A fact about a person, or one that leads to a person: a name, a phone number, a postal address, coordinates, a number plate, a
/// VIN, a link to a photo or document, a text that somebody wrote or that quotes such a text. The API withholds it from those
/// without the scope to read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PersonalFact {
    /// The group, as in the stored facts.
    pub group: &'static str,
    /// The group's object in the API.
    pub object: &'static str,
    /// The field, in snake_case as in the stored facts.
    pub field: &'static str,
    /// How it is marked here: `personal`.
    pub mark: &'static str,
}

/// Declares the groups of facts: a struct for each, the enum [`FactGroup`] of all, and [`Facts`] with one of each. A fact that
/// is marked `(personal)` is also in [`PERSONAL_FACTS`].
macro_rules! facts {
    ($($(#[$about:meta])* $group:ident: $name:ident { $($field:ident $(($mark:ident))?: $type:ty = $description:tt,)+ })+) => {
        $(
            $(#[$about])*
            #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, SimpleObject)]
            #[serde(default)]
            pub struct $name {
                $(
                    #[doc = $description]
                    #[serde(skip_serializing_if = "Option::is_none")]
                    pub $field: Option<$type>,
                )+
            }

            impl From<$name> for FactGroup {
                fn from(fact: $name) -> FactGroup {
                    FactGroup::$name(fact)
                }
            }
        )+

        /// All personal facts.
        pub const PERSONAL_FACTS: &[PersonalFact] = &[
            $($($(PersonalFact {
                group: stringify!($group),
                object: stringify!($name),
                field: stringify!($field),
                mark: stringify!($mark),
            },)?)+)+
        ];

        /// One group of facts.
        #[derive(Clone, Debug, PartialEq)]
        pub enum FactGroup {
            $($name($name),)+
        }

        impl FactGroup {
            /// The group's name and its fields as JSON.
            pub fn parts(&self) -> (&'static str, serde_json::Result<serde_json::Value>) {
                match self {
                    $(FactGroup::$name(fact) => (stringify!($group), serde_json::to_value(fact)),)+
                }
            }
        }

        /// All facts of an entity.
        #[derive(Clone, Debug, Default, PartialEq, Deserialize)]
        #[serde(default)]
        pub struct Facts {
            $(pub $group: Option<$name>,)+
        }
    };
}

facts! {
    /// A vehicle under inspection.
    vehicle: Vehicle {
        vin(personal): String = "Vehicle identification number (ISO 3779), as the vendor read it.",
        plate(personal): String = "Registration mark (number plate).",
        year: i32 = "Model year.",
        make: String = "Manufacturer, e.g. `Honda`.",
        model: String = "Model, e.g. `Odyssey`.",
        trim: String = "Trim level.",
        body_type: String = "Body type, e.g. `Sports Van`.",
        transmission: String = "Transmission, e.g. `AUTOMATIC`.",
        drivetrain: String = "Drivetrain, e.g. `AWD`.",
        engine: String = "Engine type.",
        fuel: String = "Fuel type.",
        exterior_color: String = "Exterior colour.",
        interior_color: String = "Interior colour.",
        odometer: f64 = "Odometer reading, in `odometerUnit`.",
        odometer_unit: String = "Unit of the odometer, e.g. `KM` or `MILES`.",
    }

    /// A building under inspection.
    property: Property {
        name(personal): String = "What the customer calls it.",
        address(personal): String = "Postal address, one line.",
    }

    /// A thing under inspection that the vendor keeps in a register of its own.
    asset: Asset {
        asset_id: String = "The vendor's id of the asset.",
        external_id(personal): String = "The customer's number for it: a reference number or a VIN.",
    }

    /// Where it happened.
    location: Location {
        location_id: String = "The vendor's id of the place.",
        name(personal): String = "What the customer calls the place.",
        address(personal): String = "Address, one line.",
        city: String = "City.",
        region: String = "State, province or region.",
        post_code(personal): String = "Postal code.",
        country: String = "Country.",
        latitude(personal): f64 = "Degrees north (WGS 84).",
        longitude(personal): f64 = "Degrees east (WGS 84).",
    }

    /// How an inspection went.
    summary: Summary {
        started_at: DateTime<Utc> = "When the inspection began, by the vendor's clock.",
        ended_at: DateTime<Utc> = "When the inspection ended, by the vendor's clock.",
        capture_seconds: f64 = "Seconds spent taking pictures.",
        estimated_hours: f64 = "Hours until the vendor expects to be done.",
        draft: bool = "Whether the vendor's record is still a draft.",
        direction: String = "`CHECK_IN` or `CHECK_OUT`, for things that are handed out and come back.",
        damaged: bool = "Whether damage was found.",
        damage_count: i32 = "How many damages were found.",
        damage_cost: f64 = "What the damage costs, in the account's currency.",
        worst_grade: f64 = "The worst grade of a single damage, on the vendor's scale.",
        total_grade: f64 = "The sum of all grades, on the vendor's scale.",
        view_url(personal): String = "The vendor's page for the inspection.",
        report_url(personal): String = "The report to download.",
        landing_url(personal): String = "The vendor's page that presents the result.",
        outcome: String = "What the organization decided at the end.",
        archive_status: String = "`active` or `archived`.",
        work_order_id: String = "The work order it belongs to.",
    }

    /// A picture.
    photo: Photo {
        url(personal): String = "Where to get it.",
        label: String = "What it shows, e.g. `Front left`.",
        code: String = "The vendor's code for what it shows.",
        verdict: String = "What the vendor's checks found: `passed`, `warn`, `failed`, `accepted` or `rejected`.",
        message(personal): String = "Why, in the vendor's words.",
        taken_at: DateTime<Utc> = "When it was taken or checked, by the vendor's clock.",
        bytes: f64 = "Size in bytes.",
        latitude(personal): f64 = "Degrees north (WGS 84).",
        longitude(personal): f64 = "Degrees east (WGS 84).",
    }

    /// A film.
    video: Video {
        url(personal): String = "Where to get it.",
        thumbnail_url(personal): String = "A still of it.",
        taken_at: DateTime<Utc> = "When it was taken, by the vendor's clock.",
    }

    /// An answer to a question of the inspection.
    answer: Answer {
        question_id: String = "The vendor's id of the question.",
        question: String = "What was asked.",
        text(personal): String = "What was answered.",
    }

    /// A message to or from the person who inspects.
    message: Message {
        channel: String = "`TEXT` or `EMAIL`.",
        direction: String = "`OUTBOUND`: to the person. `INBOUND`: from the person.",
        purpose: String = "What it is for, in the vendor's words, e.g. `welcome` or `reminder`.",
        status: String = "`SENT`, `RECEIVED`, `BOUNCED`, `DROPPED` or `FAILED`.",
        recipient(personal): String = "The recipient.",
        phone(personal): String = "The number it went to.",
        error(personal): String = "Why it failed.",
        text(personal): String = "What it says.",
        sent_at: DateTime<Utc> = "When, by the vendor's clock.",
    }

    /// Whether the person can be reached.
    contact: Contact {
        channel: String = "`EMAIL`.",
        status: String = "`SUBSCRIBED`, `UNSUBSCRIBED` or `BOUNCED`.",
    }

    /// A note on the inspection.
    note: Note {
        title(personal): String = "Its title.",
        text(personal): String = "Its text.",
        author(personal): String = "The author.",
        written_at: DateTime<Utc> = "When it was written, by the vendor's clock.",
    }

    /// A filled form.
    form: Form {
        template_id: String = "The vendor's id of the form's template.",
        values(personal): Json = "The answers, by the names of the form's fields.",
        filled_at: DateTime<Utc> = "When it was filled, by the vendor's clock.",
    }

    /// A file, a signature or an identity document.
    file: File {
        url(personal): String = "Where to get it.",
        name(personal): String = "Its name.",
        created_at: DateTime<Utc> = "When it was made, by the vendor's clock.",
    }

    /// A 3D model of a building.
    model: Model {
        model_id: String = "The vendor's id of the model.",
    }

    /// A damage that was found.
    damage: Damage {
        part_group: String = "The part's group, e.g. `BODY` or `WHEEL`.",
        component: String = "The part.",
        name: String = "What is wrong with it.",
        description: String = "In a sentence.",
        repair_method: String = "How it is repaired.",
        grade: f64 = "How bad it is, on the vendor's scale.",
        cost: f64 = "What repair costs, in the account's currency.",
        labor_hours: f64 = "Hours of labour.",
        photo_code: String = "The code of the photo that shows it.",
        photo_url(personal): String = "The photo that shows it.",
        cropped_url(personal): String = "The part of the photo that shows it.",
    }

    /// Somebody who wants to be called.
    lead: Lead {
        lead_id: String = "The vendor's id of the lead.",
        project_name(personal): String = "The project.",
        project_id: String = "The vendor's id of the project.",
    }

    /// A customer's account with a third party, through which data flows.
    account: Account {
        tenant_id: String = "The customer it belongs to, by the customer's own key.",
        integration: String = "The third party, e.g. `hubspot`.",
        authentication: String = "How the customer logs in there.",
        last_error(personal): String = "The newest error.",
        sandbox: bool = "Whether it is a sandbox.",
    }

    /// A record that a sync brought.
    record: Record {
        resource: String = "What sort of record, e.g. `contacts`.",
        record_id: String = "Its id at the third party.",
        data(personal): Json = "The record itself.",
        error(personal): String = "Why a record could not be brought.",
    }

    /// A job's product to download: a PDF, a condition report.
    document: Document {
        url(personal): String = "Where to get it.",
        error(personal): String = "Why there is none.",
    }

    /// A request for a signature.
    signing: Signing {
        signed_at: DateTime<Utc> = "When it was signed, by the vendor's clock.",
    }

    /// One run of a sync job.
    run: Run {
        sync_job_id: String = "The sync job that runs.",
        account_id: String = "The account it runs on.",
        resources: Json = "The resources it brings.",
        started_at: DateTime<Utc> = "When it began, by the vendor's clock.",
        finished_at: DateTime<Utc> = "When it ended, by the vendor's clock.",
    }

    /// A task given to somebody.
    task: Task {
        name(personal): String = "What is to be done.",
        due_by: DateTime<Utc> = "By when.",
        high_priority: bool = "Whether it is urgent.",
        assignee(personal): String = "The assigned person.",
        requester(personal): String = "The person who requested it.",
    }
}
