//! The eight tables.

use arrow::record_batch::RecordBatchReader;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator,
    PartSuppGenerator, RegionGenerator, SupplierGenerator,
};
use tpchgen_arrow::{
    CustomerArrow, LineItemArrow, NationArrow, OrderArrow, PartArrow, PartSuppArrow, RegionArrow,
    SupplierArrow,
};

use super::ScaleFactor;

/// A table of TPC-H.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// Who orders.
    Customer,
    /// The items of every order: two thirds of all data.
    Lineitem,
    /// 25 rows at every scale.
    Nation,
    /// What was ordered when.
    Orders,
    /// What can be ordered.
    Part,
    /// Which supplier has which part at what cost.
    Partsupp,
    /// 5 rows at every scale.
    Region,
    /// Who delivers.
    Supplier,
}

/// The rows of one file of a table, as they are generated.
pub(super) type Rows = Box<dyn RecordBatchReader + Send>;

/// One part of `count` parts of a table; parts are numbered from 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) number: i32,
    pub(super) count: i32,
}

impl Table {
    /// All tables, in the order of their names.
    pub const ALL: [Self; 8] = [
        Self::Customer,
        Self::Lineitem,
        Self::Nation,
        Self::Orders,
        Self::Part,
        Self::Partsupp,
        Self::Region,
        Self::Supplier,
    ];

    /// The name of the table in SQL, and of its directory.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Lineitem => "lineitem",
            Self::Nation => "nation",
            Self::Orders => "orders",
            Self::Part => "part",
            Self::Partsupp => "partsupp",
            Self::Region => "region",
            Self::Supplier => "supplier",
        }
    }

    /// How many rows the table has; for `lineitem`, whose orders draw their number of items,
    /// about how many.
    #[must_use]
    pub fn expected_rows(self, scale: ScaleFactor) -> u64 {
        let factor = scale.as_f64();
        let rows = match self {
            Self::Customer => CustomerGenerator::calculate_row_count(factor, 1, 1),
            Self::Lineitem => 4 * OrderGenerator::calculate_row_count(factor, 1, 1),
            Self::Nation => 25,
            Self::Orders => OrderGenerator::calculate_row_count(factor, 1, 1),
            Self::Part => PartGenerator::calculate_row_count(factor, 1, 1),
            // The generator counts parts; each has four suppliers.
            Self::Partsupp => 4 * PartSuppGenerator::calculate_row_count(factor, 1, 1),
            Self::Region => 5,
            Self::Supplier => SupplierGenerator::calculate_row_count(factor, 1, 1),
        };
        u64::try_from(rows).unwrap_or_default()
    }

    /// Into how many files the table is split: several where a scan is worth sharing.
    pub(super) fn files(self, scale: ScaleFactor) -> i32 {
        match self {
            Self::Nation | Self::Region | Self::Supplier => 1,
            Self::Customer | Self::Part => files(scale, 2),
            Self::Lineitem | Self::Orders | Self::Partsupp => files(scale, 4),
        }
    }

    /// Starts to generate one part of the table.
    pub(super) fn rows(self, scale: ScaleFactor, part: Part) -> Rows {
        let factor = scale.as_f64();
        let Part { number, count } = part;
        match self {
            Self::Customer => Box::new(CustomerArrow::new(CustomerGenerator::new(
                factor, number, count,
            ))),
            Self::Lineitem => Box::new(LineItemArrow::new(LineItemGenerator::new(
                factor, number, count,
            ))),
            Self::Nation => Box::new(NationArrow::new(NationGenerator::new(
                factor, number, count,
            ))),
            Self::Orders => Box::new(OrderArrow::new(OrderGenerator::new(factor, number, count))),
            Self::Part => Box::new(PartArrow::new(PartGenerator::new(factor, number, count))),
            Self::Partsupp => Box::new(PartSuppArrow::new(PartSuppGenerator::new(
                factor, number, count,
            ))),
            Self::Region => Box::new(RegionArrow::new(RegionGenerator::new(
                factor, number, count,
            ))),
            Self::Supplier => Box::new(SupplierArrow::new(SupplierGenerator::new(
                factor, number, count,
            ))),
        }
    }
}

/// `least` files up to scale 1, and as many again for each further unit, up to 32.
#[expect(clippy::cast_possible_truncation, reason = "clamped to 1..=8 before")]
fn files(scale: ScaleFactor, least: i32) -> i32 {
    least * scale.as_f64().ceil().clamp(1.0, 8.0) as i32
}
