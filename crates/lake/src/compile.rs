//! From the query language's predicate to the engine's expressions.
//!
//! Invariant: the expression is true of a row exactly when the predicate is true of the event.
//! A test on a null is null or false, which a filter treats alike; `NOT` is `IS NOT TRUE`.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array as _, AsArray, BooleanArray};
use arrow::datatypes::DataType;
use datafusion::common::{Column, DataFusionError, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use metsuke_event::field::{by_id, meta};
use metsuke_event::{FieldId, FieldType, Value, ValueRef};
use metsuke_hunt::{End, Predicate, Range, Test};

use crate::request::{Cursor, Order, TimeRange};
use crate::schema::column_of;

/// Values tested on one field from which `OR` becomes a list.
const LIST_FROM: usize = 2;

/// The column of field `id`.
pub(crate) fn column(id: FieldId) -> Expr {
    let name = column_of(id).unwrap_or_default();
    Expr::Column(Column::from_name(name))
}

/// The expression of `predicate`; `None` when every row fulfils it.
pub(crate) fn predicate(predicate: &Predicate) -> Option<Expr> {
    match predicate {
        Predicate::All => None,
        Predicate::And(parts) => parts.iter().filter_map(self::predicate).reduce(Expr::and),
        Predicate::Or(parts) => any_of(parts),
        Predicate::Not(inner) => Some(self::predicate(inner).map_or(lit(false), Expr::is_not_true)),
        Predicate::Field(id, test) => Some(field(*id, test)),
    }
}

/// Many equalities on one field become one list.
fn any_of(parts: &[Predicate]) -> Option<Expr> {
    let mut lists: Vec<(FieldId, Vec<Expr>)> = Vec::new();
    let mut all = Vec::new();
    for part in parts {
        if let Predicate::Field(id, Test::Equals(value)) = part {
            match lists.iter_mut().find(|(known, _)| known == id) {
                Some((_, values)) => values.push(literal(value)),
                None => lists.push((*id, vec![literal(value)])),
            }
        } else {
            all.push(predicate(part)?);
        }
    }
    for (id, mut values) in lists {
        all.push(match (values.len() >= LIST_FROM, values.pop()) {
            (false, Some(value)) => column(id).eq(value),
            (_, last) => {
                values.extend(last);
                column(id).in_list(values, false)
            }
        });
    }
    Some(all.into_iter().reduce(Expr::or).unwrap_or(lit(false)))
}

fn literal(value: &Value) -> Expr {
    Expr::Literal(
        match value {
            Value::Text(text) => ScalarValue::Utf8(Some(text.to_string())),
            Value::Ip(address) => ScalarValue::Utf8(Some(address.to_string())),
            Value::U64(number) => ScalarValue::Int64(Some(number.cast_signed())),
            Value::I64(number) => ScalarValue::Int64(Some(*number)),
            Value::Time(time) => ScalarValue::Int64(Some(time.as_nanos())),
            Value::Bool(flag) => ScalarValue::Boolean(Some(*flag)),
        },
        None,
    )
}

fn field(id: FieldId, test: &Test) -> Expr {
    let ty = by_id(id).map_or(FieldType::Text, |spec| spec.ty);
    match test {
        Test::Exists => column(id).is_not_null(),
        Test::Equals(value) => column(id).eq(literal(value)),
        Test::Within(range) if ty != FieldType::Ip => within(id, ty, range),
        _ => ScalarUDF::new_from_impl(TextTest::new(ty, test.clone())).call(vec![column(id)]),
    }
}

fn within(id: FieldId, ty: FieldType, range: &Range) -> Expr {
    let mut bounds = Vec::new();
    if let Some((low, end)) = &range.low {
        let plain = match end {
            End::Included => column(id).gt_eq(literal(low)),
            End::Excluded => column(id).gt(literal(low)),
        };
        bounds.push(match low {
            // Numbers from 2^63 on are negative in the column, and greater than all others.
            Value::U64(number) if ty == FieldType::U64 && number.cast_signed() >= 0 => {
                plain.or(column(id).lt(lit(0_i64)))
            }
            Value::U64(_) => plain.and(column(id).lt(lit(0_i64))),
            _ => plain,
        });
    }
    if let Some((high, end)) = &range.high {
        let plain = match end {
            End::Included => column(id).lt_eq(literal(high)),
            End::Excluded => column(id).lt(literal(high)),
        };
        bounds.push(match high {
            Value::U64(number) if number.cast_signed() >= 0 => {
                plain.and(column(id).gt_eq(lit(0_i64)))
            }
            Value::U64(_) => plain.or(column(id).gt_eq(lit(0_i64))),
            _ => plain,
        });
    }
    bounds.into_iter().reduce(Expr::and).unwrap_or_else(|| column(id).is_not_null())
}

/// The rows of a time range; `None` for all time.
pub(crate) fn time_range(range: TimeRange) -> Option<Expr> {
    let low = (range.from != TimeRange::ALL.from)
        .then(|| column(meta::TIME).gt_eq(lit(range.from.as_nanos())));
    let high =
        (range.to != TimeRange::ALL.to).then(|| column(meta::TIME).lt(lit(range.to.as_nanos())));
    low.into_iter().chain(high).reduce(Expr::and)
}

/// The fields that order an answer.
pub(crate) const ORDER: [FieldId; 5] =
    [meta::TIME, meta::TENANT, meta::ENDPOINT, meta::BOOT, meta::SEQ];

/// The rows behind `cursor`.
pub(crate) fn behind(cursor: &Cursor, order: Order) -> Expr {
    let id = &cursor.id;
    let values = [
        lit(cursor.time.as_nanos()),
        lit(i64::from(id.tenant.0)),
        lit(id.endpoint.to_string()),
        lit(id.boot.to_string()),
        lit(id.seq.cast_signed()),
    ];
    let mut result: Option<Expr> = None;
    for (field, value) in ORDER.into_iter().zip(values).rev() {
        let further = match order {
            Order::NewestFirst => column(field).lt(value.clone()),
            Order::OldestFirst => column(field).gt(value.clone()),
        };
        result = Some(match result {
            None => further,
            Some(rest) => further.or(column(field).eq(value).and(rest)),
        });
    }
    // What the row groups' statistics can use, said once more on its own.
    let time = match order {
        Order::NewestFirst => column(meta::TIME).lt_eq(lit(cursor.time.as_nanos())),
        Order::OldestFirst => column(meta::TIME).gt_eq(lit(cursor.time.as_nanos())),
    };
    result.map_or(time.clone(), |rest| time.and(rest))
}

/// A test on text that the engine has no operator for, with the query language's own meaning.
#[derive(Debug)]
struct TextTest {
    ty: FieldType,
    test: Test,
    label: String,
    signature: Signature,
}

impl TextTest {
    fn new(ty: FieldType, test: Test) -> Self {
        let signature = Signature::exact(vec![DataType::Utf8], Volatility::Immutable);
        let label = format!("{ty:?} {test:?}");
        Self { ty, test, label, signature }
    }

    fn holds(&self, text: &str) -> bool {
        match self.ty {
            FieldType::Ip if !matches!(self.test, Test::Like(_)) => {
                text.parse().is_ok_and(|address| self.test.matches(ValueRef::Ip(address)))
            }
            _ => self.test.matches(ValueRef::Text(text)),
        }
    }
}

impl PartialEq for TextTest {
    fn eq(&self, other: &Self) -> bool {
        self.ty == other.ty && self.test == other.test
    }
}

impl Eq for TextTest {}

impl Hash for TextTest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.label.hash(state);
    }
}

impl ScalarUDFImpl for TextTest {
    fn name(&self) -> &'static str {
        "metsuke_test"
    }

    /// The engine takes expressions of one name for the same, so the name holds the test.
    fn schema_name(&self, args: &[Expr]) -> datafusion::error::Result<String> {
        let args: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        Ok(format!("metsuke_test[{}]({})", self.label, args.join(",")))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _args: &[DataType]) -> datafusion::error::Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(
        &self,
        args: ScalarFunctionArgs,
    ) -> datafusion::error::Result<ColumnarValue> {
        let [ColumnarValue::Array(array)] = args.args.as_slice() else {
            let text = match args.args.first() {
                Some(ColumnarValue::Scalar(ScalarValue::Utf8(text))) => text.clone(),
                _ => None,
            };
            let holds = text.is_some_and(|text| self.holds(&text));
            return Ok(ColumnarValue::Scalar(ScalarValue::Boolean(Some(holds))));
        };
        let Some(values) = array.as_string_opt::<i32>() else {
            let found = array.data_type();
            return Err(DataFusionError::Internal(format!("text expected, {found} found")));
        };
        let holds: BooleanArray =
            values.iter().map(|text| Some(text.is_some_and(|text| self.holds(text)))).collect();
        Ok(ColumnarValue::Array(Arc::new(holds)))
    }
}
