//! The read-only rule, judged on the parsed statement and again on its plan.

use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::sqlparser::ast;
use datafusion::prelude::SQLOptions;
use datafusion::sql::parser::Statement;

use crate::query_error::QueryError;

/// Admit statements that only read. This comes before planning, so that `INSERT INTO nothing`
/// is refused for what it is and not for the missing table.
pub(crate) fn admit(statement: &Statement) -> Result<(), QueryError> {
    match statement {
        Statement::Explain(explain) => admit(&explain.statement),
        Statement::Statement(statement) if reads(statement) => Ok(()),
        Statement::Statement(statement) => Err(refused(&statement.to_string())),
        Statement::CreateExternalTable(_) => Err(refused("CREATE")),
        Statement::CopyTo(_) => Err(refused("COPY")),
        Statement::Reset(_) => Err(refused("RESET")),
    }
}

/// Admit plans that only read and are complete. This catches what hides inside a query, such
/// as `SELECT ... INTO`.
pub(crate) fn admit_plan(plan: &LogicalPlan) -> Result<(), QueryError> {
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(plan)
        .map_err(|_| refused("a statement that changes something"))?;
    let parameters = plan.get_parameter_names()?;
    if parameters.is_empty() {
        return Ok(());
    }
    Err(QueryError::Unsupported(
        "query parameters are not supported by this version yet; write the values into the SQL"
            .to_owned(),
    ))
}

fn reads(statement: &ast::Statement) -> bool {
    use ast::Statement as S;
    matches!(
        statement,
        S::Query(_)
            | S::Explain { .. }
            | S::ExplainTable { .. }
            | S::ShowVariable { .. }
            | S::ShowVariables { .. }
            | S::ShowTables { .. }
            | S::ShowColumns { .. }
            | S::ShowCreate { .. }
            | S::ShowFunctions { .. }
            | S::ShowDatabases { .. }
            | S::ShowSchemas { .. }
    )
}

/// The refusal, which names the statement by its first word.
fn refused(statement: &str) -> QueryError {
    let word = statement.split_whitespace().next().unwrap_or(statement);
    let what = if word.chars().all(|c| c.is_ascii_uppercase()) {
        word
    } else {
        statement
    };
    QueryError::Unsupported(format!(
        "{what} is refused: SQL is read-only here (SELECT, EXPLAIN, DESCRIBE and SHOW)"
    ))
}
