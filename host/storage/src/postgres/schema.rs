//! The table: how it is made, and how one that is there is known again.
//!
//! The table's comment says whose it is and which form it has: `dataknobs-kv schema 1`. A table without it is someone
//! else's, one of a higher number is a newer version's, and both are refused as they are. All that is made is made in one
//! transaction under an advisory lock, so that any number of processes can open an empty database at once.

use dataknobs_kv_core::{Error, Result};
use tokio_postgres::types::Type;

use super::config::PostgresConfig;
use super::failure::Failure;
use super::format::own;
use super::link::{Deadline, Lease, Link};
use super::sql;

/// The number of the form below.
const SCHEMA: u32 = 1;
const MARK: &str = "dataknobs-kv schema ";
/// `INCLUDE` came with 11, plans that can be forced with 12.
const LEAST_SERVER: i32 = 120_000;

/// Name, type, and whether it must be there.
const COLUMNS: &[(&str, &str, bool)] = &[
    ("namespace", "text", true),
    ("key", "text", true),
    ("version", "uuid", true),
    ("value_type", "text", true),
    ("content_type", "text", false),
    ("value", "text", false),
    ("bytes", "bytea", false),
    ("metadata", "jsonb", false),
    ("created_at", "timestamp with time zone", true),
    ("updated_at", "timestamp with time zone", true),
    ("expires_at", "timestamp with time zone", false),
    ("sliding_ms", "bigint", false),
    ("size", "bigint", true),
    ("checksum", "bigint", true),
];

/// A table that can be used.
pub(super) struct Table {
    /// As it is written in SQL.
    pub(super) table: String,
    /// The same, of the function beside it.
    pub(super) function: String,
    /// Whether what is answered survives the death of the server, by its settings.
    pub(super) durable: bool,
}

struct Names {
    table: String,
    function: String,
}

fn names(schema: &str, table: &str) -> Names {
    // The number goes up with each change of the function: versions of this program that differ in it live side by side.
    Names {
        table: format!("{}.{}", quoted(schema), quoted(table)),
        function: format!("{}.{}", quoted(schema), quoted(&format!("{table}_write_1"))),
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    // Also where backslashes escape.
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// Finds the table, or with `create` makes it.
pub(super) async fn open(link: &Link, config: &PostgresConfig, create: bool) -> Result<Table> {
    let deadline = link.deadline();
    let lease = link.lease(deadline).await.map_err(Failure::into_unapplied)?;
    let (schema, table) =
        config.split_table().ok_or_else(|| Error::InvalidArgument("`table` is NAME or SCHEMA.NAME".into()))?;
    let schema = server(&lease, deadline, schema, table).await?;
    let found = look(&lease, deadline, &schema, table).await?;
    if found != Found::Ready {
        if found == Found::Nothing && !create {
            return Err(Error::InvalidArgument(format!("there is no table {schema}.{table}")));
        }
        make(&lease, deadline, &schema, table).await?;
    }
    let Names { table, function } = names(&schema, table);
    let durable = durable(&lease, deadline, &table).await?;
    lease.finish();
    Ok(Table { table, function, durable })
}

/// Looks at the server, and finds the schema that the table is or will be in.
async fn server(lease: &Lease, deadline: Deadline, schema: Option<&str>, table: &str) -> Result<String> {
    const QUERY: &str = "select current_setting('server_encoding'), current_setting('server_version_num')::integer, \
        current_setting('server_version'), coalesce((select n.nspname::text from pg_catalog.pg_class c join \
        pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = to_regclass($1)), current_schema()::text), \
        exists (select from pg_catalog.pg_namespace where nspname = $2)";
    let parameter = quoted(table);
    let schema_parameter = schema.unwrap_or_default();
    let rows = lease.typed(QUERY, &[(&parameter, Type::TEXT), (&schema_parameter, Type::TEXT)], deadline).await?;
    let row = rows.first().ok_or_else(|| Error::Internal("PostgreSQL: no answer about the server".into()))?;
    let (encoding, number, version): (&str, i32, &str) = (own(row, 0)?, own(row, 1)?, own(row, 2)?);
    if encoding != "UTF8" {
        return Err(Error::Unsupported(format!(
            "the database is encoded in {encoding}; a store needs one in UTF8 (CREATE DATABASE … ENCODING 'UTF8')"
        )));
    }
    if number < LEAST_SERVER {
        return Err(Error::Unsupported(format!("the server is PostgreSQL {version}; a store needs 12 or later")));
    }
    match (schema, own::<Option<String>>(row, 3)?) {
        (Some(schema), _) if own(row, 4)? => Ok(schema.to_owned()),
        (Some(schema), _) => Err(Error::InvalidArgument(format!("there is no schema `{schema}` in the database"))),
        (None, Some(schema)) => Ok(schema),
        (None, None) => Err(Error::InvalidArgument(
            "the role's search_path names no schema that is there; `table=SCHEMA.NAME` does".into(),
        )),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    /// The table, without the function: a dump of the table alone was restored.
    TableAlone,
    Ready,
}

/// Whether the table is there, and is ours.
async fn look(lease: &Lease, deadline: Deadline, schema: &str, table: &str) -> Result<Found> {
    const QUERY: &str = "select c.relkind::text, obj_description(c.oid, 'pg_class'), \
        to_regproc($3) is not null, array(select a.attname::text || ' ' || format_type(a.atttypid, a.atttypmod) || \
        case when a.attnotnull then '!' else '' end || case when a.attnotnull and not a.atthasdef and a.attidentity = \
        '' then '?' else '' end || case when a.attcollation = 'pg_catalog.\"C\"'::regcollation then 'C' else '' end \
        from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), \
        exists (select from pg_catalog.pg_index i where i.indrelid = c.oid and i.indisunique and i.indisvalid and \
        i.indpred is null and i.indnkeyatts = 2 and \
        (select a.attname from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum = i.indkey[0]) = \
        'namespace' and (select a.attname from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum = \
        i.indkey[1]) = 'key') \
        from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and \
        c.relname = $2";
    let function = names(schema, table).function;
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
        [(&schema, Type::TEXT), (&table, Type::TEXT), (&function, Type::TEXT)];
    let rows = lease.typed(QUERY, &parameters, deadline).await?;
    let Some(row) = rows.first() else { return Ok(Found::Nothing) };
    let foreign = |why: &str| {
        Err(Error::InvalidArgument(format!(
            "{schema}.{table} is not a table of this store: {why}; it is left as it is, `table` names another"
        )))
    };
    if own::<&str>(row, 0)? != "r" {
        return foreign("it is no ordinary table");
    }
    let comment: Option<&str> = own(row, 1)?;
    match comment.and_then(|comment| comment.strip_prefix(MARK)).and_then(|number| number.trim().parse::<u32>().ok()) {
        Some(SCHEMA) => {}
        Some(newer) if newer > SCHEMA => {
            return Err(Error::Unsupported(format!(
                "{schema}.{table} has schema {newer}, made by a newer version; this one knows {SCHEMA}"
            )));
        }
        _ => return foreign(&format!("its comment is not `{MARK}{SCHEMA}`")),
    }
    let columns: Vec<String> = own(row, 3)?;
    for (name, ty, required) in COLUMNS {
        let wanted = format!("{name} {ty}{}", if *required { "!" } else { "" });
        let plain = |column: &String| column.trim_end_matches('C').trim_end_matches('?') == wanted;
        match columns.iter().find(|column| plain(column)) {
            None => return foreign(&format!("its column `{name}` is missing or of another type")),
            Some(column) if matches!(*name, "namespace" | "key") && !column.ends_with('C') => {
                return foreign(&format!("its column `{name}` is not COLLATE \"C\""));
            }
            Some(_) => {}
        }
    }
    // Others may add columns of their own, as long as rows can do without them.
    let known = |column: &String| COLUMNS.iter().any(|(name, ..)| column.split(' ').next() == Some(name));
    if let Some(other) = columns.iter().find(|column| column.contains('?') && !known(column)) {
        return foreign(&format!("its column `{}` must not be null", other.split(' ').next().unwrap_or_default()));
    }
    if !own::<bool>(row, 4)? {
        return foreign("it has no unique index on (namespace, key)");
    }
    Ok(if own(row, 2)? { Found::Ready } else { Found::TableAlone })
}

async fn durable(lease: &Lease, deadline: Deadline, table: &str) -> Result<bool> {
    const QUERY: &str = "select current_setting('synchronous_commit') <> 'off' and exists (select from \
        pg_catalog.pg_class where oid = to_regclass($1) and relpersistence = 'p')";
    let rows = lease.typed(QUERY, &[(&table, Type::TEXT)], deadline).await?;
    rows.first().map_or(Ok(false), |row| own(row, 0))
}

/// Makes what is missing, unless someone else did meanwhile.
async fn make(lease: &Lease, deadline: Deadline, schema: &str, table: &str) -> Result<()> {
    let names = names(schema, table);
    let lock = format!(
        "begin isolation level read committed; select pg_advisory_xact_lock(hashtextextended({}, 0))",
        literal(&format!("dataknobs-kv {schema}.{table}"))
    );
    lease.batch(&lock, deadline).await?;
    let found = look(lease, deadline, schema, table).await?;
    let mut text = String::new();
    if found == Found::Nothing {
        text += &table_text(&names.table, table);
    }
    if found != Found::Ready {
        text += &sql::function(&names.table, &names.function);
        text += ";\n";
    }
    lease.batch(&format!("{text}commit"), deadline).await?;
    if found == Found::Nothing {
        tracing::info!(table = names.table, "made the table of a store");
    }
    Ok(())
}

fn table_text(full: &str, table: &str) -> String {
    let columns: Vec<_> = COLUMNS
        .iter()
        .map(|(name, ty, required)| {
            let collation = if matches!(*name, "namespace" | "key") { " collate \"C\"" } else { "" };
            format!("{name} {ty}{collation}{}", if *required { " not null" } else { "" })
        })
        .collect();
    let index = quoted(&format!("{table}_expiry"));
    // With `expires_at` in the key's index, listings of keys and counts read nothing but it.
    format!(
        "create table {full} ({}, primary key (namespace, key) include (expires_at), \
         check ((value is null) <> (bytes is null)));\n\
         alter table {full} alter column metadata set storage external;\n\
         create index {index} on {full} (expires_at, namespace) where expires_at is not null;\n\
         comment on table {full} is {};\n",
        columns.join(", "),
        literal(&format!("{MARK}{SCHEMA}")),
    )
}
