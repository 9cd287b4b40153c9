//! The query engine: how it is set up, fed and run.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext};
use futures::TryStreamExt as _;
use metsuke_event::{Event, FieldId};

use crate::codec::decode;
use crate::compile::column;
use crate::config::LakeConfig;
use crate::error::LakeError;
use crate::provider::EventsTable;
use crate::request::Order;
use crate::schema::conform;

/// The engine, set up once for a lake.
pub(crate) fn session(config: &LakeConfig) -> Result<SessionContext, LakeError> {
    let mut options = SessionConfig::new()
        .with_target_partitions(config.search_threads.max(1))
        .with_information_schema(false);
    let parquet = &mut options.options_mut().execution.parquet;
    parquet.pushdown_filters = true;
    parquet.reorder_filters = true;
    parquet.bloom_filter_on_read = true;
    parquet.schema_force_view_types = false;
    let pool = Arc::new(GreedyMemoryPool::new(config.search_memory_bytes));
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc()?;
    Ok(SessionContext::new_with_config_rt(options, runtime))
}

/// The rows of `table` for which all of `filters` are true; `None` filters nothing. Nothing is
/// read before the frame runs.
pub(crate) fn filtered(
    session: &SessionContext,
    table: Arc<EventsTable>,
    filters: impl IntoIterator<Item = Option<Expr>>,
) -> Result<DataFrame, LakeError> {
    let frame = session.read_table(table)?;
    match filters.into_iter().flatten().reduce(Expr::and) {
        Some(filter) => Ok(frame.filter(filter)?),
        None => Ok(frame),
    }
}

/// `frame` sorted by `fields`, the first one first, all in the direction of `order`. Rows without
/// a value stand where values smaller than all others would.
pub(crate) fn ordered(
    frame: DataFrame,
    fields: &[FieldId],
    order: Order,
) -> Result<DataFrame, LakeError> {
    let ascending = order == Order::OldestFirst;
    let keys = fields.iter().map(|field| column(*field).sort(ascending, ascending)).collect();
    Ok(frame.sort(keys)?)
}

/// The events in `batches`, in their order. A column that a batch lacks, or has with another type,
/// reads as null; rows that are no event are left out.
///
/// # Errors
/// `Arrow` when a batch cannot be put into today's schema.
pub(crate) fn events_of(batches: &[RecordBatch]) -> Result<Vec<Event>, LakeError> {
    let mut events = Vec::new();
    for batch in batches {
        let batch = conform(batch).map_err(LakeError::arrow("read an answer"))?;
        events.extend(decode(&batch).0);
    }
    Ok(events)
}

/// Runs `frame`; the plan knows afterwards what was read for it.
pub(crate) async fn stream(
    frame: DataFrame,
) -> Result<(Arc<dyn ExecutionPlan>, SendableRecordBatchStream), LakeError> {
    let context = Arc::new(frame.task_ctx());
    let plan = frame.create_physical_plan().await?;
    let stream = execute_stream(Arc::clone(&plan), context)?;
    Ok((plan, stream))
}

/// All of what `frame` gives, and how many rows of files were read for it.
pub(crate) async fn collect(frame: DataFrame) -> Result<(Vec<RecordBatch>, u64), LakeError> {
    let (plan, stream) = stream(frame).await?;
    let batches = stream.try_collect().await?;
    Ok((batches, rows_read(&*plan)))
}

/// Rows of files read by a plan that has run: what it was given of them, and what it dropped by a
/// filter. What statistics, bloom filters and the page index passed over was not read. (The tail's
/// source does not count; all of it is looked at.)
pub(crate) fn rows_read(plan: &dyn ExecutionPlan) -> u64 {
    let children = plan.children();
    if !children.is_empty() {
        return children.into_iter().map(|child| rows_read(&**child)).sum();
    }
    let metrics = plan.metrics().unwrap_or_default();
    let given = metrics.output_rows().unwrap_or(0);
    let dropped = metrics.sum_by_name("pushdown_rows_pruned").map_or(0, |value| value.as_usize());
    (given + dropped) as u64
}
