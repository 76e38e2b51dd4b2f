use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::Int64Type;
use arrow_flight::FlightInfo;
use arrow_flight::error::FlightError;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{CommandGetDbSchemas, CommandGetTables, SqlInfo};
use datafusion::error::DataFusionError;
use futures::{StreamExt as _, TryStreamExt as _, future, stream};
use public_api::{MAX_SQL_BYTES, serve_flight};
use spice_runtime::{QueryError, SqlEngine};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use crate::support::{Script, Served, batch, local, scripted};

type Client = FlightSqlServiceClient<Channel>;

#[tokio::test]
async fn answers_a_statement_with_the_schema_it_announced() {
    let (served, _data) = serve(local().await).await;
    let mut client = client(&served).await;
    let flight = execute(&mut client, "SELECT id, name FROM t ORDER BY id")
        .await
        .unwrap();
    let announced = flight.clone().try_decode_schema().unwrap();
    let batches = rows(&mut client, &flight).await.unwrap();
    assert_eq!(*batches[0].schema(), announced);
    let names: Vec<_> = batches[0]
        .column(1)
        .as_string::<i32>()
        .iter()
        .flatten()
        .collect();
    assert_eq!(names, ["a", "b"]);
}

#[tokio::test]
async fn sends_the_schema_even_without_rows() {
    let (served, _data) = serve(local().await).await;
    let mut client = client(&served).await;
    let flight = execute(&mut client, "SELECT id FROM t WHERE id > 5")
        .await
        .unwrap();
    let ticket = flight.endpoint[0].ticket.clone().unwrap();
    let mut stream = client.do_get(ticket).await.unwrap();
    assert!(stream.next().await.is_none());
    assert_eq!(stream.schema().unwrap().field(0).name(), "id");
}

#[tokio::test]
async fn answers_a_prepared_statement_without_parameters() {
    let (served, _data) = serve(local().await).await;
    let mut client = client(&served).await;
    let sql = "SELECT id FROM t".to_owned();
    let mut prepared = client.prepare(sql, None).await.unwrap();
    assert_eq!(prepared.dataset_schema().unwrap().field(0).name(), "id");
    assert!(prepared.parameter_schema().unwrap().fields().is_empty());
    for _ in 0..2 {
        let flight = prepared.execute().await.unwrap();
        assert_eq!(count(&rows(&mut client, &flight).await.unwrap()), 2);
    }
    prepared.close().await.unwrap();
}

#[tokio::test]
async fn refuses_bound_parameters_in_words() {
    let (served, _data) = serve(local().await).await;
    let mut client = client(&served).await;
    let sql = "SELECT id FROM t WHERE id = $1".to_owned();
    let refused = client.prepare(sql, None).await.err().unwrap();
    assert_eq!(code(&refused), Code::InvalidArgument);
    assert!(refused.to_string().contains("parameters"), "{refused}");
    let mut prepared = client.prepare("SELECT 1".to_owned(), None).await.unwrap();
    prepared.set_parameters(batch(&[1])).unwrap();
    let refused = prepared.execute().await.unwrap_err();
    assert_eq!(code(&refused), Code::Unimplemented);
    assert!(refused.to_string().contains("parameters"), "{refused}");
}

#[tokio::test]
async fn gives_each_kind_of_refusal_its_code() {
    let (served, _data) = serve(local().await).await;
    let mut client = client(&served).await;
    let too_long = format!("SELECT 1{}", " ".repeat(MAX_SQL_BYTES));
    for (sql, expected) in [
        ("SELEC 1", Code::InvalidArgument),
        ("SELECT * FROM nowhere", Code::InvalidArgument),
        (too_long.as_str(), Code::InvalidArgument),
        ("DROP TABLE t", Code::Unimplemented),
    ] {
        let refused = execute(&mut client, sql).await.unwrap_err();
        assert_eq!(code(&refused), expected, "{refused}");
    }
    let update = client
        .execute_update("DELETE FROM t".to_owned(), None)
        .await;
    assert_eq!(code(&update.unwrap_err()), Code::Unimplemented);
    let transaction = client.begin_transaction().await;
    assert_eq!(code(&transaction.unwrap_err()), Code::Unimplemented);
}

#[tokio::test]
async fn passes_on_why_other_nodes_could_not_run_a_query() {
    for (error, expected) in [
        (QueryError::Unavailable("none".into()), Code::Unavailable),
        (
            QueryError::Exhausted("memory".into()),
            Code::ResourceExhausted,
        ),
        (QueryError::Failed("disk".into()), Code::Internal),
    ] {
        let (served, _data) = serve(scripted(Script::Refuse(error)).await).await;
        let mut client = client(&served).await;
        let flight = execute(&mut client, "SELECT id FROM t").await.unwrap();
        let refused = rows(&mut client, &flight).await.unwrap_err();
        assert_eq!(code(&refused), expected);
    }
}

#[tokio::test]
async fn ends_a_stream_with_a_status_when_the_query_fails_on_the_way() {
    let failure = Err(DataFusionError::ResourcesExhausted("memory".to_owned()));
    let script = Script::Rows(stream::iter([Ok(batch(&[1])), failure]).boxed());
    let (served, _data) = serve(scripted(script).await).await;
    let mut client = client(&served).await;
    let flight = execute(&mut client, "SELECT id FROM t").await.unwrap();
    let failed = rows(&mut client, &flight).await.unwrap_err();
    assert_eq!(code(&failed), Code::ResourceExhausted);
}

#[tokio::test]
async fn lists_what_there_is_to_query() {
    let (served, _data) = serve(local().await).await;
    let mut client = client(&served).await;

    let flight = client.get_catalogs().await.unwrap();
    assert_eq!(texts(&mut client, &flight, 0).await, ["spice"]);

    let schemas = CommandGetDbSchemas::default();
    let flight = client.get_db_schemas(schemas).await.unwrap();
    let listed = texts(&mut client, &flight, 1).await;
    assert_eq!(listed, ["information_schema", "mart", "public"]);

    let tables = CommandGetTables {
        include_schema: true,
        ..CommandGetTables::default()
    };
    let flight = client.get_tables(tables).await.unwrap();
    let mut listed = texts(&mut client, &flight, 2).await;
    listed.sort();
    assert_eq!(listed, ["t", "v"]);

    let views = CommandGetTables {
        table_types: vec!["VIEW".to_owned()],
        ..CommandGetTables::default()
    };
    let flight = client.get_tables(views).await.unwrap();
    assert_eq!(texts(&mut client, &flight, 2).await, ["v"]);

    let flight = client.get_table_types().await.unwrap();
    assert_eq!(texts(&mut client, &flight, 0).await, ["BASE TABLE", "VIEW"]);

    for asked in [vec![], vec![SqlInfo::FlightSqlServerTransaction]] {
        let expected = asked.len();
        let flight = client.get_sql_info(asked).await.unwrap();
        let told = count(&rows(&mut client, &flight).await.unwrap());
        assert!(expected == 0 && told > 1 || told == expected, "{told}");
    }
}

#[tokio::test]
async fn accepts_a_handshake_and_grants_nothing_but_a_token_for_nobody() {
    let (served, _data) = serve(local().await).await;
    let mut client = client(&served).await;
    client.handshake("someone", "secret").await.unwrap();
    assert_eq!(client.token().map(String::as_str), Some("anonymous"));
    let flight = execute(&mut client, "SELECT 1").await.unwrap();
    assert_eq!(count(&rows(&mut client, &flight).await.unwrap()), 1);
}

#[tokio::test]
async fn answers_many_statements_at_once() {
    let (served, _data) = serve(local().await).await;
    let queries = (0..16).map(|n| {
        let served = &served;
        async move {
            let mut client = client(served).await;
            let sql = format!("SELECT count(*) + {n} FROM t");
            let flight = execute(&mut client, &sql).await.unwrap();
            let batches = rows(&mut client, &flight).await.unwrap();
            batches[0].column(0).as_primitive::<Int64Type>().value(0) - n
        }
    });
    assert_eq!(future::join_all(queries).await, [2; 16]);
}

#[tokio::test]
async fn finishes_a_stream_that_is_under_way_before_it_ends() {
    let (open, gate) = oneshot::channel::<()>();
    let second = stream::once(async move {
        gate.await.unwrap();
        Ok(batch(&[2]))
    });
    let script = Script::Rows(stream::iter([Ok(batch(&[1]))]).chain(second).boxed());
    let (served, _data) = serve(scripted(script).await).await;
    let mut client = client(&served).await;
    let flight = execute(&mut client, "SELECT id FROM t").await.unwrap();
    let ticket = flight.endpoint[0].ticket.clone().unwrap();
    let mut stream = client.do_get(ticket).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), batch(&[1]));
    served.shutdown.cancel();
    open.send(()).unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), batch(&[2]));
    assert!(stream.next().await.is_none());
    drop((stream, client));
    served.ended().await.unwrap();
}

async fn serve((sql, data): (SqlEngine, TempDir)) -> (Served, TempDir) {
    let served = Served::start(|listener, shutdown| serve_flight(listener, sql, shutdown)).await;
    (served, data)
}

async fn client(served: &Served) -> Client {
    let endpoint = Endpoint::from_shared(format!("http://{}", served.address)).unwrap();
    FlightSqlServiceClient::new(endpoint.connect().await.unwrap())
}

async fn execute(client: &mut Client, sql: &str) -> Result<FlightInfo, FlightError> {
    client.execute(sql.to_owned(), None).await
}

async fn rows(client: &mut Client, flight: &FlightInfo) -> Result<Vec<RecordBatch>, FlightError> {
    let ticket = flight.endpoint[0].ticket.clone().unwrap();
    client.do_get(ticket).await?.try_collect().await
}

fn count(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::num_rows).sum()
}

async fn texts(client: &mut Client, flight: &FlightInfo, column: usize) -> Vec<String> {
    let batches = rows(client, flight).await.unwrap();
    let columns = batches
        .iter()
        .map(|batch| batch.column(column).as_string::<i32>());
    columns
        .flat_map(|column| column.iter().flatten().map(str::to_owned))
        .collect()
}

fn code(error: &FlightError) -> Code {
    match error {
        FlightError::Tonic(status) => status.code(),
        other => panic!("no status: {other}"),
    }
}
