//! The contexts of a set, each once, by number.

use std::collections::HashMap;
use std::sync::Arc;

use crate::indicator::Context;

/// Most different contexts; at about 300 bytes each they take 300 MB. Further ones lose labels,
/// document and owner, which is counted.
const MAX_CONTEXTS: usize = 1_000_000;

/// Contexts by number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contexts {
    list: Vec<Arc<Context>>,
    numbers: HashMap<Arc<Context>, u32>,
    plain: usize,
}

impl Contexts {
    /// The contexts of a list, as a snapshot holds them.
    pub(crate) fn of(list: Vec<Context>) -> Self {
        let list: Vec<_> = list.into_iter().map(Arc::new).collect();
        let numbers = list.iter().cloned().zip(0..).collect();
        Self { list, numbers, plain: 0 }
    }

    pub(crate) fn list(&self) -> &[Arc<Context>] {
        &self.list
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn get(&self, number: u32) -> Option<&Arc<Context>> {
        self.list.get(number as usize)
    }

    pub(crate) fn is_of(&self, number: u32, source: &str) -> bool {
        self.get(number).is_some_and(|context| &*context.source == source)
    }

    pub(crate) fn plain(&self) -> usize {
        self.plain
    }

    /// The number of `context`.
    pub(crate) fn intern(&mut self, context: &Arc<Context>) -> u32 {
        if let Some(number) = self.numbers.get(context) {
            return *number;
        }
        if self.list.len() >= MAX_CONTEXTS && !is_plain(context) {
            self.plain += 1;
            let plain = Context {
                source: context.source.clone(),
                confidence: context.confidence,
                severity: context.severity,
                action: context.action,
                ..Context::default()
            };
            return self.intern(&Arc::new(plain));
        }
        // Sources are few; their plain contexts are 1,515 each at most.
        let number = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.list.push(Arc::clone(context));
        self.numbers.insert(Arc::clone(context), number);
        number
    }

    /// Bytes they take, estimated.
    pub(crate) fn memory(&self) -> usize {
        let texts = |context: &Arc<Context>| {
            let labels: usize = context.labels.iter().map(|label| label.len() + 32).sum();
            labels + context.source.len()
        };
        let each = size_of::<Context>() + 64;
        self.list.iter().map(|context| texts(context) + each).sum()
    }
}

fn is_plain(context: &Context) -> bool {
    context.labels.is_empty() && context.document.is_none() && context.owner.is_none()
}
