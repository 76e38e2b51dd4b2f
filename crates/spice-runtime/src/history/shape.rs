//! Which statements another scheduler may run over this node's history.
//!
//! One flat `SELECT` over one table, of things that cannot become larger than what they are made
//! of: no join, no subquery, no table function, nothing that joins texts together. So an answer
//! grows neither with what is asked nor with how it is asked, only with what is there.

use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::sqlparser::ast::{SetExpr, Statement as Parsed, TableFactor};
use datafusion::logical_expr::{Expr, LogicalPlan, Operator};
use datafusion::sql::parser::Statement;

use crate::query_error::QueryError;

/// Admit the text of a statement, before it is planned: plans of some short statements are large.
pub(super) fn admit_statement(statement: &Statement) -> Result<(), QueryError> {
    let flat = match statement {
        Statement::Statement(statement) => is_flat(statement),
        _ => false,
    };
    if flat {
        return Ok(());
    }
    Err(refused(
        "one SELECT over one table, without WITH, joins and subqueries, is what it takes",
    ))
}

fn is_flat(statement: &Parsed) -> bool {
    let Parsed::Query(query) = statement else {
        return false;
    };
    let SetExpr::Select(select) = query.body.as_ref() else {
        return false;
    };
    let [from] = select.from.as_slice() else {
        return false;
    };
    let named = matches!(&from.relation, TableFactor::Table { args: None, .. });
    named && from.joins.is_empty() && query.with.is_none() && select.lateral_views.is_empty()
}

/// Admit a plan that reads the history once and makes nothing larger of it.
pub(super) fn admit_plan(plan: &LogicalPlan) -> Result<(), QueryError> {
    if plan.schema().fields().len() > COLUMN_LIMIT {
        return Err(refused(&format!(
            "more than {COLUMN_LIMIT} columns are too many"
        )));
    }
    let mut refusal = None;
    plan.apply(|node| {
        refusal = refusal_of(node)?;
        Ok(match refusal {
            Some(_) => TreeNodeRecursion::Stop,
            None => TreeNodeRecursion::Continue,
        })
    })?;
    refusal.map_or(Ok(()), Err)
}

fn refusal_of(node: &LogicalPlan) -> Result<Option<QueryError>> {
    let known = matches!(
        node,
        LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Distinct(_)
            | LogicalPlan::TableScan(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Limit(_)
    );
    if !known {
        return Ok(Some(refused(
            "it can be filtered, sorted, grouped and limited only",
        )));
    }
    let mut refusal = None;
    node.apply_expressions(|expr| {
        expr.apply(|part| {
            if may_grow(part) {
                refusal = Some(refused(&format!("`{part}` is not available for it")));
                return Ok(TreeNodeRecursion::Stop);
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(refusal)
}

/// Whether `expr` is none of those that give no more than they get.
fn may_grow(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => value.size() > LITERAL_LIMIT_BYTES,
        Expr::BinaryExpr(binary) => !OPERATORS.contains(&binary.op),
        Expr::ScalarFunction(call) => !FUNCTIONS.contains(&call.name()),
        Expr::AggregateFunction(AggregateFunction { func, .. }) => {
            !AGGREGATES.contains(&func.name())
        }
        Expr::Alias(_)
        | Expr::Column(_)
        | Expr::Like(_)
        | Expr::Not(_)
        | Expr::IsNotNull(_)
        | Expr::IsNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::Negative(_)
        | Expr::Between(_)
        | Expr::Case(_)
        | Expr::Cast(_)
        | Expr::TryCast(_)
        | Expr::InList(_) => false,
        _ => true,
    }
}

fn refused(why: &str) -> QueryError {
    QueryError::Unsupported(format!(
        "this query over the task history is refused: {why}"
    ))
}

const OPERATORS: [Operator; 13] = [
    Operator::Eq,
    Operator::NotEq,
    Operator::Lt,
    Operator::LtEq,
    Operator::Gt,
    Operator::GtEq,
    Operator::And,
    Operator::Or,
    Operator::Plus,
    Operator::Minus,
    Operator::Multiply,
    Operator::Divide,
    Operator::Modulo,
];

const FUNCTIONS: [&str; 7] = [
    "now",
    "date_trunc",
    "date_part",
    "date_bin",
    "to_timestamp",
    "coalesce",
    "starts_with",
];

const AGGREGATES: [&str; 5] = ["count", "sum", "min", "max", "avg"];

/// The history has thirteen; with as many sums and counts beside them it is still a table that
/// somebody reads.
const COLUMN_LIMIT: usize = 32;

/// As long as the longest text of the history, and what a value is wrapped in.
const LITERAL_LIMIT_BYTES: usize = super::record::INPUT_LIMIT_BYTES + 256;
