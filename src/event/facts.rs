//! The typed facts that vendors report, in the hub's terms. A field is absent until a vendor has reported it.
//!
//! Each group is also a GraphQL object (`SimpleObject`), the one place where `event` depends on async-graphql: a fact
//! has its name, description and type in one place. Without the derive, `graphql` would repeat some 20 structs of some
//! 130 fields, with a conversion for each.

use super::json::Json;
use async_graphql::SimpleObject;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Declares the groups of facts: a struct for each, the enum [`FactGroup`] of all, and [`Facts`] with one of each.
macro_rules! facts {
    ($($(#[$about:meta])* $group:ident: $name:ident { $($(#[$doc:meta])* $field:ident: $type:ty,)+ })+) => {
        $(
            $(#[$about])*
            #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, SimpleObject)]
            #[serde(default)]
            pub struct $name {
                $($(#[$doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$type>,)+
            }

            impl From<$name> for FactGroup {
                fn from(fact: $name) -> FactGroup {
                    FactGroup::$name(fact)
                }
            }
        )+

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
        /// Vehicle identification number (ISO 3779), as the vendor read it.
        vin: String,
        /// Registration mark (number plate).
        plate: String,
        /// Model year.
        year: i32,
        /// Manufacturer, e.g. `Honda`.
        make: String,
        /// Model, e.g. `Odyssey`.
        model: String,
        /// Trim level.
        trim: String,
        /// Body type, e.g. `Sports Van`.
        body_type: String,
        /// Transmission, e.g. `AUTOMATIC`.
        transmission: String,
        /// Drivetrain, e.g. `AWD`.
        drivetrain: String,
        /// Engine type.
        engine: String,
        /// Fuel type.
        fuel: String,
        /// Exterior colour.
        exterior_color: String,
        /// Interior colour.
        interior_color: String,
        /// Odometer reading, in `odometerUnit`.
        odometer: f64,
        /// Unit of the odometer, e.g. `KM` or `MILES`.
        odometer_unit: String,
    }

    /// A building under inspection.
    property: Property {
        /// What the customer calls it.
        name: String,
        /// Postal address, one line.
        address: String,
    }

    /// A thing under inspection that the vendor keeps in a register of its own.
    asset: Asset {
        /// The vendor's id of the asset.
        asset_id: String,
        /// The customer's number for it: a reference number or a VIN.
        external_id: String,
    }

    /// Where it happened.
    location: Location {
        /// The vendor's id of the place.
        location_id: String,
        /// What the customer calls the place.
        name: String,
        /// Address, one line.
        address: String,
        /// City.
        city: String,
        /// State, province or region.
        region: String,
        /// Postal code.
        post_code: String,
        /// Country.
        country: String,
        /// Degrees north (WGS 84).
        latitude: f64,
        /// Degrees east (WGS 84).
        longitude: f64,
    }

    /// How an inspection went.
    summary: Summary {
        /// When the inspection began, by the vendor's clock.
        started_at: DateTime<Utc>,
        /// When the inspection ended, by the vendor's clock.
        ended_at: DateTime<Utc>,
        /// Seconds spent taking pictures.
        capture_seconds: f64,
        /// Hours until the vendor expects to be done.
        estimated_hours: f64,
        /// Whether the vendor's record is still a draft.
        draft: bool,
        /// `CHECK_IN` or `CHECK_OUT`, for things that are handed out and come back.
        direction: String,
        /// Whether damage was found.
        damaged: bool,
        /// How many damages were found.
        damage_count: i32,
        /// What the damage costs, in the account's currency.
        damage_cost: f64,
        /// The worst grade of a single damage, on the vendor's scale.
        worst_grade: f64,
        /// The sum of all grades, on the vendor's scale.
        total_grade: f64,
        /// The vendor's page for the inspection.
        view_url: String,
        /// The report to download.
        report_url: String,
        /// The vendor's page that presents the result.
        landing_url: String,
        /// What the organization decided at the end.
        outcome: String,
        /// `active` or `archived`.
        archive_status: String,
        /// The work order it belongs to.
        work_order_id: String,
    }

    /// A picture.
    photo: Photo {
        /// Where to get it.
        url: String,
        /// What it shows, e.g. `Front left`.
        label: String,
        /// The vendor's code for what it shows.
        code: String,
        /// What the vendor's checks found: `passed`, `warn`, `failed`, `accepted` or `rejected`.
        verdict: String,
        /// Why, in the vendor's words.
        message: String,
        /// When it was taken or checked, by the vendor's clock.
        taken_at: DateTime<Utc>,
        /// Size in bytes.
        bytes: f64,
        /// Degrees north (WGS 84).
        latitude: f64,
        /// Degrees east (WGS 84).
        longitude: f64,
    }

    /// A film.
    video: Video {
        /// Where to get it.
        url: String,
        /// A still of it.
        thumbnail_url: String,
        /// When it was taken, by the vendor's clock.
        taken_at: DateTime<Utc>,
    }

    /// An answer to a question of the inspection.
    answer: Answer {
        /// The vendor's id of the question.
        question_id: String,
        /// What was asked.
        question: String,
        /// What was answered.
        text: String,
    }

    /// A message to or from the person who inspects.
    message: Message {
        /// `TEXT` or `EMAIL`.
        channel: String,
        /// `OUTBOUND`: to the person. `INBOUND`: from the person.
        direction: String,
        /// What it is for, in the vendor's words, e.g. `welcome` or `reminder`.
        purpose: String,
        /// `SENT`, `RECEIVED`, `BOUNCED`, `DROPPED` or `FAILED`.
        status: String,
        /// The recipient.
        recipient: String,
        /// The number it went to.
        phone: String,
        /// Why it failed.
        error: String,
        /// What it says.
        text: String,
        /// When, by the vendor's clock.
        sent_at: DateTime<Utc>,
    }

    /// Whether the person can be reached.
    contact: Contact {
        /// `EMAIL`.
        channel: String,
        /// `SUBSCRIBED`, `UNSUBSCRIBED` or `BOUNCED`.
        status: String,
    }

    /// A note on the inspection.
    note: Note {
        /// Its title.
        title: String,
        /// Its text.
        text: String,
        /// The author.
        author: String,
        /// When it was written, by the vendor's clock.
        written_at: DateTime<Utc>,
    }

    /// A filled form.
    form: Form {
        /// The vendor's id of the form's template.
        template_id: String,
        /// The answers, by the names of the form's fields.
        values: Json,
        /// When it was filled, by the vendor's clock.
        filled_at: DateTime<Utc>,
    }

    /// A file, a signature or an identity document.
    file: File {
        /// Where to get it.
        url: String,
        /// Its name.
        name: String,
        /// When it was made, by the vendor's clock.
        created_at: DateTime<Utc>,
    }

    /// A 3D model of a building.
    model: Model {
        /// The vendor's id of the model.
        model_id: String,
    }

    /// A damage that was found.
    damage: Damage {
        /// The part's group, e.g. `BODY` or `WHEEL`.
        part_group: String,
        /// The part.
        component: String,
        /// What is wrong with it.
        name: String,
        /// In a sentence.
        description: String,
        /// How it is repaired.
        repair_method: String,
        /// How bad it is, on the vendor's scale.
        grade: f64,
        /// What repair costs, in the account's currency.
        cost: f64,
        /// Hours of labour.
        labor_hours: f64,
        /// The code of the photo that shows it.
        photo_code: String,
        /// The photo that shows it.
        photo_url: String,
        /// The part of the photo that shows it.
        cropped_url: String,
    }

    /// Somebody who wants to be called.
    lead: Lead {
        /// The vendor's id of the lead.
        lead_id: String,
        /// The project.
        project_name: String,
        /// The vendor's id of the project.
        project_id: String,
    }

    /// A customer's account with a third party, through which data flows.
    account: Account {
        /// The customer it belongs to, by the customer's own key.
        tenant_id: String,
        /// The third party, e.g. `hubspot`.
        integration: String,
        /// How the customer logs in there.
        authentication: String,
        /// The newest error.
        last_error: String,
        /// Whether it is a sandbox.
        sandbox: bool,
    }

    /// A record that a sync brought.
    record: Record {
        /// What sort of record, e.g. `contacts`.
        resource: String,
        /// Its id at the third party.
        record_id: String,
        /// The record itself.
        data: Json,
        /// Why a record could not be brought.
        error: String,
    }

    /// A job's product to download: a PDF, a condition report.
    document: Document {
        /// Where to get it.
        url: String,
        /// Why there is none.
        error: String,
    }

    /// A request for a signature.
    signing: Signing {
        /// When it was signed, by the vendor's clock.
        signed_at: DateTime<Utc>,
    }

    /// One run of a sync job.
    run: Run {
        /// The sync job that runs.
        sync_job_id: String,
        /// The account it runs on.
        account_id: String,
        /// The resources it brings.
        resources: Json,
        /// When it began, by the vendor's clock.
        started_at: DateTime<Utc>,
        /// When it ended, by the vendor's clock.
        finished_at: DateTime<Utc>,
    }

    /// A task given to somebody.
    task: Task {
        /// What is to be done.
        name: String,
        /// By when.
        due_by: DateTime<Utc>,
        /// Whether it is urgent.
        high_priority: bool,
        /// The assigned person.
        assignee: String,
        /// The person who requested it.
        requester: String,
    }
}
