//! The 22 queries with the validation parameters of the specification.

use super::ScaleFactor;

/// One of the 22 queries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Its number in the specification, from 1 to 22.
    pub number: u8,
    /// Its text for one scale factor.
    pub sql: String,
}

/// All queries, in the order of their numbers.
#[must_use]
pub fn queries(scale: ScaleFactor) -> Vec<Query> {
    (1..)
        .zip(TEXTS)
        .map(|(number, text)| Query {
            number,
            sql: text.replace("{FRACTION}", &fraction(scale)),
        })
        .collect()
}

/// The query with this number; there is none but 1 to 22.
#[must_use]
pub fn query(number: u8, scale: ScaleFactor) -> Option<Query> {
    queries(scale)
        .into_iter()
        .find(|query| query.number == number)
}

/// What share of all stock is important in query 11: the number of rows in its answer would
/// otherwise depend on the scale.
fn fraction(scale: ScaleFactor) -> String {
    format!("{:.12}", 0.0001 / scale.as_f64())
}

const TEXTS: [&str; 22] = [
    include_str!("queries/q01.sql"),
    include_str!("queries/q02.sql"),
    include_str!("queries/q03.sql"),
    include_str!("queries/q04.sql"),
    include_str!("queries/q05.sql"),
    include_str!("queries/q06.sql"),
    include_str!("queries/q07.sql"),
    include_str!("queries/q08.sql"),
    include_str!("queries/q09.sql"),
    include_str!("queries/q10.sql"),
    include_str!("queries/q11.sql"),
    include_str!("queries/q12.sql"),
    include_str!("queries/q13.sql"),
    include_str!("queries/q14.sql"),
    include_str!("queries/q15.sql"),
    include_str!("queries/q16.sql"),
    include_str!("queries/q17.sql"),
    include_str!("queries/q18.sql"),
    include_str!("queries/q19.sql"),
    include_str!("queries/q20.sql"),
    include_str!("queries/q21.sql"),
    include_str!("queries/q22.sql"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(factor: f64) -> ScaleFactor {
        ScaleFactor::new(factor).unwrap()
    }

    #[test]
    fn every_file_holds_the_query_of_its_number() {
        for query in queries(scale(1.0)) {
            let heading = format!("-- Q{}, ", query.number);
            assert!(query.sql.starts_with(&heading), "{}", query.sql);
        }
    }

    #[test]
    fn the_fraction_of_query_11_shrinks_as_the_data_grows() {
        let small = query(11, scale(0.1)).unwrap().sql;
        let large = query(11, scale(10.0)).unwrap().sql;
        assert!(small.contains("* 0.001000000000"), "{small}");
        assert!(large.contains("* 0.000010000000"), "{large}");
        assert!(
            !queries(scale(1.0))
                .iter()
                .any(|query| query.sql.contains('{'))
        );
    }

    #[test]
    fn there_is_no_query_23() {
        assert!(query(22, scale(1.0)).is_some());
        assert_eq!(query(23, scale(1.0)), None);
        assert_eq!(query(0, scale(1.0)), None);
    }
}
