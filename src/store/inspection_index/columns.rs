//! The inspections in memory, in columns, and the pages in which they are saved.

use super::{CountGroup, InspectionRow};
use entity::Status;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::iter;

/// Inspections of a page. A page takes about 60 kB, and is written again when one of its inspections changes.
const PAGE_SIZE: usize = if cfg!(test) { 4 } else { 4096 };

/// The counters that the columns correspond to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexVersion {
    pub generation: i64,
    pub position: i64,
    /// How many deliveries were purged by then: a purge removes inspections without a new position.
    pub purged: i64,
}

/// The inspections in the order of their row ids.
#[derive(Debug, Default)]
pub struct InspectionColumns {
    pub version: IndexVersion,
    /// Whether all inspections are loaded.
    pub complete: bool,
    row_ids: Vec<i64>,
    /// Microseconds since the Unix epoch.
    created_at: Vec<i64>,
    /// Indexes into `groups`.
    group_indexes: Vec<u32>,
    pub groups: Vec<CountGroup>,
    index_of_group: HashMap<CountGroup, u32>,
    pub saved: SavedPages,
}

/// Which pages are saved as they are in memory.
#[derive(Debug, Default)]
pub struct SavedPages {
    /// The position at which all pages were saved; none if they never were.
    pub position: Option<i64>,
    /// The pages that have changed since.
    pub changed: BTreeSet<usize>,
}

/// The content of a saved page. Row ids and times are differences to the one before; the first is its own.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Page {
    /// Source, vendor and status.
    groups: Vec<(String, String, Option<String>)>,
    row_ids: Vec<i64>,
    created_at: Vec<i64>,
    group_indexes: Vec<usize>,
}

impl InspectionColumns {
    /// Whether these are all inspections of a version.
    pub fn is_current(&self, version: IndexVersion) -> bool {
        self.complete && self.version == version
    }

    /// The number of inspections.
    pub fn len(&self) -> i64 {
        i64::try_from(self.row_ids.len()).unwrap_or(i64::MAX)
    }

    /// Whether nothing was loaded yet.
    pub fn is_unloaded(&self) -> bool {
        !self.complete && self.row_ids.is_empty()
    }

    /// Row id, creation time and group of each inspection.
    pub fn rows(&self) -> impl Iterator<Item = (i64, i64, u32)> {
        let all = self.row_ids.iter().zip(&self.created_at).zip(&self.group_indexes);
        all.map(|((row_id, created_at), group)| (*row_id, *created_at, *group))
    }

    /// The number of inspections in each group.
    pub fn group_sizes(&self) -> Vec<i64> {
        let mut sizes = vec![0; self.groups.len()];
        for group in &self.group_indexes {
            if let Some(size) = sizes.get_mut(*group as usize) {
                *size += 1;
            }
        }
        sizes
    }

    /// The row id of the last inspection; less than any if there is none.
    pub fn last_row_id(&self) -> i64 {
        self.row_ids.last().copied().unwrap_or(i64::MIN)
    }

    /// Appends inspections, or changes the groups of known ones.
    pub fn upsert_all(&mut self, rows: Vec<InspectionRow>) {
        rows.into_iter().for_each(|row| self.upsert(row));
    }

    fn upsert(&mut self, InspectionRow { row_id, created_at, source, vendor, status }: InspectionRow) {
        let group = self.intern_group(CountGroup { source, vendor, status });
        if self.last_row_id() < row_id {
            self.saved.changed.insert(self.row_ids.len() / PAGE_SIZE);
            self.row_ids.push(row_id);
            self.created_at.push(created_at);
            self.group_indexes.push(group);
        } else if let Ok(index) = self.row_ids.binary_search(&row_id)
            && let Some(known) = self.group_indexes.get_mut(index)
            && *known != group
        {
            *known = group;
            self.saved.changed.insert(index / PAGE_SIZE);
        }
    }

    fn intern_group(&mut self, group: CountGroup) -> u32 {
        if let Some(index) = self.index_of_group.get(&group) {
            return *index;
        }
        // There are as many as sources have statuses.
        let index = u32::try_from(self.groups.len()).unwrap_or(u32::MAX);
        self.groups.push(group.clone());
        self.index_of_group.insert(group, index);
        index
    }

    /// The numbers of all pages.
    pub fn page_numbers(&self) -> BTreeSet<usize> {
        (0..self.row_ids.len().div_ceil(PAGE_SIZE)).collect()
    }

    /// The content of a page to save.
    pub fn encode_page(&self, number: usize) -> String {
        let (mut page, mut indexes) = (Page::default(), HashMap::new());
        page.row_ids = differences(nth_page(&self.row_ids, number));
        page.created_at = differences(nth_page(&self.created_at, number));
        for group in nth_page(&self.group_indexes, number) {
            let index = *indexes.entry(group).or_insert_with(|| {
                let group = self.groups.get(*group as usize).cloned();
                page.groups.extend(group.map(|of| (of.source, of.vendor, of.status.map(|status| status.to_string()))));
                page.groups.len().saturating_sub(1)
            });
            page.group_indexes.push(index);
        }
        serde_json::json!(page).to_string()
    }

    /// Appends the inspections of a saved page. Returns none if the content is invalid.
    pub fn append_page(&mut self, content: &str) -> Option<()> {
        let Page { groups, row_ids, created_at, group_indexes } = serde_json::from_str(content).ok()?;
        let follows_full_pages = self.row_ids.len().is_multiple_of(PAGE_SIZE);
        if !follows_full_pages
            || row_ids.len() > PAGE_SIZE
            || [created_at.len(), group_indexes.len()] != [row_ids.len(); 2]
        {
            return None;
        }
        let mut interned = Vec::new();
        for (source, vendor, status) in groups {
            let status = status.map(|word| Status::parse(&word).ok_or(())).transpose().ok()?;
            interned.push(self.intern_group(CountGroup { source, vendor, status }));
        }
        let row_ids = sums(row_ids);
        if !row_ids.iter().zip(row_ids.iter().skip(1)).all(|(one, next)| one < next)
            || *row_ids.first()? <= self.last_row_id()
        {
            return None;
        }
        let indexes = group_indexes.iter().map(|index| interned.get(*index).copied());
        self.group_indexes.extend(indexes.collect::<Option<Vec<u32>>>()?);
        self.created_at.extend(sums(created_at));
        self.row_ids.extend(row_ids);
        Some(())
    }
}

fn nth_page<T>(column: &[T], number: usize) -> &[T] {
    column.chunks(PAGE_SIZE).nth(number).unwrap_or_default()
}

// Each value less the one before. Wraps around, so that any values are restored.
fn differences(values: &[i64]) -> Vec<i64> {
    let before = iter::once(&0).chain(values);
    values.iter().zip(before).map(|(value, before)| value.wrapping_sub(*before)).collect()
}

fn sums(mut differences: Vec<i64>) -> Vec<i64> {
    let mut sum = 0_i64;
    for value in &mut differences {
        sum = sum.wrapping_add(*value);
        *value = sum;
    }
    differences
}
