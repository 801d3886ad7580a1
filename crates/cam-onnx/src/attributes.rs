//! A node of the file with its attributes, read by name and type.

use std::cell::RefCell;
use std::collections::BTreeSet;

use tch::Tensor;

use crate::error::Problem;
use crate::proto::{AttributeProto, NodeProto, attribute_proto::AttributeType};
use crate::tensors::{ExternalData, tensor};

/// A node that is being read. Every attribute must be asked for, so that none is left out in silence.
pub(crate) struct Source<'a> {
    proto: &'a NodeProto,
    /// The version of the operators.
    pub(crate) opset: i64,
    external: &'a ExternalData,
    /// Names of what other nodes take, and of the graph's outputs.
    used: &'a BTreeSet<&'a str>,
    asked: RefCell<BTreeSet<String>>,
}

/// What is wrong with an attribute; [`Source::problem`] says where.
pub(crate) type Wrong = String;

impl<'a> Source<'a> {
    pub(crate) fn new(
        proto: &'a NodeProto,
        opset: i64,
        external: &'a ExternalData,
        used: &'a BTreeSet<&'a str>,
    ) -> Self {
        Self { proto, opset, external, used, asked: RefCell::default() }
    }

    /// The operator's name.
    pub(crate) fn operator(&self) -> &'a str {
        self.proto.op_type()
    }

    /// How many inputs are named, left-out ones before the last included.
    pub(crate) fn n_inputs(&self) -> usize {
        self.proto.input.len()
    }

    /// How many outputs are named, left-out ones before the last included.
    pub(crate) fn n_outputs(&self) -> usize {
        self.proto.output.len()
    }

    /// Whether an output is named.
    pub(crate) fn names(&self, output: usize) -> bool {
        self.proto.output.get(output).is_some_and(|name| !name.is_empty())
    }

    /// Whether an output is named, and something uses it.
    pub(crate) fn wants(&self, output: usize) -> bool {
        self.proto.output.get(output).is_some_and(|name| self.used.contains(name.as_str()))
    }

    /// An error about this node.
    pub(crate) fn problem(&self, what: impl Into<String>) -> Problem {
        let name = self.proto.name();
        let output = self.proto.output.first().map_or("", String::as_str);
        Problem::Unsupported {
            node: if name.is_empty() { output } else { name }.to_owned(),
            operator: self.operator().to_owned(),
            opset: self.opset,
            what: what.into(),
        }
    }

    pub(crate) fn int(&self, name: &str) -> Result<Option<i64>, Wrong> {
        self.of_type(name, AttributeType::Int, |attribute| attribute.i)
    }

    pub(crate) fn int_or(&self, name: &str, default: i64) -> Result<i64, Wrong> {
        Ok(self.int(name)?.unwrap_or(default))
    }

    pub(crate) fn flag(&self, name: &str, default: bool) -> Result<bool, Wrong> {
        Ok(self.int_or(name, i64::from(default))? != 0)
    }

    pub(crate) fn float(&self, name: &str) -> Result<Option<f64>, Wrong> {
        self.of_type(name, AttributeType::Float, |attribute| attribute.f.map(f64::from))
    }

    pub(crate) fn float_or(&self, name: &str, default: f64) -> Result<f64, Wrong> {
        Ok(self.float(name)?.unwrap_or(default))
    }

    pub(crate) fn ints(&self, name: &str) -> Result<Option<Vec<i64>>, Wrong> {
        self.of_type(name, AttributeType::Ints, |attribute| Some(attribute.ints.clone()))
    }

    pub(crate) fn floats(&self, name: &str) -> Result<Option<Vec<f32>>, Wrong> {
        self.of_type(name, AttributeType::Floats, |attribute| Some(attribute.floats.clone()))
    }

    pub(crate) fn string(&self, name: &str) -> Result<Option<String>, Wrong> {
        self.of_type(name, AttributeType::String, |attribute| {
            attribute.s.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        })
    }

    pub(crate) fn string_or(&self, name: &str, default: &str) -> Result<String, Wrong> {
        Ok(self.string(name)?.unwrap_or_else(|| default.to_owned()))
    }

    pub(crate) fn tensor(&self, name: &str) -> Result<Option<Tensor>, Wrong> {
        let proto = self.of_type(name, AttributeType::Tensor, |attribute| attribute.t.as_ref())?;
        proto.map(|proto| tensor(proto, self.external)).transpose().map_err(|p| p.to_string())
    }

    /// Positive numbers that are no larger than any kernel or stride is.
    pub(crate) fn sizes(&self, name: &str) -> Result<Option<Vec<i64>>, Wrong> {
        self.bounded(name, 1)
    }

    /// As [`Source::sizes`], zero included.
    pub(crate) fn pads(&self, name: &str) -> Result<Option<Vec<i64>>, Wrong> {
        self.bounded(name, 0)
    }

    fn bounded(&self, name: &str, least: i64) -> Result<Option<Vec<i64>>, Wrong> {
        let values = self.ints(name)?;
        let is_wrong = |value: &i64| !(least..=1 << 16).contains(value);
        match values.iter().flatten().find(|value| is_wrong(value)) {
            Some(value) => Err(format!("attribute `{name}` holds {value}")),
            None => Ok(values),
        }
    }

    /// Refuses attributes that nobody asked for: their meaning would be lost.
    pub(crate) fn finish(&self) -> Result<(), Wrong> {
        let asked = self.asked.borrow();
        match self.proto.attribute.iter().find(|attribute| !asked.contains(attribute.name())) {
            Some(attribute) => Err(format!("attribute `{}` is not supported", attribute.name())),
            None => Ok(()),
        }
    }

    fn of_type<T>(
        &self,
        name: &str,
        wanted: AttributeType,
        value: impl FnOnce(&'a AttributeProto) -> Option<T>,
    ) -> Result<Option<T>, Wrong> {
        self.asked.borrow_mut().insert(name.to_owned());
        let Some(attribute) =
            self.proto.attribute.iter().find(|attribute| attribute.name() == name)
        else {
            return Ok(None);
        };
        // Old files leave the type out.
        if attribute.r#type.is_some() && attribute.r#type() != wanted {
            return Err(format!(
                "attribute `{name}` is of type {} and not {}",
                attribute.r#type().as_str_name(),
                wanted.as_str_name()
            ));
        }
        Ok(value(attribute))
    }
}

/// The value of an attribute that has no default.
pub(crate) fn required<T>(name: &str, value: Option<T>) -> Result<T, Wrong> {
    value.ok_or_else(|| format!("attribute `{name}` is missing"))
}
