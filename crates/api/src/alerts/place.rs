//! The cursor of a list of alerts: the order, and the place in it where a page ended.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use metsuke_catalog::{AlertOrder, AlertPlace, AlertRecord};

/// The orders by the names that queries use; the first is taken when none is asked for.
pub(super) const ORDERS: [(&str, AlertOrder); 3] =
    [("score", AlertOrder::Score), ("created", AlertOrder::Created), ("last", AlertOrder::Last)];

/// A place in a list of one order.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) order: AlertOrder,
    pub(super) place: AlertPlace,
}

impl Place {
    pub(super) fn of(record: &AlertRecord, order: AlertOrder) -> Self {
        Self { order, place: record.place(order) }
    }
}

impl Display for Place {
    /// `ORDER.KEY.KEY.ID`, with as many keys as the order has.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = ORDERS.iter().find(|(_, order)| *order == self.order);
        write!(f, "{}", name.map_or("", |(name, _)| name))?;
        for key in &self.place.keys {
            write!(f, ".{key}")?;
        }
        write!(f, ".{}", self.place.id)
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (name, rest) = text.split_once('.').ok_or(())?;
        let (keys, id) = rest.rsplit_once('.').ok_or(())?;
        let (_, order) = ORDERS.iter().find(|(known, _)| *known == name).ok_or(())?;
        let keys: Vec<i64> =
            keys.split('.').map(str::parse).collect::<Result<_, _>>().map_err(|_| ())?;
        let expected = if *order == AlertOrder::Score { 2 } else { 1 };
        if keys.len() != expected {
            return Err(());
        }
        let place = AlertPlace { keys, id: id.parse().map_err(|_| ())? };
        Ok(Self { order: *order, place })
    }
}
