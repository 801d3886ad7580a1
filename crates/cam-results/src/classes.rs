//! What a network calls its classes: by this, labels of two runs are compared.

use std::collections::HashMap;

/// The names of a network's classes in small letters, where no other class of it is called so.
///
/// Classes are called the same whatever the case of letters, as `cam_data::is_called` has it; no crate of data may be
/// needed here.
pub(crate) struct Classes(Vec<Option<String>>);

impl Classes {
    /// Of names in the order of the logits, if there are any.
    pub(crate) fn of(names: &[String]) -> Self {
        let names: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
        let mut n_called: HashMap<&str, usize> = HashMap::new();
        for name in &names {
            *n_called.entry(name).or_default() += 1;
        }
        let is_alone = names.iter().map(|name| n_called[&**name] == 1).collect::<Vec<_>>();
        Self(names.into_iter().zip(is_alone).map(|(name, is)| is.then_some(name)).collect())
    }

    fn name(&self, label: Option<i64>) -> Option<&str> {
        self.0.get(usize::try_from(label?).ok()?)?.as_deref()
    }

    /// A label for people: its index, and its name where it has one.
    pub(crate) fn told(&self, label: Option<i64>) -> String {
        let index = label.map_or("none".to_owned(), |label| label.to_string());
        match self.name(label) {
            Some(name) => format!("{index} ({name})"),
            None => index,
        }
    }
}

/// Whether two labels are one class: by its name where both networks have one for it, as a class may have moved to another
/// place, else by its index.
pub(crate) fn is_same_class(labels: [(&Classes, Option<i64>); 2]) -> bool {
    match labels.map(|(classes, label)| classes.name(label)) {
        [Some(before), Some(now)] => before == now,
        _ => labels[0].1 == labels[1].1,
    }
}
