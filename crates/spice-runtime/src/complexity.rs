//! A bound on how deep a statement can be, before anything recurses into it.
//!
//! The parser bounds nesting, but chains (`1+1+1`, `a OR b OR c`, `UNION` after `UNION`) it
//! reads in a loop into trees that are as deep as the chain is long. Everything after it walks
//! those trees by recursion, and a stack that overflows ends the process; well before that,
//! planning takes seconds. So chains are counted where nothing recurses: in the tokens.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::query_error::QueryError;

/// Admit statements whose chains are short enough to be planned.
pub(crate) fn admit(sql: &str) -> Result<(), QueryError> {
    // What does not tokenize is refused by the parser, with the position of the fault.
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize() else {
        return Ok(());
    };
    let links = tokens.iter().filter(|token| links_a_chain(token)).count();
    if links <= MAX_LINKS {
        return Ok(());
    }
    Err(QueryError::Invalid(format!(
        "the statement chains {links} operators, and at most {MAX_LINKS} can be planned; \
         put long lists of values into IN (...), VALUES or a dataset"
    )))
}

/// Whether a token may join what stands before it to what follows. Lists and names are no
/// chains: a thousand values or columns are as flat as one.
fn links_a_chain(token: &Token) -> bool {
    match token {
        Token::Word(word) => CHAINING.contains(&word.keyword),
        Token::EOF
        | Token::Number(..)
        | Token::Char(_)
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::Whitespace(_)
        | Token::Comma
        | Token::Period
        | Token::LParen
        | Token::RParen
        | Token::SemiColon => false,
        _ => true,
    }
}

const CHAINING: [Keyword; 15] = [
    Keyword::AND,
    Keyword::OR,
    Keyword::XOR,
    Keyword::UNION,
    Keyword::EXCEPT,
    Keyword::INTERSECT,
    Keyword::JOIN,
    Keyword::IS,
    Keyword::AT,
    Keyword::COLLATE,
    Keyword::LIKE,
    Keyword::ILIKE,
    Keyword::BETWEEN,
    Keyword::IN,
    Keyword::OVERLAPS,
];

/// Far more than people and report generators write. A sum of this many terms plans in about two
/// seconds. Three times as many `UNION`s, the deepest frames of all chains that were tried,
/// overflow a stack of 8 MiB.
const MAX_LINKS: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admits_long_lists_and_refuses_long_chains() {
        let list = vec!["1"; 50_000].join(",");
        admit(&format!("SELECT * FROM t WHERE a IN ({list})")).unwrap();
        for (first, link) in [
            ("SELECT 1", " UNION ALL SELECT 1"),
            ("SELECT 1", "+1"),
            ("SELECT 1", "::int"),
            ("SELECT a OR a", " OR a"),
            ("SELECT 1", " IS NULL"),
            ("SELECT x", " AT TIME ZONE 'UTC'"),
            ("SELECT * FROM t", " JOIN t USING (a)"),
        ] {
            admit(&format!("{first}{}", link.repeat(300))).unwrap();
            let refused = admit(&format!("{first}{}", link.repeat(3000)));
            assert!(matches!(refused, Err(QueryError::Invalid(_))), "{link}");
        }
    }

    #[tokio::test]
    async fn a_long_union_can_be_planned() {
        let app = spicepod::App::empty();
        let secrets = std::sync::Arc::new(crate::NoSecrets);
        let runtime = crate::Runtime::open(&app, crate::RuntimeOptions::default(), secrets);
        let engine = crate::SqlEngine::local(std::sync::Arc::new(runtime.await.unwrap()));
        let sql = format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(300));
        let planned = Box::pin(engine.plan(&sql)).await;
        assert!(planned.is_ok(), "{planned:?}");
    }
}
