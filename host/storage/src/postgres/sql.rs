//! The statements, for one table. Each names the types of its parameters, so that none has to be asked for.
//!
//! Every statement is one round trip, and one transaction of its own. The first parameters of those on single keys are
//! always namespace, key, and the time.

use tokio_postgres::types::Type;

use super::format::{ATTRIBUTES, VALUE};

/// How many rows one page of a listing looks at: where matches are rare it ends early, and the walk goes on in the next
/// call.
pub(super) const MAX_ROWS: usize = 20_000;
/// The most rows that are counted at once.
pub(super) const MAX_COUNTED: usize = 1_000_000;

/// A statement's text, and its parameters' types.
pub(super) struct Statement {
    pub(super) text: String,
    pub(super) types: Vec<Type>,
}

impl Statement {
    fn new(text: String, types: &[Type]) -> Self {
        Statement { text, types: types.to_vec() }
    }
}

/// With and without the value.
pub(super) struct Both {
    attributes: Statement,
    value: Statement,
}

impl Both {
    fn new(of: impl Fn(bool) -> Statement) -> Self {
        Both { attributes: of(false), value: of(true) }
    }

    pub(super) fn with(&self, value: bool) -> &Statement {
        if value { &self.value } else { &self.attributes }
    }
}

/// All of them, but for those of a listing, which are put together as they are needed.
pub(super) struct Statements {
    table: String,
    pub(super) get: Both,
    pub(super) get_many: Both,
    pub(super) put: Statement,
    pub(super) put_absent: Both,
    pub(super) put_version: Both,
    pub(super) put_many: Statement,
    pub(super) amend: Statement,
    pub(super) amend_version: Both,
    pub(super) delete: Statement,
    pub(super) delete_version: Both,
    pub(super) walk: Statement,
    pub(super) versions: Statement,
    pub(super) reclaim: Statement,
    pub(super) reclaim_all: Statement,
    pub(super) clear: Statement,
    pub(super) namespaces: Statement,
}

/// What every put writes besides namespace and key: column, type.
const PUT: &[(&str, Type, &str)] = &[
    ("version", Type::UUID, "uuid"),
    ("value_type", Type::TEXT, "text"),
    ("content_type", Type::TEXT, "text"),
    ("value", Type::TEXT, "text"),
    ("bytes", Type::BYTEA, "bytea"),
    ("metadata", Type::JSONB, "jsonb"),
    ("created_at", Type::TIMESTAMPTZ, "timestamptz"),
    ("updated_at", Type::TIMESTAMPTZ, "timestamptz"),
    ("expires_at", Type::TIMESTAMPTZ, "timestamptz"),
    ("sliding_ms", Type::INT8, "bigint"),
    ("size", Type::INT8, "bigint"),
    ("checksum", Type::INT8, "bigint"),
];

/// What an amend writes.
const AMEND: &[&str] = &["version", "content_type", "metadata", "updated_at", "expires_at", "sliding_ms"];

/// What a row weighs in an answer. `metadata` is stored uncompressed, so its stored size is its size.
pub(super) fn weight(with_value: bool) -> &'static str {
    match with_value {
        true => "t.size + coalesce(pg_column_size(t.metadata), 0) + 128",
        false => "coalesce(pg_column_size(t.metadata), 0)::bigint + 128",
    }
}

fn columns(with_value: bool, prefix: &str) -> String {
    let value = if with_value { VALUE } else { &[] };
    let names: Vec<_> = ATTRIBUTES.iter().chain(value).map(|name| format!("{prefix}{name}")).collect();
    names.join(", ")
}

/// As many nulls as there are columns, in their types.
fn no_columns(with_value: bool) -> String {
    let value = if with_value { VALUE } else { &[] };
    let of = |name: &&str| PUT.iter().find(|(column, ..)| column == name).map_or("text", |(.., sql)| *sql);
    let nulls: Vec<_> = ATTRIBUTES.iter().chain(value).map(|name| format!("null::{}", of(name))).collect();
    nulls.join(", ")
}

/// In a page: the first always does.
const FITS: &str = "total <= $5 or n = 1";

const LIVING: &str = "(t.expires_at is null or t.expires_at > $3)";

/// `on conflict`: a put over what is there. A living entry keeps its `created_at`.
fn over(now: &str) -> String {
    let mut sets: Vec<_> = PUT
        .iter()
        .filter(|(name, ..)| *name != "created_at")
        .map(|(name, ..)| format!("{name} = excluded.{name}"))
        .collect();
    sets.push(format!("created_at = case when t.expires_at <= {now} then excluded.created_at else t.created_at end"));
    format!("on conflict (namespace, key) do update set {}", sets.join(", "))
}

fn put_names() -> String {
    let names: Vec<_> = PUT.iter().map(|(name, ..)| *name).collect();
    format!("namespace, key, {}", names.join(", "))
}

impl Statements {
    /// For a table and the function beside it, as they are written in SQL.
    pub(super) fn new(table: &str, function: &str) -> Self {
        let single = |more: &[Type]| [&[Type::TEXT, Type::TEXT, Type::TIMESTAMPTZ], more].concat();
        let put_types: Vec<Type> = PUT.iter().map(|(_, ty, _)| ty.clone()).collect();
        let put_values: Vec<_> = (4..4 + PUT.len()).map(|at| format!("${at}")).collect();
        let put_values = put_values.join(", ");
        let insert = format!("insert into {table} as t ({}) values ($1, $2, {put_values})", put_names());
        let guard_at = 4 + PUT.len();
        let put_sets: Vec<_> = PUT
            .iter()
            .enumerate()
            .filter(|(_, (name, ..))| *name != "created_at")
            .map(|(at, (name, ..))| format!("{name} = ${}", at + 4))
            .collect();
        // A guarded put's `created_at` stays: its parameter goes unused.
        let put_sets = put_sets.join(", ");
        let amend_sets: Vec<_> = AMEND.iter().enumerate().map(|(at, name)| format!("{name} = ${}", at + 4)).collect();
        let amend_sets = amend_sets.join(", ");
        let amend_types = [Type::UUID, Type::TEXT, Type::JSONB, Type::TIMESTAMPTZ, Type::TIMESTAMPTZ, Type::INT8];
        let this = "t.namespace = $1 and t.key = $2";
        // A change, or else what stands in its way, as the statement's snapshot shows it.
        let guarded = |change: String, with_value: bool| {
            format!(
                "with changed as ({change} returning 1) select true, {} from changed union all select false, {} from \
                 {table} t where {this} and {LIVING} and not exists (select from changed)",
                no_columns(with_value),
                columns(with_value, "t.")
            )
        };
        let arrays = |types: &[Type]| -> Vec<Type> { types.iter().map(array).collect() };
        Statements {
            table: table.to_owned(),
            get: Both::new(|with_value| {
                let columns = columns(with_value, "t.");
                Statement::new(format!("select {columns} from {table} t where {this} and {LIVING}"), &single(&[]))
            }),
            get_many: Both::new(|with_value| {
                let (columns, weight) = (columns(with_value, ""), weight(with_value));
                // The first come, until they weigh too much; `found` says whether those are all.
                Statement::new(
                    format!(
                        "select place, found, {columns} from (select k.place, t.*, count(*) over () as found, \
                         sum({weight}) over (order by k.place rows unbounded preceding) as total, {weight} as weight \
                         from unnest($2::text[]) with ordinality as k(key, place) \
                         join {table} t on t.namespace = $1 and t.key = k.key and {LIVING}) as t \
                         where total <= $4 or total = weight order by place"
                    ),
                    &[Type::TEXT, Type::TEXT_ARRAY, Type::TIMESTAMPTZ, Type::INT8],
                )
            }),
            put: Statement::new(format!("{insert} {}", over("$3")), &single(&put_types)),
            put_absent: Both::new(|with_value| {
                let change = format!("{insert} {} where t.expires_at <= $3", over("$3"));
                Statement::new(guarded(change, with_value), &single(&put_types))
            }),
            put_version: Both::new(|with_value| {
                let change =
                    format!("update {table} as t set {put_sets} where {this} and {LIVING} and t.version = ${guard_at}");
                Statement::new(guarded(change, with_value), &single(&[&put_types[..], &[Type::UUID]].concat()))
            }),
            put_many: {
                // In key order, as everyone locks.
                let aliases: Vec<_> = std::iter::once("key").chain(PUT.iter().map(|(name, ..)| *name)).collect();
                let arguments: Vec<_> = (3..3 + aliases.len()).map(|at| format!("${at}")).collect();
                let text = format!(
                    "insert into {table} as t ({}) select $1, p.* from unnest({}) as p({}) order by p.key collate \"C\" {}",
                    put_names(),
                    arguments.join(", "),
                    aliases.join(", "),
                    over("$2")
                );
                let types = [vec![Type::TEXT, Type::TIMESTAMPTZ, Type::TEXT_ARRAY], arrays(&put_types)].concat();
                Statement::new(text, &types)
            },
            amend: Statement::new(
                format!("update {table} as t set {amend_sets} where {this} and {LIVING} returning true"),
                &single(&amend_types),
            ),
            amend_version: Both::new(|with_value| {
                let change =
                    format!("update {table} as t set {amend_sets} where {this} and {LIVING} and t.version = $10");
                Statement::new(guarded(change, with_value), &single(&[&amend_types[..], &[Type::UUID]].concat()))
            }),
            delete: Statement::new(format!("delete from {table} as t where {this} returning {LIVING}"), &single(&[])),
            delete_version: Both::new(|with_value| {
                let change = format!("delete from {table} as t where {this} and {LIVING} and t.version = $4");
                Statement::new(guarded(change, with_value), &single(&[Type::UUID]))
            }),
            walk: {
                let types = [
                    vec![
                        Type::TEXT,
                        Type::TIMESTAMPTZ,
                        Type::BOOL,
                        Type::INT2,
                        Type::TEXT_ARRAY,
                        Type::INT2_ARRAY,
                        Type::INT2_ARRAY,
                        Type::UUID_ARRAY,
                    ],
                    arrays(&put_types),
                ]
                .concat();
                let arguments: Vec<_> = (1..=types.len()).map(|at| format!("${at}")).collect();
                Statement::new(format!("select * from {function}({})", arguments.join(", ")), &types)
            },
            versions: Statement::new(
                format!("select t.key, t.version from {table} t where t.namespace = $1 and t.key = any($2)"),
                &[Type::TEXT, Type::TEXT_ARRAY],
            ),
            // What someone is writing to just now is passed over: it may be a renewal, and nobody waits for us.
            reclaim: Statement::new(
                reclaim(table, "and d.namespace = $3"),
                &[Type::TIMESTAMPTZ, Type::INT8, Type::TEXT],
            ),
            reclaim_all: Statement::new(reclaim(table, ""), &[Type::TIMESTAMPTZ, Type::INT8]),
            clear: Statement::new(
                format!(
                    "with doomed as materialized (select d.key from {table} d where d.namespace = $1 order by d.key \
                     limit $2 for update), gone as (delete from {table} t using doomed where t.namespace = $1 and \
                     t.key = doomed.key) select count(*) from doomed"
                ),
                &[Type::TEXT, Type::INT8],
            ),
            // From each name straight to the next.
            namespaces: Statement::new(
                format!(
                    "with recursive names(name) as ((select t.namespace from {table} t where t.namespace > $1 order by \
                     t.namespace limit 1) union all select (select t.namespace from {table} t where t.namespace > \
                     names.name order by t.namespace limit 1) from names where names.name is not null) \
                     select name from names where name is not null limit $2"
                ),
                &[Type::TEXT, Type::INT8],
            ),
        }
    }

    /// A page: `$1` namespace, `$2` the first key that may come, `$3` time, `$4` limit, `$5` the most weight, then those
    /// of `to`, the `LIKE` pattern, the metadata, that are there.
    ///
    /// Rows: key (none: where the walk stopped, in the next column), key to go on from, whether the state fits, state.
    pub(super) fn page(&self, to: bool, like: bool, metadata: bool, want_state: Option<bool>) -> Statement {
        let table = &self.table;
        let mut types = vec![Type::TEXT, Type::TEXT, Type::TIMESTAMPTZ, Type::INT8, Type::INT8];
        let mut parameter = |ty: Type| {
            types.push(ty);
            format!("${}", types.len())
        };
        let mut range = "d.namespace = $1 and d.key >= $2".to_owned();
        if to {
            range += &format!(" and d.key < {}", parameter(Type::TEXT));
        }
        let mut filter = LIVING.to_owned();
        if like {
            filter += &format!(" and t.key like {}", parameter(Type::TEXT));
        }
        if metadata {
            filter += &format!(" and t.metadata @> {}", parameter(Type::JSONB));
        }
        // Only what is needed, so that an index can give it alone.
        let read = match (want_state, metadata) {
            (None, false) => "d.key, d.expires_at".to_owned(),
            (None, true) => "d.key, d.expires_at, d.metadata".to_owned(),
            (Some(with_value), _) => format!("d.key, {}", columns(with_value, "d.")),
        };
        let rows = format!("(select {read} from {table} d where {range} order by d.key limit {MAX_ROWS}) as t");
        let matching = match want_state {
            None => format!("select t.key, null::text, true from {rows} where {filter} order by t.key limit $4"),
            Some(with_value) => {
                let weight = weight(with_value);
                let value: Vec<_> = if with_value { VALUE } else { &[] }
                    .iter()
                    .map(|name| format!(", case when n < $4 and ({FITS}) then t.{name} end as {name}"))
                    .collect();
                // One more than fits, or than a page has, comes without its value: it says that there is more.
                format!(
                    "select t.key, null::text, {FITS}, {}{} from (select t.*, row_number() over page as n, {weight} as \
                     weight, sum({weight}) over page as total from {rows} where {filter} window page as (order by t.key \
                     rows unbounded preceding)) as t where total - weight <= $5 or n = 2 order by t.key limit $4",
                    columns(false, "t."),
                    value.concat()
                )
            }
        };
        // Only asked for where the first part has less than a page: where did the walk stop?
        let nothing = match want_state {
            None => String::new(),
            Some(with_value) => format!(", {}", no_columns(with_value)),
        };
        let stop = format!(
            "select null::text, d.key, true{nothing} from {table} d where {range} order by d.key offset {} limit 1",
            MAX_ROWS - 1
        );
        let text = format!("select * from (({matching}) union all ({stop})) as page limit $4");
        Statement::new(text, &types)
    }

    /// How many: `$1` namespace, `$2` the first key that may come, `$3` time, then `to` if it is there. One more than
    /// [`MAX_COUNTED`] rows are looked at; the second column says how many there were.
    pub(super) fn count(&self, to: bool) -> Statement {
        let mut types = vec![Type::TEXT, Type::TEXT, Type::TIMESTAMPTZ];
        let mut range = "d.namespace = $1 and d.key >= $2".to_owned();
        if to {
            types.push(Type::TEXT);
            range += " and d.key < $4";
        }
        let text = format!(
            "select count(*) filter (where {LIVING}), count(*) from (select d.expires_at from {} d where {range} limit \
             {}) as t",
            self.table,
            MAX_COUNTED + 1
        );
        Statement::new(text, &types)
    }
}

fn reclaim(table: &str, more: &str) -> String {
    format!(
        "with due as materialized (select d.namespace, d.key from {table} d where d.expires_at <= $1 {more} order by \
         d.expires_at limit $2 for update skip locked), gone as (delete from {table} t using due where t.namespace = \
         due.namespace and t.key = due.key and t.expires_at <= $1 returning 1) select count(*) from gone"
    )
}

fn array(ty: &Type) -> Type {
    match *ty {
        Type::UUID => Type::UUID_ARRAY,
        Type::BYTEA => Type::BYTEA_ARRAY,
        Type::JSONB => Type::JSONB_ARRAY,
        Type::TIMESTAMPTZ => Type::TIMESTAMPTZ_ARRAY,
        Type::INT8 => Type::INT8_ARRAY,
        _ => Type::TEXT_ARRAY,
    }
}

/// Mutations, as the function takes them. The numbers are `p_change`, `p_guard`, `p_want` and `o_outcome`.
pub(super) mod code {
    pub(in super::super) const PUT: i16 = 0;
    pub(in super::super) const AMEND: i16 = 1;
    pub(in super::super) const EXTEND: i16 = 2;
    pub(in super::super) const DELETE: i16 = 3;
    pub(in super::super) const CHECK: i16 = 4;

    pub(in super::super) const WHATEVER: i16 = 0;
    pub(in super::super) const ABSENT: i16 = 1;
    pub(in super::super) const VERSION: i16 = 2;

    pub(in super::super) const WRITTEN: i16 = 0;
    pub(in super::super) const HELD: i16 = 1;
    pub(in super::super) const DELETED: i16 = 2;
    pub(in super::super) const NOTHING_THERE: i16 = 3;
    pub(in super::super) const CONFLICT: i16 = 4;
    pub(in super::super) const CONFLICT_TOO_LARGE: i16 = 5;
}

/// The function that walks over mutations in key order: locks each row, looks at it, changes it.
///
/// Two callers with the same keys meet in the same order, so they wait for each other and never in a circle. Each
/// statement in it sees what was committed before it began, so what a lock shows is the newest state.
pub(super) fn function(table: &str, function: &str) -> String {
    let parameters: Vec<_> = PUT.iter().map(|(name, _, ty)| format!("p_{name} {ty}[]")).collect();
    let of = |name: &&str| PUT.iter().find(|(column, ..)| column == name).map_or("text", |(.., sql)| *sql);
    let results: Vec<_> = ATTRIBUTES.iter().chain(VALUE).map(|name| format!("o_{name} {}", of(name))).collect();
    let values: Vec<_> = PUT.iter().map(|(name, ..)| format!("p_{name}[i]")).collect();
    let sets = |names: &mut dyn Iterator<Item = &str>| {
        names.map(|name| format!("{name} = p_{name}[i]")).collect::<Vec<_>>().join(", ")
    };
    let put_sets = sets(&mut PUT.iter().map(|(name, ..)| *name).filter(|name| *name != "created_at"));
    let amend_sets = sets(&mut AMEND.iter().copied());
    let show: Vec<_> = ATTRIBUTES.iter().map(|name| format!("o_{name} := cur.{name};")).collect();
    let hide: Vec<_> = ATTRIBUTES.iter().chain(VALUE).map(|name| format!("o_{name} := null;")).collect();
    format!(
        r#"create or replace function {function}(
  p_namespace text, p_now timestamptz, p_atomic boolean, p_want smallint,
  p_key text[], p_change smallint[], p_guard smallint[], p_expected uuid[],
  {parameters})
returns table (o_item integer, o_outcome smallint, {results})
language plpgsql volatile as $kv$
declare
  cur {table}%rowtype;
  there boolean;
  living boolean;
  held boolean;
  shown bigint := 0;
begin
  -- Keys come in order. What is atomic ends with the exception below, and leaves nothing of this block.
  for i in 1 .. coalesce(array_length(p_key, 1), 0) loop
    o_item := i;
    {hide}
    if p_change[i] = 0 and p_guard[i] < 2 then
      insert into {table} as t ({put_names})
      values (p_namespace, p_key[i], {values})
      {over} where p_guard[i] = 0 or t.expires_at <= p_now;
      if found then
        o_outcome := 0;
        return next;
        continue;
      end if;
      -- Refused, and locked: nobody changes it before it is read.
      select * into cur from {table} t where t.namespace = p_namespace and t.key = p_key[i];
      there := found;
    else
      loop
        select * into cur from {table} t where t.namespace = p_namespace and t.key = p_key[i] for update;
        there := found;
        exit when there or not p_atomic or (p_guard[i] <> 1 and p_change[i] <> 3);
        -- An absence cannot be locked. A row that is gone again at the end of the transaction can.
        insert into {table} (namespace, key, version, value_type, value, created_at, updated_at, size, checksum)
        values (p_namespace, p_key[i], '00000000-0000-0000-0000-000000000000', 'null', '', p_now, p_now, 0, 0)
        on conflict (namespace, key) do nothing;
        if found then
          delete from {table} t where t.namespace = p_namespace and t.key = p_key[i];
          exit;
        end if;
      end loop;
    end if;
    living := there and (cur.expires_at is null or cur.expires_at > p_now);
    held := case p_guard[i] when 0 then true when 1 then not living else living and cur.version = p_expected[i] end;
    if not held then
      o_outcome := 4;
      if living and p_want > 0 then
        shown := shown + 128 + coalesce(pg_column_size(cur.metadata), 0);
        if p_want > 1 then
          shown := shown + cur.size;
        end if;
        if shown > {most} then
          o_outcome := 5;
        else
          {show}
          if p_want > 1 then
            o_value := cur.value;
            o_bytes := cur.bytes;
          end if;
        end if;
      end if;
    elsif p_change[i] in (1, 2) and not living then
      o_outcome := 3;
    elsif p_change[i] = 0 then
      update {table} t set {put_sets} where t.namespace = p_namespace and t.key = p_key[i];
      o_outcome := 0;
    elsif p_change[i] = 1 then
      update {table} t set {amend_sets} where t.namespace = p_namespace and t.key = p_key[i];
      o_outcome := 0;
    elsif p_change[i] = 2 then
      if cur.expires_at < p_expires_at[i] then
        update {table} t set expires_at = p_expires_at[i] where t.namespace = p_namespace and t.key = p_key[i];
      end if;
      o_outcome := 1;
    elsif p_change[i] = 3 then
      if there then
        delete from {table} t where t.namespace = p_namespace and t.key = p_key[i];
      end if;
      o_outcome := case when living then 2 else 3 end;
    else
      o_outcome := 1;
    end if;
    return next;
    if p_atomic and (o_outcome in (4, 5) or (o_outcome = 3 and p_change[i] <> 3)) then
      raise exception using errcode = 'KV001', message = 'not applied';
    end if;
  end loop;
exception when sqlstate 'KV001' then
  return;
end
$kv$"#,
        parameters = parameters.join(", "),
        results = results.join(", "),
        put_names = put_names(),
        values = values.join(", "),
        over = over("p_now"),
        show = show.join(" "),
        hide = hide.join(" "),
        most = super::MAX_CONFLICT_BYTES,
    )
}
